"""Protected systems as configured, and the logins that the gateway holds for them."""

from __future__ import annotations

import msgspec

from checkrein.core.identity import Secret


class TargetTls(msgspec.Struct, frozen=True):
    """TLS towards a target; `mode` is libpq's word: disable, require, verify-ca or verify-full.

    `ca`, `cert` and `key` are file paths, empty when not given.
    """

    mode: str = "verify-full"
    ca: str = ""
    cert: str = ""
    key: str = ""


class Profile(msgspec.Struct, frozen=True):
    """One login that the gateway holds for a target. `password` is a reference (`env:` or `file:`), not the value."""

    name: str
    user: str
    password: str = ""
    auth: tuple[str, ...] = ("scram-sha-256", "cert")


class Target(msgspec.Struct, frozen=True):
    """One protected system as configured. `max_session` is seconds, None for no limit."""

    name: str
    protocol: str
    host: str
    port: int
    database: str = ""
    labels: dict[str, str] = {}
    tls: TargetTls = TargetTls()
    mode: str = "enforce"
    unguarded: bool = False
    housekeeping: str = "normal"  # or strict
    max_session: float | None = None
    profiles: dict[str, Profile] = {}


class Link(msgspec.Struct, frozen=True):
    """A transport to a target that is open: what the session must know to log in on it.

    `tls_binding` is the `tls-server-end-point` channel binding of the target's certificate once TLS runs, else empty.
    """

    target: Target
    profile: Profile
    password: Secret | None = None


class DialError(msgspec.Struct, frozen=True):
    """A target could not be reached; `reason` is a sentence for the client, without credentials."""

    reason: str
