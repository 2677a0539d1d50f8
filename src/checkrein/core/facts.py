"""The recorded facts of which a decision is a pure function (invariant I7)."""

from __future__ import annotations

import msgspec

from checkrein.core.identity import Principal
from checkrein.core.statement import Statement
from checkrein.core.target import Target


class SessionFacts(msgspec.Struct, frozen=True):
    """What policy may know of the session. `state` changes whenever something that names resolve by changes."""

    id: str
    target: str
    profile: str
    client: str = ""
    application: str = ""
    opened_at: float = 0.0
    state: str = ""


class FactRecord(msgspec.Struct, frozen=True):
    """Everything a decision reads. `now` is epoch seconds; `counters` are the session's own (statements, refused ...).

    `final` is False while a statement is only prepared: a rule on parameters that are not known yet then neither denies
    nor withholds. When it is True such a rule errs: it matches for deny and ask and not for allow.
    """

    principal: Principal
    target: Target
    profile: str
    statement: Statement
    session: SessionFacts
    now: float
    counters: dict[str, int]
    final: bool = True
