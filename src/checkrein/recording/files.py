"""Private files and folders: exclusive creation, whole writes, durable renames. Files are 0600, folders 0700."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final

_CREATE: Final = os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def create(path: Path) -> int:
    """Create a file for appending and reading back; it must not exist. Return its descriptor. Raises OSError."""
    return os.open(path, _CREATE | os.O_APPEND | os.O_RDWR, 0o600)


def reopen(path: Path) -> int:
    """Open an existing regular file for appending and reading back. Raises OSError."""
    fd = os.open(path, os.O_APPEND | os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise OSError(f"{path.name} is not a regular file")
    return fd


def write_all(fd: int, data: bytes) -> None:
    """Write everything, normally with one write. Raises OSError; then an unknown part of it is in the file."""
    done = os.write(fd, data)
    while done < len(data):
        done += os.write(fd, data[done:])


def private_folder(path: Path) -> None:
    """Make a folder (0700) unless it is there. Raises OSError when something else has its name."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)


def sync_folder(path: Path) -> None:
    """Make the names in a folder durable. Raises OSError."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def write_durably(path: Path, data: bytes) -> None:
    """Write a small file so that it is there whole or not at all, also after a power cut. Raises OSError."""
    part = path.with_name(path.name + ".part")
    part.unlink(missing_ok=True)
    fd = create(part)
    try:
        write_all(fd, data)
        os.fsync(fd)
    finally:
        os.close(fd)
    part.rename(path)
    sync_folder(path.parent)


def read_regular(path: Path, most: int) -> bytes:
    """Read a regular file of at most `most` bytes. Raises OSError."""
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    with os.fdopen(fd, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode) or size > most:
            raise OSError(f"{path.name} is not a regular file of at most {most} bytes")
        return file.read(most)
