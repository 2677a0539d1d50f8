"""One segment of a journal: the plain file being appended to, and its compressed form as it closes.

Compression runs in a thread while lines are still appended: each `pack` adds one zstd frame (RFC 8878) with what came
since the last, so that the data path is left with a small tail when the segment turns. The hash and size of the closed
file are known before it is durable; the plain file goes away only after the compressed one is.
"""

from __future__ import annotations

import os
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import msgspec
import zstandard

from checkrein.recording.files import create, reopen, sync_folder, write_all

LEVEL: Final = 1
SUMMARY: Final = "closed.json"


def segment_name(stem: str, number: int) -> str:
    """Return the name of a plain segment: `N.jsonl`, or with a stem `STEM.jsonl`, `STEM.1.jsonl` ..."""
    if not stem:
        return f"{number}.jsonl"
    return f"{stem}.{number}.jsonl" if number else f"{stem}.jsonl"


class ClosedFile(msgspec.Struct, frozen=True):
    """A closed file as the next segment and the summary name it; `first` and `last` are sequence numbers."""

    file: str
    sha256: str
    size: int
    first: int
    last: int

    def as_fields(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return msgspec.structs.asdict(self)


class Segment:
    """A segment that is open for appending. `size` is what is written to the plain file; `first` its first event.

    `packed` counts the bytes of the plain file that are compressed. Appending belongs to one thread, packing to
    whoever holds the job; they touch different files.
    """

    __slots__ = ("_digest", "_part", "_part_size", "fd", "first", "folder", "packed", "plain", "size", "target")

    def __init__(self, folder: Path, plain: str, first: int, existing: bool = False) -> None:
        self.folder = folder
        self.plain = plain
        self.target = f"{plain}.zst"
        self.first = first
        self.fd = reopen(folder / plain) if existing else create(folder / plain)
        self.size = os.fstat(self.fd).st_size
        self.packed = 0
        self._part = -1
        self._part_size = 0
        self._digest = sha256()

    def pack(self, upto: int) -> None:
        """Compress the plain file from `packed` to `upto` into one more frame. Raises OSError."""
        if self._part < 0:
            self._part = create(self.folder / f"{self.target}.part")
        data = os.pread(self.fd, upto - self.packed, self.packed)
        if len(data) != upto - self.packed:
            raise OSError(f"{self.plain} is shorter than what was written to it")
        frame = zstandard.ZstdCompressor(level=LEVEL).compress(data)
        try:
            write_all(self._part, frame)
        except OSError:
            os.ftruncate(self._part, self._part_size)
            raise
        self._digest.update(frame)
        self._part_size += len(frame)
        self.packed = upto

    def closed_file(self, last: int) -> ClosedFile:
        """Return the closed file's name, hash and size; everything written must have been packed."""
        return ClosedFile(self.target, self._digest.hexdigest(), self._part_size, self.first, last)

    def settle(self) -> None:
        """Make the closed file durable under its name and remove the plain one. Raises OSError."""
        os.fsync(self._part)
        part = self.folder / f"{self.target}.part"
        part.rename(self.folder / self.target)
        sync_folder(self.folder)
        (self.folder / self.plain).unlink()

    def release(self) -> None:
        """Close both descriptors."""
        for fd in (self.fd, self._part):
            if fd >= 0:
                os.close(fd)
        self.fd = self._part = -1
