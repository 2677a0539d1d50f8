"""The index over recordings: rows and search terms, rebuilt from journals at any time."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

from sqlalchemy import Engine, Select, and_, delete, func, insert, literal, or_, select

from checkrein.core.limits import LIST_SESSIONS
from checkrein.store.schema import SESSION_TERMS, SESSIONS

_LISTS: Final = ("groups", "actors")
_HIDDEN: Final = frozenset(("path", "overflow"))


class SessionIndex:
    """The sessions and session_terms tables; synchronous, one writer at a time."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def put(self, row: dict[str, Any], path: str, terms: Iterable[tuple[str, str]], overflow: bool) -> None:
        """Insert or replace one session with its search terms."""
        id = row["id"]
        values = {**row, **{name: json.dumps(row[name]) for name in _LISTS}, "path": path, "overflow": int(overflow)}
        wanted = [{"session": id, "kind": kind, "value": value} for kind, value in terms]
        with self._engine.begin() as connection:
            connection.execute(delete(SESSIONS).where(SESSIONS.c.id == id))
            connection.execute(insert(SESSIONS).values(**values))
            if wanted:
                connection.execute(insert(SESSION_TERMS).prefix_with("OR IGNORE"), wanted)

    def finished(self) -> dict[str, str]:
        """Return id and path of every session that is not open."""
        with self._engine.begin() as connection:
            rows = connection.execute(select(SESSIONS.c.id, SESSIONS.c.path).where(SESSIONS.c.state != "open"))
            return {row.id: row.path for row in rows}

    def path(self, id: str) -> str | None:
        """Return where a session's folder is, relative to the recordings; None when it is not known."""
        with self._engine.begin() as connection:
            return connection.execute(select(SESSIONS.c.path).where(SESSIONS.c.id == id)).scalar_one_or_none()

    def search(self, wanted: Mapping[str, Any]) -> list[tuple[dict[str, Any], bool]]:
        """Return rows, newest first, each with whether its text must still be looked for in the journal.

        `wanted` may hold principal, target, touches, rule, verdict, text, and since and until in epoch seconds; what is
        absent, empty or None matches anything.
        """
        with self._engine.begin() as connection:
            rows = [dict(row._mapping) for row in connection.execute(_query(wanted))]
        return [(_shown(row), bool(wanted.get("text")) and not row.pop("sure")) for row in rows]

    def clear(self) -> None:
        """Forget everything."""
        with self._engine.begin() as connection:
            connection.execute(delete(SESSION_TERMS))
            connection.execute(delete(SESSIONS))


def _query(wanted: Mapping[str, Any]) -> Select[Any]:
    c = SESSIONS.c
    value = SESSION_TERMS.c.value
    text, since, until = (wanted.get(name) for name in ("text", "since", "until"))
    has_text: Any = _has("text", value.icontains(text, autoescape=True)) if text else literal(1)
    query = select(SESSIONS, has_text.label("sure"))
    if principal := wanted.get("principal"):
        query = query.where(or_(c.principal == principal, c.issuer + ":" + c.principal == principal))
    if target := wanted.get("target"):
        query = query.where(c.target == target)
    if since is not None:
        query = query.where(func.coalesce(c.closed, since) >= since)
    if until is not None:
        query = query.where(c.opened <= until)
    for kind in ("rule", "verdict"):
        if wanted.get(kind):
            query = query.where(_has(kind, value == wanted[kind]))
    if touches := wanted.get("touches"):
        query = query.where(_has("touches", or_(value == touches, value.endswith("." + touches, autoescape=True))))
    if text:
        query = query.where(or_(has_text, c.overflow == 1))
    return query.order_by(c.opened.desc(), c.id).limit(LIST_SESSIONS)


def _has(kind: str, condition: Any) -> Any:
    terms = SESSION_TERMS.c
    return select(literal(1)).where(and_(terms.session == SESSIONS.c.id, terms.kind == kind, condition)).exists()


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    shown = {name: value for name, value in row.items() if name not in _HIDDEN and name != "sure"}
    return {**shown, **{name: json.loads(row[name]) for name in _LISTS}}
