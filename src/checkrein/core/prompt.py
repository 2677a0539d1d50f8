"""The steps that most exchanges are made of; compiled when the wheel is built. The rest is in steps.py.

Never changed once made.
"""

from __future__ import annotations

from typing import Any, Final

from checkrein.core.decision import Decision
from checkrein.core.maskplan import ColumnInfo
from checkrein.core.side import Side
from checkrein.core.statement import Statement

_NOBODY: Final[dict[str, int]] = {}


class Send:
    """Write bytes to a side. Answer: None.

    Bytes for the target carry a warrant: the Decision under which they go, or the name of a message from the
    protocol's list of its own messages (I3) or of its upkeep messages (those that carry no statement).
    """

    __slots__ = ("data", "to", "warrant")

    def __init__(self, to: Side, data: bytes, warrant: Decision | str | None = None) -> None:
        self.to = to
        self.data = data
        self.warrant = warrant

    def __repr__(self) -> str:
        return f"Send({self.to}, {self.data!r})"


class Decide:
    """Judge a statement. Answer: a Decision. May wait for a person when `final`.

    With `final=False` the statement is only prepared: a deny is answered at once, an ask is let through as `pending`
    and must be decided again, finally, as it runs. `again` names the earlier Decision of the same statement: after one
    with `waited`, the same meaning gives that Decision back, another meaning a refusal (approve A, run B).
    `deferred`: the protocol vouches that what it writes takes effect only with a later statement of this session that
    `settles` (an open transaction's COMMIT); the journal must be durable by then, not before.
    """

    __slots__ = ("again", "deferred", "final", "settles", "statement")

    def __init__(
        self,
        statement: Statement,
        final: bool = True,
        again: Decision | None = None,
        deferred: bool = False,
        settles: bool = True,
    ) -> None:
        self.statement = statement
        self.final = final
        self.again = again
        self.deferred = deferred
        self.settles = settles


class Describe:
    """Ask for the mask plan of one result set. Answer: MaskPlan, None (pass raw bytes on), or Refusal (end it)."""

    __slots__ = ("columns", "decision")

    def __init__(self, decision: Decision, columns: tuple[ColumnInfo, ...]) -> None:
        self.decision = decision
        self.columns = columns


class Scrub:
    """Mask free texts (errors, notices, notifications). Answer: tuple of bytes, same length.

    `decision` is the one whose exchange they belong to, None for asynchronous ones. Only detectors work here; whether
    a text must become a fixed sentence is in `decision.obligations.fixed_texts` and is the protocol's to do.
    """

    __slots__ = ("decision", "texts")

    def __init__(self, decision: Decision | None, texts: tuple[bytes, ...]) -> None:
        self.decision = decision
        self.texts = texts


class Answered:
    """An exchange ended. Answer: None.

    `rows` is the count or None; `sample` the first rows as the client got them; `masked` counts by column and detector;
    `digest` the SHA-256 of what the client got; `error` the native code, empty when none.
    """

    __slots__ = (
        "bytes", "columns", "decision", "digest", "error", "masked", "outcome", "rows", "sample", "tag",
    )  # fmt: skip

    def __init__(
        self,
        *,
        decision: Decision,
        columns: tuple[str, ...] = (),
        rows: int | None = None,
        bytes: int = 0,
        digest: str = "",
        sample: tuple[tuple[str | None, ...], ...] = (),
        masked: dict[str, int] = _NOBODY,
        tag: str = "",
        error: str = "",
        outcome: str = "done",
    ) -> None:
        self.decision = decision
        self.columns = columns
        self.rows = rows
        self.bytes = bytes
        self.digest = digest
        self.sample = sample
        self.masked = masked
        self.tag = tag
        self.error = error
        self.outcome = outcome  # done | error | cancelled | unknown | abandoned


class Note:
    """Write an event of this kind into the journal. Answer: None."""

    __slots__ = ("fields", "kind")

    def __init__(self, kind: str, fields: dict[str, Any]) -> None:
        self.kind = kind
        self.fields = fields
