"""One session's journal: append, write before the effect, turn segments, close with a signed summary.

Appending, flushing and closing belong to one thread (the loop's). Compressing, fsyncing and signing are jobs of the
executor; the data path looks at their outcome and never waits for them. With no executor they run in place.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future
from pathlib import Path
from typing import Any

from checkrein.core.errors import Unavailable
from checkrein.core.events import CLOSED, GAP, OPENED, SEGMENT
from checkrein.core.limits import SEGMENT_BYTES, SEGMENT_TAIL_BYTES
from checkrein.recording.chain import Chain
from checkrein.recording.files import sync_folder, write_all, write_durably
from checkrein.recording.keys import SigningKey
from checkrein.recording.segments import SUMMARY, ClosedFile, Segment, segment_name


def _ignore(_: object) -> None:
    """Stand for a listener that is not there."""


class Health:
    """Whether the last write of any journal went through; shared by all of one gateway."""

    __slots__ = ("ok",)

    def __init__(self) -> None:
        self.ok = True


class Tools:
    """What journals share. `clock` gives epoch seconds, `mono` monotonic ones.

    `on_dirty` is told once when a journal has unsynced bytes (see sync.py), `on_trouble` a sentence when a background
    job failed. `executor` may be None: jobs then run in place. A plain class: the module is compiled.
    """

    def __init__(
        self,
        clock: Callable[[], float],
        mono: Callable[[], float],
        key: SigningKey,
        executor: Executor | None = None,
        on_dirty: Callable[[Any], None] = _ignore,
        on_trouble: Callable[[str], None] = _ignore,
        segment_bytes: int = SEGMENT_BYTES,
        health: Health | None = None,
    ) -> None:
        self.clock = clock
        self.mono = mono
        self.key = key
        self.executor = executor
        self.on_dirty = on_dirty
        self.on_trouble = on_trouble
        self.segment_bytes = segment_bytes
        self.health = health if health is not None else Health()


class Journal:
    """An append-only file of events; see gate.ports.SessionJournal for the verbs the gate uses.

    `dirty` is True from a write to the next sync. `finished` is the job that signs, once closed.
    """

    def __init__(self, folder: Path, session: str, tools: Tools, fields: dict[str, Any], stem: str = "") -> None:
        self.session = session
        self.folder = folder
        self.dirty = False
        self.finished: Future[None] | None = None
        self._tools = tools
        self._stem = stem
        self._chain = Chain()
        self._files: list[ClosedFile] = []
        self._lock = threading.Lock()  # guards descriptors against a sync in a thread while a segment is released
        self._jobs: list[Future[None]] = []
        self._packing: Future[None] | None = None
        self._names_synced = 0  # segments whose names are durable
        self._lost = 0
        self._why_lost = ""
        self._broken = ""
        self._closed = False
        self._opened_at = tools.clock()
        self._number = 0
        self._segment = self._new_segment()
        self._live = [self._segment]
        self._turn_at = tools.segment_bytes
        try:
            self.append(OPENED, {"session": session, **fields})
            self.flush()
        except Unavailable:
            self._abandon()
            raise

    # --- what the gate calls ---------------------------------------------------------------------

    def append(self, kind: str, fields: dict[str, Any], encoded: bytes = b"") -> None:
        """Buffer one event; `encoded` holds further members of it as JSON. Raises Unavailable when it is no line."""
        if self._lost:
            self._own_up()
        self._chain.add(kind, fields, self._tools.clock(), self._tools.mono(), encoded)

    def flush(self) -> None:
        """Write what is buffered with one write.

        Raises Unavailable when that fails: then none of it is in the file, nothing of it may take effect, and the next
        event is preceded by a `gap`.
        """
        data = self._chain.take()
        if not data:
            return
        if self._broken or self._closed:
            self._chain.roll_back()
            raise Unavailable(self._broken or "the journal is closed")
        try:
            write_all(self._segment.fd, data)
        except OSError as error:
            raise self._write_failed(error) from error
        self._chain.commit()
        self._lost = 0
        self._tools.health.ok = True
        segment = self._segment
        segment.size += len(data)
        if not self.dirty:
            self.dirty = True
            self._tools.on_dirty(self)
        if segment.size >= self._turn_at:
            self._turn()

    def close(self, reason: str, totals: dict[str, Any]) -> None:
        """Write the `closed` event; the summary with its signature follows in a job (`finished`). Idempotent."""
        if self._closed:
            return
        self._turn_at = 1 << 62
        try:
            self.append(CLOSED, {"reason": reason, "totals": totals})
            self.flush()
        except Unavailable as error:
            self._closed = True
            self._tools.on_trouble(f"session {self.session} could not be closed in its journal: {error}")
            self.finished = self._submit(self._abandon)
            return
        self._closed = True
        self.finished = self._submit(lambda: self._finish(reason, totals))

    # --- durability ------------------------------------------------------------------------------

    def sync(self) -> None:
        """Make everything flushed so far durable; call it in a thread. Raises Unavailable."""
        with self._lock:
            try:
                for segment in tuple(self._live):
                    os.fdatasync(segment.fd)
                if self._names_synced <= self._number:
                    self._names_synced = self._number + 1
                    for folder in (self.folder, self.folder.parent, self.folder.parent.parent):
                        sync_folder(folder)
            except OSError as error:
                # after a failed fsync nobody knows what is on disk: never trust this file again
                self._broken = f"the journal could not be synced: {error.strerror}"
                self._tools.health.ok = False
                raise Unavailable(self._broken) from error

    # --- failures --------------------------------------------------------------------------------

    def _write_failed(self, error: OSError) -> Unavailable:
        """Undo a failed write in the file and in the chain."""
        self._lost += self._chain.roll_back()
        self._why_lost = error.strerror or type(error).__name__
        self._tools.health.ok = False
        try:
            os.ftruncate(self._segment.fd, self._segment.size)
        except OSError:
            self._broken = "the journal holds half a line that cannot be removed"
        return Unavailable(f"the journal cannot be written: {self._why_lost}")

    def _own_up(self) -> None:
        """Put the gap event before the first event that follows a loss."""
        if not self._chain.pending:
            fields = {"lost": self._lost, "why": self._why_lost}
            self._chain.add(GAP, fields, self._tools.clock(), self._tools.mono())

    # --- segments --------------------------------------------------------------------------------

    def _new_segment(self) -> Segment:
        try:
            return Segment(self.folder, segment_name(self._stem, self._number), self._chain.seq)
        except OSError as error:
            raise Unavailable(f"no journal segment can be made: {error.strerror}") from error

    def _turn(self) -> None:
        """Move on to the next segment once the thread has compressed all but a small tail of this one."""
        if self._packing is None:
            self._start_packing()
        if self._packing is None or not self._packing.done():
            return
        segment, trouble = self._segment, self._packing.exception()
        if trouble is None and segment.size - segment.packed > SEGMENT_TAIL_BYTES:
            self._start_packing()
            return
        self._packing = None
        try:
            if trouble is not None:
                raise trouble
            segment.pack(segment.size)
            self._begin_next(segment)
        except (OSError, Unavailable) as error:
            # the segment stays open and grows; tried again after as much again
            self._turn_at = segment.size + self._tools.segment_bytes
            self._tools.on_trouble(f"session {self.session}: a segment could not be closed: {error}")

    def _start_packing(self) -> None:
        segment, upto = self._segment, self._segment.size
        self._packing = self._submit(lambda: segment.pack(upto))

    def _begin_next(self, old: Segment) -> None:
        """Open the next segment, whose first event names the closed file before; hand the old one over to settle."""
        closed = old.closed_file(self._chain.seq - 1)
        self._number += 1
        try:
            new = self._new_segment()
        except Unavailable:
            self._number -= 1
            raise
        self._chain.add(SEGMENT, closed.as_fields(), self._tools.clock(), self._tools.mono())
        data = self._chain.take()
        try:
            write_all(new.fd, data)
        except OSError:
            self._number -= 1
            self._chain.roll_back()
            new.release()
            (self.folder / new.plain).unlink(missing_ok=True)
            raise
        self._chain.commit()
        new.size = len(data)
        self._files.append(closed)
        self._live.append(new)  # without the lock: a sync may hold it, and this is the data path
        self._segment = new
        self._turn_at = self._tools.segment_bytes
        self._jobs = [job for job in self._jobs if not job.done() or job.exception()]
        self._jobs.append(self._submit(lambda: self._settle(old)))

    def _settle(self, segment: Segment) -> None:
        segment.settle()
        with self._lock:
            self._live.remove(segment)
            segment.release()

    # --- the end ---------------------------------------------------------------------------------

    def _finish(self, reason: str, totals: dict[str, Any]) -> None:
        """Close the last segment and write the signed summary. Earlier jobs were queued before this one."""
        segment = self._segment
        try:
            if self._packing is not None:
                self._packing.exception()  # only waits: what it did not pack is packed below
            for job in self._jobs:
                job.result()  # a segment that could not be settled must not be signed for
            segment.pack(segment.size)
            self._files.append(segment.closed_file(self._chain.seq - 1))
            self._settle(segment)
            document = summary(
                self.session, reason, totals, self._opened_at, self._tools.clock(), self._chain, self._files
            )
            write_durably(self.folder / SUMMARY, self._tools.key.sign(document))
        except Exception as error:  # noqa: BLE001 - the border of a job: whatever failed, the next start signs
            self._tools.on_trouble(f"session {self.session}: the summary could not be written: {error}")
            self._abandon()

    def _abandon(self) -> None:
        """Give the descriptors back; recovery at the next start signs what is there."""
        with self._lock:
            for segment in self._live:
                segment.release()
            self._live.clear()

    def _submit(self, job: Callable[[], None]) -> Future[None]:
        if self._tools.executor is not None:
            with contextlib.suppress(RuntimeError):  # it is shut down: what is left is done in place
                return self._tools.executor.submit(job)
        future: Future[None] = Future()
        try:
            job()
        except Exception as error:  # noqa: BLE001 - an executor's future carries whatever was raised
            future.set_exception(error)
        else:
            future.set_result(None)
        return future


def summary(
    session: str,
    reason: str,
    totals: dict[str, Any],
    opened: float,
    closed: float,
    chain: Chain,
    files: list[ClosedFile],
) -> dict[str, Any]:
    """Return the closing summary: what is signed. `head` is the hash of the last line."""
    return {
        "v": 1,
        "session": session,
        "reason": reason,
        "totals": totals,
        "opened": round(opened, 6),
        "closed": round(closed, 6),
        "events": chain.seq,
        "head": chain.prev,
        "files": [file.as_fields() for file in files],
    }
