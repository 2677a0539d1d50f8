"""What `checkrein.yaml` may contain: one class a mapping, strict. Published as JSON Schema by `checkrein schema`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from checkrein.config.fields import Address, FileReference, Name, NotBuilt, SecretReference, Text
from checkrein.core.limits import ISSUER_TOKEN_SECONDS
from checkrein.policy.documents import Duration, StrictModel


class GatewayTls(StrictModel):
    """The gateway's own certificate; without cert and key a private CA is made under `data`."""

    cert: FileReference | None = None
    """Certificate chain in PEM, `file:PATH`; given together with `key`."""
    key: FileReference | None = None
    """Its private key in PEM, `file:PATH`, mode 0600."""
    loopback_plaintext: bool = False
    """Whether clients on 127.0.0.0/8 and ::1 may do without TLS."""


class IssuerModel(StrictModel):
    """One OIDC issuer and what it is believed."""

    name: Name | None = None
    """What policies and recordings call it; its groups are NAME:GROUP."""
    issuer: Text
    """The issuer's URL, as its tokens' `iss` spell it."""
    audience: Text | tuple[Text, ...] = "checkrein"
    """What a token's `aud` must hold; of a list, any one."""
    groups: Text | None = None
    """Path of the claim that holds a token's groups, such as `realm_access.roles`."""
    groups_cel: str | None = Field(default=None, max_length=4096)
    """CEL expression over `claims` that gives the groups; instead of `groups`."""
    jwks: Text = "auto"
    """Where the issuer's keys are: `auto` (by discovery), a URL, or `file:PATH`."""
    ca: FileReference | None = None
    """Certificate authorities in PEM for the issuer's own TLS, `file:PATH`; the system's when left out."""
    clients: tuple[Text, ...] = ()
    """Clients (`azp` or `client_id`) whose tokens are taken; none named: all."""
    algorithms: tuple[Text, ...] | None = None
    """Signature algorithms that are taken, all asymmetric."""
    people: bool | None = None
    """Whether its tokens may stand for people, who approve and administer."""
    may_assert: tuple[Text, ...] | None = None
    """Globs of its groups that also count without its name in front."""
    insecure_http: bool = False
    """Whether it may be asked without TLS; for trials on one machine."""


class Member(StrictModel):
    """One agent or person of the embedded issuer."""

    id: Name
    """Its client id, and its tokens' subject."""
    groups: tuple[Text, ...] = ()
    """Groups that its tokens carry."""
    secret: SecretReference
    """Its client secret, `env:NAME` or `file:PATH`."""


class Embedded(StrictModel):
    """The gateway's own issuer at CONTROL/issuer, for those without an identity provider."""

    agents: tuple[Member, ...] = ()
    """Agents that may ask for tokens."""
    people: tuple[Member, ...] = ()
    """People that may ask for tokens."""
    ttl: Duration = ISSUER_TOKEN_SECONDS
    """How long its tokens last, 10s to 24h."""


class Identity(StrictModel):
    """Whose tokens are believed."""

    issuers: tuple[IssuerModel, ...] = ()
    """OIDC issuers whose tokens are believed."""
    embedded: Embedded | None = None
    """The gateway's own issuer; off when left out."""


class People(StrictModel):
    """Roles of people by group of their token."""

    roles: dict[Literal["admin", "approver", "policy-author", "auditor", "viewer"], tuple[Text, ...]] = {}
    """Each role's groups."""
    local_approver: bool = False
    """Whether the owner of the data folder may answer approvals over its socket."""


class TargetTlsModel(StrictModel):
    """TLS towards a target, in libpq's words."""

    mode: Literal["disable", "require", "verify-ca", "verify-full"] = "verify-full"
    """What is verified, as libpq's sslmode."""
    ca: FileReference | None = None
    """Certificate authorities in PEM, `file:PATH`; the system's when left out."""
    cert: FileReference | None = None
    """The gateway's client certificate in PEM, `file:PATH`."""
    key: FileReference | None = None
    """Its private key in PEM, `file:PATH`, mode 0600."""


class ProfileModel(StrictModel):
    """One login that the gateway holds for a target."""

    user: Text
    """The target's user."""
    password: SecretReference | None = None
    """Its password, `env:NAME` or `file:PATH`; read anew at each login."""
    auth: tuple[Literal["scram-sha-256", "cert", "md5", "password"], ...] = ("scram-sha-256", "cert")
    """What the target may ask for; md5 and password only when named, password only with verified TLS."""


class TargetModel(StrictModel):
    """One protected system."""

    name: Name
    """What agents and policies call it."""
    protocol: Name
    """The wire protocol that it speaks."""
    address: Address | None = None
    """HOST:PORT."""
    via: NotBuilt = None
    """Not built yet: given, it is refused by name."""
    database: Text | None = None
    """The database's name there; the target's name when left out."""
    labels: dict[Name, Text] = {}
    """What policies may select it by."""
    tls: TargetTlsModel = TargetTlsModel()
    """TLS towards it."""
    mode: Literal["enforce", "observe"] = "enforce"
    """`enforce`; `observe` is not built yet for targets."""
    acknowledge_observe: NotBuilt = None
    """Not built yet: given, it is refused by name."""
    unguarded: bool = False
    """Drops the guardrails; said loudly at every start."""
    housekeeping: Literal["normal", "strict"] = "normal"
    """Which catalog reading needs no rule: `normal`, or `strict` for less."""
    max_session: Duration | None = None
    """How long a session may last; no end of its own when left out."""
    profiles: dict[Name, ProfileModel] = Field(min_length=1)
    """Logins that the gateway holds for it, by name."""


class Recording(StrictModel):
    """How recordings are kept."""

    durability: Literal["effect", "relaxed"] = "effect"
    """`effect`: writes and asked statements are on disk before they take effect; `relaxed`: grouped."""
    seal: NotBuilt = None
    """Not built yet: given, it is refused by name."""
    keep: NotBuilt = None
    """Not built yet: given, it is refused by name."""


class Gateway(StrictModel):
    """The whole of `checkrein.yaml` (apiVersion checkrein/v1, kind Gateway)."""

    data: Text = "./data"
    """Folder of state, journals and keys; owned by the gateway's user alone."""
    state: NotBuilt = None
    """Not built yet: given, it is refused by name."""
    recordings: NotBuilt = None
    """Not built yet: given, it is refused by name."""
    listen: dict[Name, Address] = Field(min_length=1)
    """What listens, by name (`control` and protocols), each HOST:PORT; `control` stays on loopback."""
    tls: GatewayTls = GatewayTls()
    """The gateway's certificate towards its clients."""
    identity: Identity = Identity()
    """Whose tokens are believed."""
    people: People = People()
    """What people may do."""
    policies: Text = "./policies"
    """Folder of policies; followed while the gateway runs."""
    targets: tuple[TargetModel, ...] = ()
    """The systems that agents reach through the gateway."""
    recording: Recording = Recording()
    """How recordings are kept."""
    busy_poll: Literal["auto", "off"] = "auto"
    """Whether the loop polls a moment for the next bytes of a lone busy session before it sleeps."""
