"""What a session yields: requests for something to be done, answered through `send` (lesson: effects are values).

`Steps[T]` is a generator of these that returns T; a verb whose steps need no answers gives them as a list, which is
cheaper. The gate consumes Decide, Describe, Scrub, Answered, Note and
Authenticate; what reaches the relay is only transport work.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, TypeVar

import msgspec

from checkrein.core.decision import Decision
from checkrein.core.identity import Claim
from checkrein.core.maskplan import ColumnInfo
from checkrein.core.side import Side
from checkrein.core.statement import Statement

T = TypeVar("T")


class Send(msgspec.Struct, frozen=True, gc=False):
    """Write bytes to a side. Answer: None.

    Bytes for the target carry a warrant: the Decision under which they go, or the name of a message from the
    protocol's list of its own messages (I3) or of its upkeep messages (those that carry no statement).
    """

    to: Side
    data: bytes
    warrant: Decision | str | None = None


class Decide(msgspec.Struct, frozen=True, gc=False):
    """Judge a statement. Answer: a Decision. May wait for a person when `final`.

    With `final=False` the statement is only prepared: a deny is answered at once, an ask is let through as `pending`
    and must be decided again, finally, as it runs. `again` names the earlier Decision of the same statement: after one
    with `waited`, the same meaning gives that Decision back, another meaning a refusal (approve A, run B).
    `deferred`: the protocol vouches that what it writes takes effect only with a later statement of this session that
    `settles` (an open transaction's COMMIT); the journal must be durable by then, not before.
    """

    statement: Statement
    final: bool = True
    again: Decision | None = None
    deferred: bool = False
    settles: bool = True


class Describe(msgspec.Struct, frozen=True, gc=False):
    """Ask for the mask plan of one result set. Answer: MaskPlan, None (pass raw bytes on), or Refusal (end it)."""

    decision: Decision
    columns: tuple[ColumnInfo, ...]


class Scrub(msgspec.Struct, frozen=True, gc=False):
    """Mask free texts (errors, notices, notifications). Answer: tuple of bytes, same length.

    `decision` is the one whose exchange they belong to, None for asynchronous ones. Only detectors work here; whether
    a text must become a fixed sentence is in `decision.obligations.fixed_texts` and is the protocol's to do.
    """

    decision: Decision | None
    texts: tuple[bytes, ...]


class Authenticate(msgspec.Struct, frozen=True):
    """Verify a claim and whether it may enter. Answer: Principal or LoginRefused."""

    claim: Claim


class Dial(msgspec.Struct, frozen=True):
    """Open the transport to the authenticated claim's target. Answer: Link or DialError."""


class StartTls(msgspec.Struct, frozen=True):
    """Start TLS on a side. Answer: for the target, the `tls-server-end-point` channel binding (RFC 5929) as bytes,
    or DialError; for the client, None. Bytes already received on that side close the connection."""

    side: Side


class Query(msgspec.Struct, frozen=True):
    """Ask the side link of this target and profile. Answer: what the protocol's side link gives, or Unavailable.

    `fresh=True` demands an answer newer than any cached one.
    """

    question: Any
    fresh: bool = False


class Offload(msgspec.Struct, frozen=True):
    """Run a pure, picklable function in the killable worker. Answer: its result, or Unavailable."""

    function: str  # "module:name"
    argument: Any


class Breathe(msgspec.Struct, frozen=True, gc=False):
    """Let other sessions run before this one goes on: yielded in the middle of much work. Answer: None."""


class Interrupt(msgspec.Struct, frozen=True):
    """Send `data` to the target over a connection of its own and wait for its close (cancel requests). Answer: None."""

    data: bytes


class CancelSession(msgspec.Struct, frozen=True):
    """Hand a cancel to the session that owns `key`, if there is one here. Answer: None, whether or not there is."""

    key: bytes


class Answered(msgspec.Struct, frozen=True, kw_only=True):
    """An exchange ended. Answer: None.

    `rows` is the count or None; `sample` the first rows as the client got them; `masked` counts by column and detector;
    `digest` the SHA-256 of what the client got; `error` the native code, empty when none.
    """

    decision: Decision
    columns: tuple[str, ...] = ()
    rows: int | None = None
    bytes: int = 0
    digest: str = ""
    sample: tuple[tuple[str | None, ...], ...] = ()
    masked: dict[str, int] = {}
    tag: str = ""
    error: str = ""
    outcome: str = "done"  # done | error | cancelled | unknown | abandoned


class Note(msgspec.Struct, frozen=True):
    """Write an event of this kind into the journal. Answer: None."""

    kind: str
    fields: dict[str, Any]


class Close(msgspec.Struct, frozen=True):
    """Close a side after what was sent has been written. Closing the client ends the session. Answer: None."""

    side: Side
    reason: str


class Ask(msgspec.Struct, frozen=True):
    """From the gate alone: wait for a person. Answer: a settled approval (see gate.ports)."""

    question: Any


class Persist(msgspec.Struct, frozen=True):
    """From the gate alone: fsync the journal before going on. Answer: None, or Unavailable."""


Step = (
    Send
    | Decide
    | Describe
    | Scrub
    | Authenticate
    | Dial
    | StartTls
    | Query
    | Offload
    | Breathe
    | Interrupt
    | CancelSession
    | Answered
    | Note
    | Close
    | Ask
    | Persist
)
Steps = Generator[Step, Any, T]
Verb = Steps[None] | list[Step]
"""What a verb gives: steps, or a list of them where none needs an answer (Send, Answered, Note)."""


def steps_of(verb: Verb) -> Steps[None]:
    """Return the steps of a verb, whichever of the two it gave."""
    yield from verb
