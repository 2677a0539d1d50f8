"""Dates and timestamps between their binary form and ISO text (PostgreSQL counts from 2000-01-01)."""

from __future__ import annotations

import struct
from datetime import UTC, date, datetime, timedelta
from typing import Final

_EPOCH: Final = date(2000, 1, 1)
_MOMENT: Final = datetime(2000, 1, 1)
_DAY: Final = 86_400_000_000
_MICROSECOND: Final = timedelta(microseconds=1)
_ENDS: Final = {8: (2**63 - 1, -(2**63)), 4: (2**31 - 1, -(2**31))}


def _count(value: bytes, size: int) -> int:
    if len(value) != size:
        raise ValueError("a time of another size")
    return int.from_bytes(value, "big", signed=True)


def _calendar(days: int) -> tuple[int, int, int]:
    """Year, month and day of a number of days from 2000-01-01 in the proleptic Gregorian calendar; any year.

    Python's own dates end at the years 1 and 9999; the calendar repeats every 400 years, which are 146097 days.
    """
    cycles, rest = divmod(days, 146_097)
    found = _EPOCH + timedelta(days=rest)
    return found.year + 400 * cycles, found.month, found.day


def _written(days: int) -> tuple[str, str]:
    year, month, day = _calendar(days)
    era = "" if year > 0 else " BC"
    return f"{year if year > 0 else 1 - year:04d}-{month:02d}-{day:02d}", era


def date_text(value: bytes) -> bytes:
    """`date_send`: days."""
    days = _count(value, 4)
    if days in _ENDS[4]:
        return b"infinity" if days > 0 else b"-infinity"
    return "".join(_written(days)).encode()


def _moment(value: bytes, zone: str) -> bytes:
    count = _count(value, 8)
    if count in _ENDS[8]:
        return b"infinity" if count > 0 else b"-infinity"
    days, rest = divmod(count, _DAY)
    day, era = _written(days)
    seconds, micros = divmod(rest, 1_000_000)
    fraction = f".{micros:06d}".rstrip("0") if micros else ""
    clock = f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}{fraction}"
    return f"{day} {clock}{zone}{era}".encode()


def timestamp_text(value: bytes) -> bytes:
    """`timestamp_send`: microseconds."""
    return _moment(value, "")


def timestamptz_text(value: bytes) -> bytes:
    """`timestamptz_send`: microseconds, UTC."""
    return _moment(value, "+00")


def _end(text: bytes, size: int) -> bytes | None:
    if text in (b"infinity", b"-infinity"):
        return _ENDS[size][0 if text == b"infinity" else 1].to_bytes(size, "big", signed=True)
    return None


def pack_date(text: bytes) -> bytes:
    """Return the binary form of an ISO date of the years 1 to 9999, or of infinity."""
    found = _end(text, 4)
    return found if found is not None else struct.pack(">i", (date.fromisoformat(text.decode()) - _EPOCH).days)


def pack_timestamp(text: bytes) -> bytes:
    """Return the binary form of an ISO timestamp without zone."""
    found = _end(text, 8)
    if found is not None:
        return found
    moment = datetime.fromisoformat(text.decode())
    if moment.tzinfo is not None:
        raise ValueError("a zone where there is none")
    return struct.pack(">q", (moment - _MOMENT) // _MICROSECOND)


def pack_timestamptz(text: bytes) -> bytes:
    """Return the binary form of an ISO timestamp with zone."""
    found = _end(text, 8)
    if found is not None:
        return found
    moment = datetime.fromisoformat(text.decode())
    if moment.tzinfo is None:
        raise ValueError("no zone")
    return struct.pack(">q", (moment.astimezone(UTC).replace(tzinfo=None) - _MOMENT) // _MICROSECOND)
