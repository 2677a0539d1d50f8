"""After a crash: finish half-closed segments, mark the missing tail, sign what is there.

Nothing is thrown away: a torn end is moved to a file of its own that the summary names. A journal whose chain is broken
anywhere but at its end is left as it is, unclosed, for `verify` to name.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from checkrein.core.errors import Unavailable
from checkrein.core.events import CLOSED, GAP, SEGMENT
from checkrein.core.limits import LINE_BYTES
from checkrein.recording.chain import START, Chain
from checkrein.recording.files import create, sync_folder, write_all, write_durably
from checkrein.recording.keys import SigningKey
from checkrein.recording.segments import SUMMARY, ClosedFile, Segment, segment_name
from checkrein.recording.verify import Bad, Folder, Line, file_hash, segments, walk

CRASHED = "crashed"
_TORN_BYTES = 2 * LINE_BYTES


def recover_all(
    folder: Path, key: SigningKey, clock: Callable[[], float], on_trouble: Callable[[str], None]
) -> tuple[str, ...]:
    """Sign every unclosed session under `folder` (two levels down); return their ids."""
    done = []
    for day in sorted(folder.iterdir()):
        for session in sorted(day.iterdir()) if day.is_dir() and not day.is_symlink() else ():
            if session.is_symlink() or not session.is_dir() or (session / SUMMARY).exists():
                continue
            try:
                _Recovery(session, key, clock).run()
                done.append(session.name)
            except (OSError, Bad, Unavailable) as error:
                on_trouble(f"session {session.name} was left unclosed and stays so: {error}")
    return tuple(done)


class _Recovery:
    """One session's recovery; its state is what has been read so far."""

    def __init__(self, folder: Path, key: SigningKey, clock: Callable[[], float]) -> None:
        self.folder, self.key, self.clock = folder, key, clock
        self.source = Folder(folder)
        self.seq, self.prev = 0, START
        self.last: Line | None = None
        self.first: Line | None = None
        self.files: list[ClosedFile] = []
        self.refiled: list[str] = []

    def run(self) -> None:
        """Bring the folder into the form of a closed session. Raises OSError, Bad."""
        stem = "logins" if self.folder.parent.name == "logins" else ""
        names = segments(self.source.names())
        for name in names[:-1]:
            self._whole(name)
        if not names:
            self._finish(Segment(self.folder, segment_name(stem, 0), 0))
        elif names[-1].endswith(".zst"):
            self._whole(names[-1])
            ended = self.last is not None and self.last.kind == CLOSED
            self._sign() if ended else self._finish(Segment(self.folder, segment_name(stem, len(names)), self.seq))
        else:
            self._last(names[-1])

    def _whole(self, name: str) -> None:
        """Take in a segment that has a successor, or is closed: it must be whole."""
        first = self.seq
        self._read(name)
        if name.endswith(".zst"):
            (self.folder / name.removesuffix(".zst")).unlink(missing_ok=True)  # settled, but for this
            sha, size = file_hash(self.source, name)
            self.files.append(ClosedFile(name, sha, size, first, self.seq - 1))
            return
        part = self.folder / f"{name}.zst.part"
        if part.exists():
            # it may lack its end after a power cut, so the plain file is compressed again; same input, same bytes,
            # unless it went in several pieces: then the next segment names another hash, and the summary says so
            part.unlink()
        self._settle(Segment(self.folder, name, first, existing=True))
        self.refiled.append(f"{name}.zst")

    def _last(self, name: str) -> None:
        """Take in the segment that was open: keep its whole lines, move a torn end aside."""
        first = self.seq
        try:
            self._read(name)
        except Bad as bad:
            if bad.where["seq"] != self.seq:
                raise
        (self.folder / f"{name}.zst.part").unlink(missing_ok=True)
        segment = Segment(self.folder, name, first, existing=True)
        self._cut(segment, self._good_end(name, first))
        ended = self.last is not None and self.last.kind == CLOSED and not self._torn()
        self._settle(segment) if ended else self._finish(segment)
        if ended:
            self._sign()

    def _read(self, name: str) -> None:
        for line in walk(self.source, name, self.seq, self.prev, None, self.last):
            self.first = self.first or line
            self.seq, self.prev, self.last = line.seq + 1, line.hash, line

    def _good_end(self, name: str, first: int) -> int:
        """Return where the last whole line of a plain segment ends."""
        if self.last is None or self.seq == first:
            return 0
        with (self.folder / name).open("rb") as file:
            file.seek(self.last.offset)
            return self.last.offset + len(file.readline(LINE_BYTES + 2))

    def _cut(self, segment: Segment, end: int) -> None:
        """Move what follows the last whole line into a file of its own."""
        rest = os.pread(segment.fd, _TORN_BYTES + 1, end)
        if not rest:
            return
        if len(rest) > _TORN_BYTES:
            raise OSError("more follows the last whole line than one torn line")
        name = f"{segment.plain}.{end}.torn"
        (self.folder / name).unlink(missing_ok=True)
        fd = create(self.folder / name)
        try:
            write_all(fd, rest)
            os.fsync(fd)
        finally:
            os.close(fd)
        sync_folder(self.folder)
        os.ftruncate(segment.fd, end)
        segment.size = end

    def _torn(self) -> list[dict[str, Any]]:
        """Return the torn ends kept in the folder, those of an interrupted earlier recovery too."""
        found = ((name, *file_hash(self.source, name)) for name in self.source.names() if name.endswith(".torn"))
        return [{"file": name, "sha256": sha, "size": size} for name, sha, size in found]

    def _finish(self, segment: Segment) -> None:
        """Append the gap and the closed event, close the segment, sign."""
        chain = Chain(self.seq, self.prev)
        now = self.clock()
        if self.files and segment.size == 0:
            chain.add(SEGMENT, self.files[-1].as_fields(), now, 0.0)
        why = "the gateway stopped without closing this journal; what was not yet durable may be missing"
        torn = sum(torn["size"] for torn in self._torn())
        chain.add(GAP, {"lost": None, "bytes": torn, "why": why}, now, 0.0)
        chain.add(CLOSED, {"reason": CRASHED, "totals": {}}, now, 0.0)
        data = chain.take()
        write_all(segment.fd, data)
        segment.size += len(data)
        self.seq, self.prev = chain.seq, chain.prev
        self._settle(segment)
        self._sign()

    def _settle(self, segment: Segment) -> None:
        try:
            segment.pack(segment.size)
            self.files.append(segment.closed_file(self.seq - 1))
            segment.settle()
        finally:
            segment.release()

    def _sign(self) -> None:
        ended = self.last.event if self.last is not None and self.last.kind == CLOSED else {}
        opened = self.first.event.get("at", 0.0) if self.first is not None else self.clock()
        document = {
            "v": 1,
            "session": self.folder.name,
            "reason": ended.get("reason", CRASHED),
            "totals": ended.get("totals", {}),
            "opened": opened,
            "closed": ended.get("at", round(self.clock(), 6)),
            "events": self.seq,
            "head": self.prev,
            "files": [file.as_fields() for file in self.files],
            "recovered": True,
            "refiled": self.refiled,
            "torn": self._torn(),
        }
        write_durably(self.folder / SUMMARY, self.key.sign(document))
