"""Who is asking: principals, actor chains, and secrets that do not print."""

from __future__ import annotations

from typing import Any

import msgspec


class Secret:
    """Bytes that must not reach a log, an error or a recording (invariant I8).

    Its repr and str are `***`; only `reveal()` gives the value, so a grep for it finds every use.
    """

    __slots__ = ("_value",)

    def __init__(self, value: bytes | str) -> None:
        self._value = value.encode() if isinstance(value, str) else value

    def reveal(self) -> bytes:
        """Return the value. Call it only where the value goes on the wire or into a KDF."""
        return self._value

    def __repr__(self) -> str:
        return "***"

    __str__ = __repr__

    def __reduce__(self) -> str:
        raise TypeError("a Secret is never pickled")


class Actor(msgspec.Struct, frozen=True):
    """One link of an actor chain (RFC 8693 `act`)."""

    subject: str
    issuer: str

    @property
    def name(self) -> str:
        """`issuer:subject`, as of a principal."""
        return f"{self.issuer}:{self.subject}"


class Principal(msgspec.Struct, frozen=True):
    """An authenticated person, service or agent.

    `issuer` is the configured issuer's name. `groups` holds `name:group` for every group, and plain `group` where the
    issuer may assert it. `actors` is the chain from the nearest actor outwards. `expires_at` is the token's `exp` in
    epoch seconds. `roles` is empty unless the issuer speaks for people.
    """

    subject: str
    issuer: str
    groups: tuple[str, ...] = ()
    actors: tuple[Actor, ...] = ()
    claims: dict[str, Any] = {}
    roles: tuple[str, ...] = ()
    expires_at: float | None = None
    token_digest: str = ""

    @property
    def name(self) -> str:
        """`issuer:subject`, unique in a deployment; what logs show."""
        return f"{self.issuer}:{self.subject}"

    @property
    def chain(self) -> str:
        """The principal and, nearest first, through whom it acts; what the target's own logs show (I11)."""
        return " via ".join((self.name, *(actor.name for actor in self.actors)))


class Claim(msgspec.Struct, frozen=True):
    """What a client presents at login: a token, and what it wants to reach with it."""

    token: Secret
    target: str
    profile: str = "default"
    client: str = ""  # address of the peer, host:port
    application: str = ""  # what the client calls itself; never trusted


class LoginRefused(msgspec.Struct, frozen=True):
    """Why a login failed: which check, and the value seen; never the token."""

    reason: str
    check: str  # token | expired | audience | issuer | policy | target | profile | unavailable ...
