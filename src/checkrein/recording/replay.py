"""Reading journals back: events of a session, and the row and search terms that the index keeps of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgspec

from checkrein.core.errors import Unavailable
from checkrein.core.events import ANSWERED, APPROVAL_ASKED, CLOSED, DECIDED, OPENED, REFUSED
from checkrein.core.limits import INDEX_TERMS, INDEX_TEXT
from checkrein.recording.segments import SUMMARY
from checkrein.recording.verify import Bad, Folder, raw_lines, segments

_decode = msgspec.json.Decoder().decode
Event = dict[str, Any]

_SNAPSHOTS: Final = 10_000
"""Policy snapshots of one session that are counted; a reload is rarer than that."""


LOOKS: Final = 8
"""How often a journal is looked at anew because a segment closed meanwhile; each look is a new listing."""


class Follower:
    """Reads a session's journal from where it last stopped, across segments that close meanwhile."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._at = 0  # index of the segment being read
        self._offset = 0  # of its lines, whether it is open or closed

    def read(self) -> Iterator[Event]:
        """Yield events written since the last call; a line not whole yet is left for the next. Raises Unavailable."""
        for _ in range(LOOKS):
            try:
                yield from self._segments(Folder(self.folder))
                return
            except FileNotFoundError:
                continue  # a segment closed between listing and opening: it is there under its new name
            except (Bad, OSError, ValueError, RecursionError) as error:  # ValueError: no JSON, or no UTF-8
                raise Unavailable(f"the recording in {self.folder.name} cannot be read: {error}") from error
        raise Unavailable(f"the recording in {self.folder.name} cannot be read: its segments keep closing; try again")

    def _segments(self, source: Folder) -> Iterator[Event]:
        names = segments(source.names())
        for index in range(self._at, len(names)):
            if index > self._at:
                self._at, self._offset = index, 0
            yield from self._lines(source, names[index])

    def _lines(self, source: Folder, name: str) -> Iterator[Event]:
        try:
            for offset, raw in raw_lines(source, name):
                if offset < self._offset:
                    continue
                if not raw.endswith(b"\n"):
                    return
                self._offset = offset + len(raw)
                event = _decode(raw)
                if isinstance(event, dict):
                    yield event
        except Bad as bad:
            if isinstance(bad.__cause__, FileNotFoundError):
                raise bad.__cause__ from None
            raise


def is_closed(folder: Path) -> bool:
    """Whether a session's summary is there."""
    return (folder / SUMMARY).exists()


def read_session(folder: Path, most: int | None = None) -> tuple[dict[str, Any], list[Event]]:
    """Return a session's row, as `sessions ls` shows it, and its first events (`most` of them). Raises Unavailable."""
    tally = Tally(folder.name)
    events: list[Event] = []
    for event in Follower(folder).read():
        tally.add(event)
        if most is None or len(events) < most:
            events.append(event)
    return tally.row(is_closed(folder)), events


class Tally:
    """What the index keeps of one session. `terms` are (kind, value); `overflow` says that not all texts fitted."""

    def __init__(self, session: str) -> None:
        self.session = session
        self.terms: set[tuple[str, str]] = set()
        self.overflow = False
        self._texts = 0
        self.snapshots: set[str] = set()
        self._opened: Event = {}
        self._closed: Event = {}
        self._counts = {"statements": 0, "refused": 0, "asked": 0, "masked": 0}

    def add(self, event: Event) -> None:
        """Count one event."""
        kind = event.get("kind")
        if kind == DECIDED:
            self._decided(event)
        elif kind == ANSWERED:
            self._counts["masked"] += sum(n for n in _table(event, "masked").values() if isinstance(n, int))
        elif kind == APPROVAL_ASKED:
            self._counts["asked"] += 1
        elif kind == OPENED:
            self._opened = event
            self._snapshot(event)
        elif kind == CLOSED:
            self._closed = event

    def row(self, closed: bool) -> dict[str, Any]:
        """Return the session as `sessions ls` shows it; `state` is open, closed or crashed."""
        opened = self._opened
        reason = str(self._closed.get("reason", ""))
        state = "open" if not self._closed and not closed else "crashed" if reason == "crashed" else "closed"
        return {
            "id": self.session,
            **{name: str(opened.get(name, "")) for name in ("principal", "issuer")},
            **{name: list(_items(opened, name)) for name in ("groups", "actors")},
            **{name: str(opened.get(name, "")) for name in ("target", "profile", "protocol", "client")},
            "opened": _moment(opened),
            "closed": _moment(self._closed) if self._closed else None,
            "state": state,
            "reason": reason,
            **self._counts,
        }

    def _snapshot(self, event: Event) -> None:
        if len(self.snapshots) < _SNAPSHOTS:
            self.snapshots.add(str(event.get("snapshot", "")))

    def _decided(self, event: Event) -> None:
        self._snapshot(event)
        refused = event.get("outcome") == REFUSED
        if refused or event.get("phase") != "prepare":  # a statement that was only prepared is judged again as it runs
            self._counts["statements"] += 1
        self._counts["refused"] += refused
        text = str(event.get("statement") or "")
        self.overflow = self.overflow or len(text) > INDEX_TEXT
        self._term("text", text[:INDEX_TEXT])
        self._term("verdict", str(event.get("verdict", "")))
        rule, policy = str(event.get("rule", "")), str(event.get("policy", ""))
        if rule:
            self._term("rule", rule)
            self._term("rule", f"{policy}/{rule}")
        for kind, field in (("verb", "verbs"), ("touches", "touches")):
            for value in _items(event, field):
                self._term(kind, str(value))

    def _term(self, kind: str, value: str) -> None:
        if kind != "text":  # objects and rules come from catalogs and policies: few, whatever a client does
            self.terms.add((kind, value))
        elif self._texts < INDEX_TERMS:
            self._texts += (kind, value) not in self.terms
            self.terms.add((kind, value))
        elif (kind, value) not in self.terms:
            self.overflow = True


def _moment(event: Event) -> float:
    value = event.get("at", 0.0)
    return value if isinstance(value, float) else float(value) if type(value) is int and abs(value) < 1 << 63 else 0.0


def _items(event: Event, field: str) -> list[Any]:
    value = event.get(field)
    return value if isinstance(value, list) else []


def _table(event: Event, field: str) -> dict[str, Any]:
    value = event.get(field)
    return value if isinstance(value, dict) else {}
