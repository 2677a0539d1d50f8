"""The sans-IO session: a small object whose verbs are generators that yield what they want done, or lists of it.

No socket, clock or await inside. State is consistent at every yield; two generators, one a side, may be suspended at
once. `end()` and `Killed` must leave nothing half-said. The relay closes every generator explicitly.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import msgspec

from checkrein.core.side import Side
from checkrein.core.steps import Steps, Verb


class Killed(msgspec.Struct, frozen=True):
    """The session must end now; `reason` is told natively. `code` is killed, expired, revoked or shutdown."""

    reason: str
    code: str = "killed"


class Cancelled(msgspec.Struct, frozen=True):
    """Someone who holds this session's cancel key asked that what runs be stopped."""


class SnapshotChanged(msgspec.Struct, frozen=True):
    """Policies changed; the next statement is judged by the new ones."""


SessionEvent = Killed | Cancelled | SnapshotChanged


def _never(step: Any) -> None:
    """Answer no step at once."""


def _unheard(key: bytes) -> None:
    """Take a key that nobody looks up."""


class SessionContext(msgspec.Struct, frozen=True, kw_only=True):
    """What a session is born with. `random(n)` gives n unpredictable bytes (ids and bytes come in as arguments).

    `cancel_key` is unpredictable bytes of this session's own, of which a key to cancel it by can be made; the session
    tells `keyed` that key once, before its client hears of it.
    `prompt` answers a Decide or Query that takes no waiting; None: yield it. A session may do without, and yield all.
    `tls_offered`: the listener has a certificate. `plaintext_allowed`: this client may do without TLS (loopback).
    """

    id: str
    client: str
    random: Callable[[int], bytes]
    cancel_key: bytes = b""
    tls_offered: bool = True
    plaintext_allowed: bool = False
    keyed: Callable[[bytes], None] = _unheard
    prompt: Callable[[Any], Any] = _never
    version: str = ""


class Session(Protocol):
    """One principal's conversation with one target over one connection."""

    def open(self, now: float) -> Steps[None]:
        """The connection was accepted."""

    def receive(self, side: Side, data: bytes, now: float) -> Verb:
        """Bytes arrived on a side. Called with whole chunks as read; never while an earlier one of that side runs."""

    def event(self, what: SessionEvent, now: float) -> Steps[None]:
        """Something happened outside the two streams."""

    def end(self, side: Side, now: float) -> Steps[None]:
        """A side reached end of stream."""

    def notice(self, text: str) -> bytes:
        """Return a native notice to the client, empty where the protocol has none (or cannot now)."""

    def cancel_key(self) -> bytes:
        """Return what a cancel must show that means this session; empty: none does."""

    def stuffed(self) -> bool:
        """Whether so much of the client's bytes waits for the target that no more of them should be read now."""
