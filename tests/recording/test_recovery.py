"""What a crash leaves is finished, marked and signed; nothing that was flushed is missing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from checkrein.recording.replay import read_session
from checkrein.recording.verify_all import verify_path

from .conftest import OPENED, Desk

WRITER = """
import sys, time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from checkrein.recording.journal import Tools
from checkrein.recording.journals import Journals
from checkrein.recording.keys import load_or_create_key
data = Path(sys.argv[1])
tools = Tools(time.time, time.monotonic, load_or_create_key(data / "keys"), ThreadPoolExecutor(2), segment_bytes=20_000)
journals = Journals(data / "recordings", tools)
sessions = [journals.open(f"s{number}", {"target": "t"}) for number in range(3)]
number = 0
while True:
    for journal in sessions:
        journal.append("decided", {"number": number, "statement": "SELECT " + "x" * 300})
        journal.flush()
    sys.stdout.write(f"{number}\\n")
    sys.stdout.flush()
    number += 1
"""


@pytest.mark.parametrize("rounds", [30, 211, 704])
def test_kill_dash_nine(desk: Desk, rounds: int) -> None:
    """A writer killed mid-work: every event whose flush returned is in the journal, which is signed and verifies."""
    command = [sys.executable, "-c", WRITER, str(desk.data)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=dict(os.environ)) as process:
        assert process.stdout is not None
        for _ in range(rounds):
            told = int(process.stdout.readline())
        process.send_signal(signal.SIGKILL)
        told = max([told, *(int(line) for line in process.stdout.read().split(b"\n")[:-1] if line)])
    journals = desk.start()
    assert sorted(journals.recovered) == ["s0", "s1", "s2"] and desk.troubles == []
    found = verify_path(desk.data).as_json()
    assert found["ok"], found
    for session in ("s0", "s1", "s2"):
        folder = next((desk.data / "recordings").glob(f"*/{session}"))
        row, events = read_session(folder)
        numbers = [event["number"] for event in events if event["kind"] == "decided"]
        assert numbers == list(range(len(numbers))) and len(numbers) > told
        assert [event["kind"] for event in events[-2:]] == ["gap", "closed"] and row["state"] == "crashed"


def crashed(desk: Desk, work: Callable[..., None], statements: int = 4, segment_bytes: int = 1 << 20) -> Path:
    """Leave a session as a killed process would; return its folder."""
    journals = desk.start(segment_bytes=segment_bytes)
    journal = journals.open("s1", OPENED)
    work(journal, statements)
    journal.flush()
    desk.stop()
    return journal.folder


@pytest.mark.parametrize("cut", [1, 2, 40, 300])
def test_torn_line_is_marked_and_kept(desk: Desk, work: Callable[..., None], cut: int) -> None:
    """A line that is not whole is moved aside, its size is in the gap, and the rest verifies; the moved bytes too."""
    folder = crashed(desk, work)
    path = folder / "0.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole[:-cut])
    desk.start()
    assert verify_path(folder).as_json()["ok"]
    gap = next(event for event in read_session(folder)[1] if event["kind"] == "gap")
    torn = next(folder.glob("*.torn"))
    assert gap["bytes"] == torn.stat().st_size > 0
    assert torn.read_bytes() == whole[:-cut].rpartition(b"\n")[2]
    torn.write_bytes(b"x" * gap["bytes"])
    assert not verify_path(folder).as_json()["ok"]


@pytest.mark.parametrize("left", ["", "\n", "garbage\n", '{"seq":0}\n'])
def test_nothing_whole_was_written(desk: Desk, work: Callable[..., None], left: str) -> None:
    """A journal whose first line never got there is closed with a gap alone."""
    folder = crashed(desk, work)
    (folder / "0.jsonl").write_text(left)
    desk.start()
    assert verify_path(folder).as_json()["ok"] and desk.troubles == []


def test_empty_folder(desk: Desk) -> None:
    """A session of which only the folder was made is signed as crashed."""
    folder = desk.data / "recordings" / "2026-01-01" / "s1"
    folder.mkdir(parents=True)
    assert desk.start().recovered == ("s1",)
    assert verify_path(folder).as_json()["ok"]


@pytest.mark.parametrize("stage", ["before settle", "renamed, not unlinked", "part only", "next is empty"])
def test_half_closed_segment(desk: Desk, work: Callable[..., None], stage: str) -> None:
    """A crash at any step of closing a segment leaves something that recovery finishes."""
    folder = crashed(desk, work, statements=8, segment_bytes=2000)
    packed = folder / "0.jsonl.zst"
    import zstandard

    plain = b"".join(_decompress(zstandard, packed))
    if stage in ("before settle", "part only"):
        (folder / "0.jsonl").write_bytes(plain)
        packed.rename(folder / "0.jsonl.zst.part")
        if stage == "part only":
            (folder / "0.jsonl.zst.part").write_bytes(b"half")
    elif stage == "renamed, not unlinked":
        (folder / "0.jsonl").write_bytes(plain)
    else:
        last = max(folder.glob("*.jsonl"), key=lambda path: int(path.name.split(".")[0]))
        last.write_bytes(b"")
    desk.start()
    assert verify_path(folder).as_json()["ok"], (verify_path(folder).as_json(), desk.troubles)
    assert not list(folder.glob("*.part")) and not list(folder.glob("*.jsonl"))


def _decompress(zstandard: object, path: Path) -> list[bytes]:
    import io

    reader = zstandard.ZstdDecompressor().stream_reader(io.BytesIO(path.read_bytes()), read_across_frames=True)  # type: ignore[attr-defined]
    return [reader.read()]


def test_only_the_summary_is_missing(desk: Desk, work: Callable[..., None]) -> None:
    """A session that ended in order but for its summary keeps its own reason."""
    journal = desk.start().open("s1", OPENED)
    work(journal, 2)
    journal.close("client left", {"statements": 2})
    desk.stop()
    (journal.folder / "closed.json").unlink()
    desk.start()
    document = json.loads((journal.folder / "closed.json").read_bytes())["document"]
    assert document["reason"] == "client left" and document["totals"] == {"statements": 2}
    assert verify_path(journal.folder).as_json()["ok"]


def test_a_changed_journal_is_not_signed(desk: Desk, work: Callable[..., None]) -> None:
    """Someone who edits an unclosed journal while the gateway is down does not get it signed."""
    folder = crashed(desk, work)
    path = folder / "0.jsonl"
    path.write_bytes(path.read_bytes().replace(b"/* 1 */", b"/* 9 */"))
    assert desk.start().recovered == ()
    assert not (folder / "closed.json").exists() and len(desk.troubles) == 1
    assert verify_path(folder).as_json(allow_unclosed=True)["first_bad"]["seq"] == 3


def test_gw_31_a_stop_does_not_wait_for_a_crowds_signatures(desk: Desk, work: Callable[..., None]) -> None:
    """A stop that may wait no longer leaves signing to the next start, which signs each session as it ended."""
    busy, go_on = threading.Event(), threading.Event()

    def slow_disk() -> None:
        busy.set()
        go_on.wait(60)

    with ThreadPoolExecutor(1) as pool:
        journals = desk.start(executor=pool)
        crowd = [journals.open(f"s{number}", OPENED) for number in range(5)]
        for journal in crowd:
            work(journal, 2)
        pool.submit(slow_disk)
        busy.wait(60)
        for journal in crowd:
            journal.close("client left", {"statements": 2})
        assert journals.close(0.0) == 5
        go_on.set()
    again = desk.start()
    assert sorted(again.recovered) == [f"s{number}" for number in range(5)]
    found = verify_path(desk.data).as_json()
    assert found["ok"], found
    for journal in crowd:
        _, events = read_session(journal.folder)
        assert events[-1]["reason"] == "client left" and events[-1]["totals"] == {"statements": 2}
        assert not [event for event in events if event["kind"] == "gap"]
