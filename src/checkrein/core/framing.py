"""Walking frames of a type byte and a big-endian int32 length that counts itself but not the type byte.

PostgreSQL speaks such frames from start to end. Nothing here copies or looks at a payload: a read of 256 KiB with
thousands of rows is one call that says how many whole frames there are and where the last one ends. Offsets are byte
offsets into `buffer`; a returned end is always the start of the next frame. Compiled when the wheel is built.
"""

from __future__ import annotations

from typing import Final

from mypy_extensions import i64

from checkrein.core.errors import ProtocolError
from checkrein.core.side import Side

HEADER: Final = 5
"""Bytes of a frame before its payload."""


def int32_at(buffer: bytes, offset: i64) -> i64:
    """Return the unsigned big-endian 32-bit integer at an offset; the caller knows that four bytes are there."""
    first: i64 = buffer[offset]  # one native integer each: shifting what an index gives would be done with boxed ones
    second: i64 = buffer[offset + 1]
    third: i64 = buffer[offset + 2]
    fourth: i64 = buffer[offset + 3]
    return (first << 24) | (second << 16) | (third << 8) | fourth


def frame_size(buffer: bytes, offset: i64, limit: i64, blame: Side) -> i64:
    """Return the size of the frame at an offset, header included, whether or not all of it is there yet.

    0 means that fewer than five bytes are there. Raises ProtocolError when the length is below four or the frame is
    longer than `limit` bytes.
    """
    if len(buffer) - offset < 5:
        return 0
    size: i64 = int32_at(buffer, offset + 1) + 1
    if size < 5 or size > limit:
        raise bad_size(size, limit, blame)
    return size


def bad_size(size: int, limit: int, blame: Side) -> ProtocolError:
    """Return the error for a frame of impossible or forbidden size."""
    if size < HEADER:
        return ProtocolError(f"a frame says that its length is {size - 1}; the least is 4", blame, "08P01")
    return ProtocolError(f"a frame of {size} bytes is longer than the limit of {limit}", blame, "54000")


def whole_frames(buffer: bytes, start: i64, limit: i64, blame: Side) -> tuple[int, int]:
    """Return (count, end) of the whole frames, of any type, from `start` on.

    What follows `end` is the beginning of a frame that is not all there. Raises ProtocolError as `frame_size` does,
    for that one too.
    """
    count: i64 = 0
    at: i64 = start
    length: i64 = len(buffer)
    while length - at >= 5:
        size: i64 = int32_at(buffer, at + 1) + 1
        if size < 5 or size > limit:
            raise bad_size(size, limit, blame)
        if size > length - at:
            break
        at += size
        count += 1
    return count, at


def run_of(buffer: bytes, start: i64, kind: i64, limit: i64, blame: Side) -> tuple[int, int]:
    """Return (count, end) of the whole frames from `start` on whose type byte is `kind`, up to the first other one.

    Raises ProtocolError as `frame_size` does.
    """
    count: i64 = 0
    at: i64 = start
    length: i64 = len(buffer)
    while length - at >= 5:
        if buffer[at] != kind:
            break
        size: i64 = int32_at(buffer, at + 1) + 1
        if size < 5 or size > limit:
            raise bad_size(size, limit, blame)
        if size > length - at:
            break
        at += size
        count += 1
    return count, at


def frame(kind: bytes, payload: bytes) -> bytes:
    """Return one frame; `kind` is its type byte."""
    return kind + (len(payload) + 4).to_bytes(4, "big") + payload
