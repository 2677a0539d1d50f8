"""What a session yields: requests for something to be done, answered through `send` (lesson: effects are values).

`Steps[T]` is a generator of these that returns T; a verb whose steps need no answers gives them as a list, which is
cheaper. The gate consumes Decide, Describe, Scrub, Answered, Note (prompt.py) and Authenticate; what reaches the relay
is only transport work.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, TypeVar

import msgspec

from checkrein.core.identity import Claim
from checkrein.core.prompt import Answered, Decide, Describe, Note, Scrub, Send
from checkrein.core.side import Side

__all__ = [
    "Answered", "Ask", "Authenticate", "Breathe", "CancelSession", "Close", "Decide", "Describe", "Dial",
    "Interrupt", "Note", "Offload", "Persist", "Query", "Scrub", "Send", "StartTls", "Step", "Steps", "Verb",
    "steps_of",
]  # fmt: skip

T = TypeVar("T")


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
    if not isinstance(verb, list):
        yield from verb
        return
    for step in verb:  # noqa: UP028 - a list cannot be sent an answer
        yield step
