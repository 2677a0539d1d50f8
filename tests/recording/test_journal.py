"""Journals on a real file system: segments, modes, full disks, failed syncs."""

from __future__ import annotations

import json
import os
import resource
import stat
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from checkrein.core.errors import Unavailable
from checkrein.recording import journal as journal_module
from checkrein.recording.verify_all import verify_path

from .conftest import OPENED, Desk


def lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def test_nothing_is_buffered_past_a_flush(desk: Desk) -> None:
    """After flush the event is in the open file, which is plain JSON Lines and private."""
    journal = desk.start().open("s1", OPENED)
    journal.append("decided", {"statement": "SELECT 1"})
    path = journal.folder / "0.jsonl"
    assert len(lines(path)) == 1
    journal.flush()
    assert [event["kind"] for event in lines(path)] == ["opened", "decided"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(journal.folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((desk.data / "keys" / "recording.key").stat().st_mode) == 0o600


class Pool(ThreadPoolExecutor):
    """Threads whose jobs can be waited for."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Start a job and remember it."""
        job = super().submit(fn, *args, **kwargs)
        self.jobs = [*getattr(self, "jobs", []), job]
        return job

    def settle(self) -> None:
        """Wait for every job."""
        for job in getattr(self, "jobs", []):
            job.result()


@pytest.mark.parametrize("threads", [0, 2])
def test_segments_turn_and_verify(desk: Desk, work: Callable[..., None], threads: int) -> None:
    """Segments close in place and in threads alike; each names the closed file before; the whole verifies."""
    pool = Pool(threads) if threads else None
    journal = desk.start(segment_bytes=4096, executor=pool).open("s1", OPENED)
    for _ in range(30):
        work(journal, 10)
        if pool is not None:
            pool.settle()
    journal.close("done", {"statements": 300})
    journal.close("again", {})
    desk.stop()
    if pool is not None:
        pool.shutdown()
    names = sorted(os.listdir(journal.folder))
    assert "closed.json" in names and len(names) >= 3 and all(n.endswith((".zst", ".json")) for n in names)
    found = verify_path(desk.data).as_json()
    assert found["ok"] and found["sessions"] == 1 and found["events"] >= 602
    document = json.loads((journal.folder / "closed.json").read_bytes())["document"]
    assert document["totals"] == {"statements": 300} and document["reason"] == "done"
    assert desk.troubles == []


def test_ids_cannot_leave_the_folder(desk: Desk) -> None:
    """A session id that is a path is refused, as is one that was there before."""
    journals = desk.start()
    for id in ("../x", "a/b", "", ".hidden", "a" * 65):
        with pytest.raises(Unavailable):
            journals.open(id, OPENED)
    journals.open("s1", OPENED)
    with pytest.raises(Unavailable):
        journals.open("s1", OPENED)


def test_one_gateway_a_folder(desk: Desk) -> None:
    """A second gateway on the same folder is refused: it would sign the first one's sessions as crashed."""
    desk.start()
    first = desk.journals
    with pytest.raises(Unavailable):
        desk.start()
    desk.journals = first


def test_write_failure_is_a_gap(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A failed write raises, leaves no half line, drops what it did not write, and owns up before the next event."""
    journals = desk.start()
    journal = journals.open("s1", OPENED)

    def half(fd: int, data: bytes) -> None:
        os.write(fd, data[: len(data) // 2])
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(journal_module, "write_all", half)
        journal.append("decided", {"statement": "lost"})
        journal.append("answered", {})
        with pytest.raises(Unavailable):
            journal.flush()
        assert not journals.healthy()
    journal.append("decided", {"statement": "kept"})
    journal.flush()
    assert journals.healthy()
    journal.close("done", {})
    desk.stop()
    assert verify_path(desk.data).as_json()["ok"]
    from checkrein.recording.replay import read_session

    events = read_session(journal.folder)[1]
    assert [event["kind"] for event in events] == ["opened", "gap", "decided", "closed"]
    assert events[1]["lost"] == 2 and "space" in events[1]["why"] and events[2]["statement"] == "kept"


FULL = """
import resource, signal, sys, time
from pathlib import Path
from typing import Any
from checkrein.core.errors import Unavailable
from checkrein.recording.journal import Tools
from checkrein.recording.journals import Journals
from checkrein.recording.keys import load_or_create_key
data = Path(sys.argv[1])
tools = Tools(time.time, time.monotonic, load_or_create_key(data / "keys"), on_trouble=lambda s: None)
journal = Journals(data / "recordings", tools).open("s1", {"target": "t"})
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, resource.RLIM_INFINITY))
written = 0
try:
    while True:
        journal.append("decided", {"statement": "x" * 900})
        journal.flush()
        written += 1
except Unavailable:
    pass
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
journal.append("decided", {"statement": "after"})
journal.flush()
journal.close("done", {"written": written})
"""


def test_full_disk_for_real(tmp_path: Path) -> None:
    """When the kernel cuts a write short, what flush promised is there, the rest is a gap, and the chain holds."""
    subprocess.run([sys.executable, "-c", FULL, str(tmp_path)], check=True, env=dict(os.environ), timeout=60)
    found = verify_path(tmp_path).as_json()
    assert found["ok"], found
    summary = next((tmp_path / "recordings").glob("*/s1/closed.json"))
    written = json.loads(summary.read_bytes())["document"]["totals"]["written"]
    assert 10 < written < 22 and found["events"] == written + 4  # opened, gap, decided, closed


def test_failed_sync_is_final(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a failed fsync nothing more may take effect in this session, whatever later calls return."""
    journal = desk.start().open("s1", OPENED)

    def fail(_: int) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fdatasync", fail)
        with pytest.raises(Unavailable):
            journal.sync()
    journal.append("decided", {})
    with pytest.raises(Unavailable):
        journal.flush()


def test_refused_logins_are_bounded(desk: Desk) -> None:
    """A flood of refused logins is recorded up to its rate, the rest as a gap with its count; the chain verifies."""
    journals = desk.start()
    for _ in range(500):
        journals.login_refused({"reason": "bad token", "client": "10.0.0.1:1"})
    assert next((desk.data / "recordings" / "logins").glob("*/logins.jsonl")).stat().st_size < 100_000
    desk.stop()
    found = verify_path(desk.data).as_json()
    assert found["ok"] and 100 <= found["events"] <= 140


def test_no_descriptor_is_left(desk: Desk, work: Callable[..., None]) -> None:
    """Opening, turning and closing sessions gives every descriptor back."""
    journals = desk.start(segment_bytes=2048)
    before = len(os.listdir("/proc/self/fd"))
    for number in range(5):
        journal = journals.open(f"s{number}", OPENED)
        work(journal, 30)
        journal.sync()
        journal.close("done", {})
    assert len(os.listdir("/proc/self/fd")) == before
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] > before


def test_a_session_that_never_was(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """When not even the opened event can be written, open raises and leaves neither folder nor descriptor."""
    journals = desk.start()
    before = len(os.listdir("/proc/self/fd"))

    def full(fd: int, data: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(journal_module, "write_all", full)
    with pytest.raises(Unavailable):
        journals.open("s1", OPENED)
    assert not list((desk.data / "recordings").glob("*/s1"))
    assert len(os.listdir("/proc/self/fd")) == before and not journals.healthy()


def test_closing_after_the_executor(desk: Desk, work: Callable[..., None]) -> None:
    """A session closed when the executor is gone already is signed in place, not left behind."""
    pool = ThreadPoolExecutor(1)
    journal = desk.start(executor=pool).open("s1", OPENED)
    work(journal, 2)
    pool.shutdown()
    journal.close("shutdown", {})
    desk.stop()
    assert verify_path(journal.folder).as_json()["ok"]
