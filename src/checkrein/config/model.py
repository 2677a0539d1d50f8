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
    key: FileReference | None = None
    loopback_plaintext: bool = False


class IssuerModel(StrictModel):
    """One OIDC issuer and what it is believed."""

    name: Name | None = None
    issuer: Text
    audience: Text | tuple[Text, ...] = "checkrein"
    groups: Text | None = None
    groups_cel: str | None = Field(default=None, max_length=4096)
    jwks: Text = "auto"
    ca: FileReference | None = None
    clients: tuple[Text, ...] = ()
    algorithms: tuple[Text, ...] | None = None
    people: bool | None = None
    may_assert: tuple[Text, ...] | None = None
    insecure_http: bool = False


class Member(StrictModel):
    """One agent or person of the embedded issuer."""

    id: Name
    groups: tuple[Text, ...] = ()
    secret: SecretReference


class Embedded(StrictModel):
    """The gateway's own issuer at CONTROL/issuer, for those without an identity provider."""

    agents: tuple[Member, ...] = ()
    people: tuple[Member, ...] = ()
    ttl: Duration = ISSUER_TOKEN_SECONDS


class Identity(StrictModel):
    """Whose tokens are believed."""

    issuers: tuple[IssuerModel, ...] = ()
    embedded: Embedded | None = None


class People(StrictModel):
    """Roles of people by group of their token."""

    roles: dict[Literal["admin", "approver", "policy-author", "auditor", "viewer"], tuple[Text, ...]] = {}
    local_approver: bool = False


class TargetTlsModel(StrictModel):
    """TLS towards a target, in libpq's words."""

    mode: Literal["disable", "require", "verify-ca", "verify-full"] = "verify-full"
    ca: FileReference | None = None
    cert: FileReference | None = None
    key: FileReference | None = None


class ProfileModel(StrictModel):
    """One login that the gateway holds for a target."""

    user: Text
    password: SecretReference | None = None
    auth: tuple[Literal["scram-sha-256", "cert", "md5", "password"], ...] = ("scram-sha-256", "cert")


class TargetModel(StrictModel):
    """One protected system."""

    name: Name
    protocol: Name
    address: Address | None = None
    via: NotBuilt = None
    database: Text | None = None
    labels: dict[Name, Text] = {}
    tls: TargetTlsModel = TargetTlsModel()
    mode: Literal["enforce", "observe"] = "enforce"
    acknowledge_observe: NotBuilt = None
    unguarded: bool = False
    housekeeping: Literal["normal", "strict"] = "normal"
    max_session: Duration | None = None
    profiles: dict[Name, ProfileModel] = Field(min_length=1)


class Recording(StrictModel):
    """How recordings are kept."""

    durability: Literal["effect", "relaxed"] = "effect"
    seal: NotBuilt = None
    keep: NotBuilt = None


class Gateway(StrictModel):
    """The whole of `checkrein.yaml` (apiVersion checkrein/v1, kind Gateway)."""

    data: Text = "./data"
    state: NotBuilt = None
    recordings: NotBuilt = None
    listen: dict[Name, Address] = Field(min_length=1)
    tls: GatewayTls = GatewayTls()
    identity: Identity = Identity()
    people: People = People()
    policies: Text = "./policies"
    targets: tuple[TargetModel, ...] = ()
    recording: Recording = Recording()
    busy_poll: Literal["auto", "off"] = "auto"
