"""What a configuration resolved to: values that the composition root wires and `checkrein check` prints."""

from __future__ import annotations

import msgspec

from checkrein.core.errors import Problem
from checkrein.core.limits import ISSUER_TOKEN_SECONDS
from checkrein.core.target import Target
from checkrein.identity.claims import Issuer
from checkrein.identity.mapping import Directory


class Listener(msgspec.Struct, frozen=True):
    """One address that is listened on. `protocol` is a protocol's name or `control`; port 0 lets the system choose."""

    protocol: str
    host: str
    port: int

    @property
    def address(self) -> str:
        """`host:port`, with brackets round an IPv6 host."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class GatewayTls(msgspec.Struct, frozen=True):
    """The gateway's certificate: absolute paths, both empty when a private CA is to be made."""

    cert: str = ""
    key: str = ""
    loopback_plaintext: bool = False


class IssuerSource(msgspec.Struct, frozen=True, kw_only=True):
    """An issuer and its keys: `jwks` is `auto` (discovery), a URL, or `file:PATH`; `ca` a path or empty."""

    issuer: Issuer
    jwks: str = "auto"
    ca: str = ""
    insecure_http: bool = False


class Member(msgspec.Struct, frozen=True):
    """One agent or person of the embedded issuer; `secret` is a reference."""

    id: str
    groups: tuple[str, ...]
    secret: str
    person: bool = False


class EmbeddedIssuer(msgspec.Struct, frozen=True):
    """The embedded issuer: who it knows and how long its tokens live (seconds)."""

    members: tuple[Member, ...]
    ttl: float = ISSUER_TOKEN_SECONDS


class Recording(msgspec.Struct, frozen=True):
    """How recordings are kept; `durability` is effect or relaxed."""

    durability: str = "effect"


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """A configuration that holds. Every path is absolute, every reference to a file too.

    `issuers` are the configured ones; the embedded issuer's rules come from `embedded_rules(url)` once the address of
    the control listener is known. `busy_poll` is False where it is off. `warnings` are problems that do not refuse.
    """

    file: str
    data: str
    policies: str
    control: Listener | None
    listeners: tuple[Listener, ...]
    tls: GatewayTls
    issuers: tuple[IssuerSource, ...]
    embedded: EmbeddedIssuer | None
    roles: dict[str, tuple[str, ...]]
    local_approver: bool
    targets: dict[str, Target]
    recording: Recording
    busy_poll: bool = True
    warnings: tuple[Problem, ...] = ()

    def embedded_url(self, port: int | None = None) -> str:
        """Return the embedded issuer's URL, `CONTROL/issuer`; `port` where the system chose it."""
        if self.control is None:
            raise ValueError("no control listener")
        address = Listener("control", self.control.host, port or self.control.port).address
        return f"http://{address}/issuer"

    def embedded_rules(self, url: str) -> Issuer | None:
        """Return what the embedded issuer is believed: its members, their groups whole, roles for its people alone."""
        if self.embedded is None:
            return None
        people = frozenset(member.id for member in self.embedded.members if member.person)
        return Issuer(
            name="embedded",
            url=url,
            audiences=("checkrein",),
            algorithms=("ES256",),
            may_assert=("*",),
            people=True,
            people_subjects=people,
            subjects=frozenset(member.id for member in self.embedded.members),
        )

    def directory(self, embedded_url: str = "") -> Directory:
        """Return what claims are mapped by: issuer names by URL, and roles."""
        names = {source.issuer.url: source.issuer.name for source in self.issuers}
        if self.embedded is not None and embedded_url:
            names[embedded_url] = "embedded"
        return Directory(names=names, roles=self.roles)

    def secrets(self) -> dict[str, str]:
        """Return every secret reference with what it is for, for `checkrein check`."""
        out: dict[str, str] = {}
        for target in self.targets.values():
            for profile in target.profiles.values():
                if profile.password:
                    out[profile.password] = f"target {target.name}, profile {profile.name}"
        for member in self.embedded.members if self.embedded else ():
            out[member.secret] = f"embedded issuer, {member.id}"
        return out
