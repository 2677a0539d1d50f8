"""`checkrein verify` on files."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from checkrein.cli.verify import command
from checkrein.recording.journal import Tools
from checkrein.recording.journals import Journals
from checkrein.recording.keys import load_or_create_key


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder at its default place, with one closed session."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CHECKREIN_CONFIG", raising=False)
    folder = tmp_path / "data"
    journals = Journals(folder / "recordings", Tools(time.time, time.monotonic, load_or_create_key(folder / "keys")))
    journals.open("s1", {"target": "t"}).close("done", {})
    journals.close()
    return folder


def test_path_and_id(data: Path) -> None:
    """A path and a session's id give the same published JSON and exit status 0."""
    for what in (str(data), "s1"):
        done = CliRunner().invoke(command, [what, "--json"])
        found = json.loads(done.output)
        assert done.exit_code == 0
        assert (found["ok"], found["sessions"], found["events"], found["first_bad"]) == (True, 1, 2, None)
    assert "whole: 1 sessions, 2 events" in CliRunner().invoke(command, ["s1"]).output


def test_damage_and_unclosed(data: Path) -> None:
    """Damage exits 1 with file and event; a missing summary exits 1 unless it is allowed."""
    folder = next((data / "recordings").glob("*/s1"))
    segment = folder / "0.jsonl.zst"
    whole = segment.read_bytes()
    segment.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    done = CliRunner().invoke(command, [str(data)])
    assert done.exit_code == 1 and "NOT WHOLE" in done.output and "0.jsonl.zst" in done.output
    segment.write_bytes(whole)
    (folder / "closed.json").unlink()
    assert CliRunner().invoke(command, [str(data)]).exit_code == 1
    assert CliRunner().invoke(command, [str(data), "--allow-unclosed"]).exit_code == 0


def test_neither_path_nor_id(data: Path) -> None:
    """What is neither is wrong use, exit status 2; an id that is a path out of the folder likewise."""
    for what in ("none", "../../etc\x1b[31m"):
        done = CliRunner().invoke(command, [what])
        assert done.exit_code == 2 and "\x1b" not in done.output
