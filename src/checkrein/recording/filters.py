"""Filters of `sessions ls`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

import msgspec

from checkrein.core.limits import LIST_SESSIONS

_TEXTS: Final = ("principal", "target", "touches", "rule", "verdict", "text")
_VERDICTS: Final = ("", "allow", "deny", "ask")
_DEFAULT: Final = 100


class Filters(msgspec.Struct, frozen=True):
    """What to search for; empty means any. Times are epoch seconds."""

    principal: str = ""
    target: str = ""
    since: float | None = None
    until: float | None = None
    touches: str = ""
    rule: str = ""
    verdict: str = ""
    text: str = ""
    limit: int = _DEFAULT


def parse_filters(given: dict[str, str]) -> Filters:
    """Read filters as they come over the API. Raises ValueError naming the one that is wrong."""
    unknown = set(given) - {*_TEXTS, "since", "until", "limit"}
    if unknown:
        raise ValueError(f"there is no filter {min(unknown)[:40]!r}")
    limit = given.get("limit") or str(_DEFAULT)
    if not limit.isascii() or not limit.isdigit() or len(limit) > 9 or not 0 < int(limit) <= LIST_SESSIONS:
        raise ValueError(f"limit is a number from 1 to {LIST_SESSIONS}")
    verdict = given.get("verdict", "")
    if verdict not in _VERDICTS:
        raise ValueError("verdict is allow, deny or ask")
    return Filters(
        **{name: given[name] for name in _TEXTS if name in given},
        since=_time("since", given.get("since")),
        until=_time("until", given.get("until")),
        limit=int(limit),
    )


def _time(name: str, value: str | None) -> float | None:
    """Read epoch seconds, or a date or date and time of ISO 8601 (UTC unless it says otherwise)."""
    if not value:
        return None
    try:
        return float(value)
    except ValueError:
        pass
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        raise ValueError(f"{name} is a date like 2026-01-31T12:00, or epoch seconds") from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
