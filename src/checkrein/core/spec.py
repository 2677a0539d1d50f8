"""What the rest of Checkrein must know of a protocol: a value that its folder exports as SPEC."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Protocol

import msgspec

from checkrein.core.identity import Secret
from checkrein.core.session import Session, SessionContext
from checkrein.core.statement import Statement
from checkrein.core.target import Profile, Target


class SelectorVocabulary(msgspec.Struct, frozen=True, kw_only=True):
    """The words that a rule may use for this protocol.

    `verbs` are all verbs of its effects. `objects` maps a selector word to the effect kinds it matches by name:
    `{"touches": {"table", "view", ...}, "functions": {"function"}}`. `columns` tells whether the `columns` selector and
    column masks have a meaning.
    """

    verbs: frozenset[str]
    objects: dict[str, frozenset[str]]
    columns: bool = False
    strategies: frozenset[str] = frozenset({"null", "redact", "partial", "hash", "token"})


class SideLink(Protocol):
    """A sans-IO client of the target for what the gateway itself must know (a catalog). One question at a time.

    Drive it: `send` bytes from `start()`/`ask()`, feed `receive()`; each returns (bytes to send, done). After done,
    `result()` gives the answer. `wants_tls` is True when TLS must be started now; then call `tls_started(binding)`.
    """

    def start(self) -> bytes:
        """Return the first bytes to send."""

    def tls_started(self, binding: bytes) -> bytes:
        """TLS runs; return what to send next."""

    @property
    def wants_tls(self) -> bool:
        """Whether the driver must start TLS before anything else is sent."""

    @property
    def ready(self) -> bool:
        """Whether it is logged in and idle."""

    def ask(self, question: Any, cached: Any) -> bytes:
        """Begin a question; `cached` is the last answer to the same question or None. Return bytes to send."""

    def receive(self, data: bytes) -> bytes:
        """Take bytes from the target; return bytes to send. Raises ProtocolError, Unavailable."""

    def result(self) -> Any:
        """Return the answer once `ready` is True again. May be the cached object itself when nothing changed."""


class TokenLogin(Protocol):
    """Logs a client on loopback in at the gateway with a token that it does not have itself; sans-IO, one connection.

    Feed `client()` and `gateway()`; after each, send what `take()` gives and do what `wants` says: `client` (read from
    it), `dial` (connect to the gateway), `tls` (start TLS there, then `tls_started()`), `gateway` (read from it),
    `token` (then `give()` a fresh one), `open` (from now on carry bytes both ways), `close`.
    """

    wants: str

    def client(self, data: bytes) -> None:
        """Take bytes of the client. Raises ProtocolError."""

    def dialled(self) -> None:
        """The transport to the gateway is open."""

    def gateway(self, data: bytes) -> None:
        """Take bytes of the gateway. Raises ProtocolError."""

    def tls_started(self) -> None:
        """TLS to the gateway runs, its certificate verified."""

    def give(self, token: Secret) -> None:
        """Take the token that was wanted."""

    def failed(self, reason: str) -> None:
        """The gateway, or a token, cannot be had: tell the client natively and close."""

    def take(self) -> tuple[bytes, bytes]:
        """Return and forget what is to be sent to the client, and to the gateway."""


class ProtocolSpec(msgspec.Struct, frozen=True, kw_only=True):
    """A protocol as the other layers see it. Everything here is a value or a factory; nothing is shared state.

    `own_messages` is the one list of what the gateway itself says to a target (I3); `upkeep` are client messages that
    carry no statement. `read` turns raw text, as a client would send it, into Statements for `policy test|explain`,
    given a catalog; `catalog_of` makes that catalog from the `schema:` of a policy test. `guardrails` and `doors` map
    a name to the sentence of its refusal. `dsn` prints how a client reaches a target, without the token.
    """

    name: str
    default_port: int
    vocabulary: SelectorVocabulary
    session: Callable[[SessionContext], Session]
    own_messages: frozenset[str] = frozenset()
    upkeep: frozenset[str] = frozenset()
    guardrails: dict[str, str] = {}
    doors: dict[str, str] = {}
    read: Callable[[str, Any], Iterable[Statement]] | None = None
    catalog_of: Callable[[dict[str, list[str]]], Any] | None = None
    side_link: Callable[[Target, Profile, Secret | None], SideLink] | None = None
    catalog_question: Any = None
    starter_policy: Callable[[Any, str], str] | None = None
    dsn: Callable[..., str] | None = None
    token_login: Callable[[str, str], TokenLogin] | None = None  # of (target, profile)
