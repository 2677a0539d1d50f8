"""Questions to people and the grants that a yes creates. Every change of state is one guarded UPDATE: it happens once.

States: pending -> approved | denied | expired | withdrawn; approved -> used | expired | withdrawn.
"""

from __future__ import annotations

import json
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, Engine, Row, and_, func, insert, or_, select, update

from checkrein.core.errors import LimitExceeded
from checkrein.core.limits import OPEN_APPROVALS, OPEN_APPROVALS_PER_PRINCIPAL
from checkrein.store.schema import APPROVALS

PENDING: Final = "pending"
APPROVED: Final = "approved"
DENIED: Final = "denied"
EXPIRED: Final = "expired"
WITHDRAWN: Final = "withdrawn"
USED: Final = "used"

_JSON: Final = ("actors", "parameters", "verbs", "touches", "terms", "answered_by")


class Approval(msgspec.Struct, frozen=True, kw_only=True):
    """One row. Times are epoch seconds; `terms` are the asking rules' AskTerms as JSON objects.

    `policy` and `rule` name the first asking rule. `uses_left` counts down from what the rule grants.
    """

    id: str
    binding: str
    issuer: str
    subject: str
    target: str
    profile: str
    protocol: str
    session: str
    statement: str
    asked_at: float
    expires_at: float
    actors: list[dict[str, Any]] = []
    session_only: bool = False
    parameters: list[str | None] | None = None
    verbs: list[str] = []
    touches: list[str] = []
    policy: str = ""
    rule: str = ""
    terms: list[dict[str, Any]] = []
    state: str = PENDING
    answered_by: list[str] = []
    answered_at: float | None = None
    reason: str = ""
    uses_left: int = 1


class ApprovalStore:
    """The approvals table. Methods are synchronous, thread-safe; SQLAlchemy's errors mean that the store is away."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def add(self, approval: Approval) -> None:
        """Insert a pending question. Raises LimitExceeded over OPEN_APPROVALS, or that of one principal."""
        with self._engine.begin() as connection:
            if _pending(connection) >= OPEN_APPROVALS:
                raise LimitExceeded("too many questions are waiting for approval", "OPEN_APPROVALS")
            if _pending(connection, approval.issuer, approval.subject) >= OPEN_APPROVALS_PER_PRINCIPAL:
                raise LimitExceeded("too many of your questions wait for approval", "OPEN_APPROVALS_PER_PRINCIPAL")
            connection.execute(insert(APPROVALS).values(**_values(approval)))

    def get(self, id: str) -> Approval | None:
        """Return one, None when there is none."""
        with self._engine.begin() as connection:
            row = connection.execute(select(APPROVALS).where(APPROVALS.c.id == id)).one_or_none()
        return None if row is None else _approval(row)

    def find(self, state: str | None = None, limit: int = 1000) -> list[Approval]:
        """Return the newest, of one state or of all."""
        query = select(APPROVALS).order_by(APPROVALS.c.asked_at.desc()).limit(limit)
        if state is not None:
            query = query.where(APPROVALS.c.state == state)
        with self._engine.begin() as connection:
            return [_approval(row) for row in connection.execute(query)]

    def pending(self, issuer: str | None = None, subject: str | None = None) -> int:
        """Count pending questions, all or one principal's."""
        with self._engine.begin() as connection:
            return _pending(connection, issuer, subject)

    def open_for(self, binding: str, session: str, now: float) -> Approval | None:
        """Return the grant that this binding may use, else its pending question, else None.

        One that is bound to a session counts only there; expired ones do not count.
        """
        c = APPROVALS.c
        query = (
            select(APPROVALS)
            .where(c.binding == binding, c.state.in_((APPROVED, PENDING)), c.expires_at > now)
            .where(or_(c.session_only == 0, c.session == session), c.uses_left > 0)
            .order_by(c.state == PENDING, c.asked_at)
        )
        with self._engine.begin() as connection:
            row = connection.execute(query.limit(1)).first()
        return None if row is None else _approval(row)

    def settle(self, id: str, state: str, now: float, answered_by: list[str], reason: str = "") -> Approval | None:
        """Answer a pending question: state is approved or denied. Return it, None when it is not open any more."""
        c = APPROVALS.c
        values = {"state": state, "answered_by": json.dumps(answered_by), "answered_at": now, "reason": reason}
        return self._move(and_(c.id == id, c.state == PENDING, c.expires_at > now), values)

    def consume(self, id: str, session: str, now: float) -> bool:
        """Use an approved grant once, atomically: True for exactly as many callers as it has uses."""
        c = APPROVALS.c
        which = and_(c.id == id, c.state == APPROVED, c.expires_at > now, c.uses_left > 0)
        here = or_(c.session_only == 0, c.session == session)
        with self._engine.begin() as connection:
            used = connection.execute(update(APPROVALS).where(which, here).values(uses_left=c.uses_left - 1))
            if used.rowcount != 1:
                return False
            connection.execute(update(APPROVALS).where(c.id == id, c.uses_left == 0).values(state=USED))
        return True

    def withdraw(self, id: str, reason: str, now: float) -> bool:
        """Withdraw a pending question or an unused grant; False when it was neither."""
        c = APPROVALS.c
        values = {"state": WITHDRAWN, "reason": reason, "answered_at": func.coalesce(c.answered_at, now)}
        return self._move(and_(c.id == id, c.state.in_((PENDING, APPROVED))), values) is not None

    def expire(self, now: float) -> list[str]:
        """Expire pending questions and unused grants whose time is over; return their ids."""
        c = APPROVALS.c
        due = and_(c.state.in_((PENDING, APPROVED)), c.expires_at <= now)
        return self._expire(due, "nobody answered before it expired")

    def restarted(self) -> list[str]:
        """At start: expire every pending question, as nobody holds its statement any more (AP-8)."""
        return self._expire(APPROVALS.c.state == PENDING, "the gateway was restarted")

    def _expire(self, which: Any, reason: str) -> list[str]:
        with self._engine.begin() as connection:
            moved = update(APPROVALS).where(which).values(state=EXPIRED, reason=reason).returning(APPROVALS.c.id)
            return sorted(connection.execute(moved).scalars())

    def _move(self, which: Any, values: dict[str, Any]) -> Approval | None:
        with self._engine.begin() as connection:
            moved = update(APPROVALS).where(which).values(**values).returning(*APPROVALS.c)
            row = connection.execute(moved).one_or_none()
        return None if row is None else _approval(row)


def _pending(connection: Connection, issuer: str | None = None, subject: str | None = None) -> int:
    query = select(func.count()).select_from(APPROVALS).where(APPROVALS.c.state == PENDING)
    if issuer is not None:
        query = query.where(APPROVALS.c.issuer == issuer, APPROVALS.c.subject == subject)
    return connection.execute(query).scalar_one()


def _values(approval: Approval) -> dict[str, Any]:
    values = msgspec.structs.asdict(approval)
    values.update({name: json.dumps(values[name]) for name in _JSON})
    return values


def _approval(row: Row[Any]) -> Approval:
    values = dict(row._mapping)
    values.update({name: json.loads(values[name]) for name in _JSON})
    values["session_only"] = bool(values["session_only"])
    return Approval(**values)
