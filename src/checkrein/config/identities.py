"""The `identity` part of the configuration, resolved: issuers, what they may assert, and the embedded one."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Callable
from typing import Final
from urllib.parse import SplitResult, urlsplit

from checkrein.config.fields import name as check_name
from checkrein.config.model import Embedded, Gateway, IssuerModel
from checkrein.config.values import EmbeddedIssuer, IssuerSource, Member
from checkrein.identity.claims import Issuer
from checkrein.identity.keys import ALGORITHMS
from checkrein.identity.mapping import LOCAL, compile_groups

Path = tuple[int | str, ...]
Report = Callable[[Path, str], None]

EMBEDDED: Final = "embedded"
"""The embedded issuer's name in groups and rules."""


def is_loopback(host: str) -> bool:
    """Whether a host is this machine itself: localhost, 127.0.0.0/8 or ::1."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def absolute(folder: str, reference: str) -> str:
    """Return a path, or a `file:` reference, made absolute from the configuration's folder; others unchanged."""
    scheme = "file:" if reference.startswith("file:") else ""
    if not scheme and reference.startswith("env:"):
        return reference
    path = os.path.expanduser(reference[len(scheme) :])  # noqa: PTH111  text in, text out
    return scheme + os.path.normpath(os.path.join(folder, path))  # noqa: PTH118  as above


def path_of(folder: str, reference: str | None) -> str:
    """Return the absolute path of a `file:` reference, empty for none."""
    return absolute(folder, reference).removeprefix("file:") if reference else ""


def resolve_issuers(gateway: Gateway, folder: str, report: Report) -> tuple[IssuerSource, ...]:
    """Resolve every configured issuer; what is wrong goes to `report`."""
    models = gateway.identity.issuers
    alone = len(models) + (gateway.identity.embedded is not None) == 1
    names: set[str] = {LOCAL, EMBEDDED}
    urls: set[str] = set()
    out: list[IssuerSource] = []
    for index, model in enumerate(models):
        at: Path = ("identity", "issuers", index)
        _check_urls(model, at, report)
        name = model.name or (_split(model.issuer).hostname or "")
        if name in (LOCAL, EMBEDDED):
            report((*at, "name"), f"the name {name} is the gateway's own; choose another")
        elif name in names:
            report((*at, "name"), f"two issuers are named {name}; give each a name")
        elif not model.name and not _is_name(name):
            report((*at, "issuer"), f"{name} cannot serve as a name; give the issuer a name")
        if model.issuer in urls:
            report((*at, "issuer"), f"the issuer {model.issuer} stands twice")
        names.add(name)
        urls.add(model.issuer)
        out.append(_source(model, name, alone, folder, at, report))
    return tuple(out)


def _is_name(value: str) -> bool:
    try:
        check_name(value)
    except ValueError:
        return False
    return True


def _split(url: str) -> SplitResult:
    try:
        return urlsplit(url)
    except ValueError:
        return urlsplit("")


def _check_urls(model: IssuerModel, at: Path, report: Report) -> None:
    """Check the issuer's URL and that of its keys: https, or http on loopback where that is allowed."""
    _check_url(model.issuer, model.insecure_http, (*at, "issuer"), report)
    if model.jwks != "auto" and not model.jwks.startswith("file:"):
        _check_url(model.jwks, model.insecure_http, (*at, "jwks"), report)


def _check_url(url: str, insecure_http: bool, at: Path, report: Report) -> None:
    parts = _split(url)
    if not parts.hostname or "*" in url or parts.username is not None or parts.query or parts.fragment:
        report(at, "must be one exact URL: https://host/path, without wildcards, user, query or fragment")
    elif parts.scheme == "http" and not (insecure_http and is_loopback(parts.hostname)):
        report(at, "must be https; insecure_http: true allows http on loopback only")
    elif parts.scheme not in ("https", "http"):
        report(at, "must be an https URL")


def _source(model: IssuerModel, name: str, alone: bool, folder: str, at: Path, report: Report) -> IssuerSource:
    """Resolve one issuer with its defaults."""
    if model.groups is not None and model.groups_cel is not None:
        report((*at, "groups_cel"), "give groups or groups_cel, not both")
    if model.groups_cel is not None:
        try:
            compile_groups(model.groups_cel)
        except ValueError as error:
            report((*at, "groups_cel"), f"is not CEL over `claims`: {error}")
    for algorithm in model.algorithms or ():
        if algorithm not in ALGORITHMS:
            report((*at, "algorithms"), f"{algorithm} is not accepted; known: {', '.join(ALGORITHMS)}")
    audiences = (model.audience,) if isinstance(model.audience, str) else model.audience
    if not audiences:
        report((*at, "audience"), "names no audience; a token for anybody is for nobody")
    issuer = Issuer(
        name=name,
        url=model.issuer,
        audiences=audiences,
        clients=model.clients,
        algorithms=model.algorithms or ALGORITHMS,
        groups=model.groups or "groups",
        groups_cel=model.groups_cel or "",
        may_assert=model.may_assert if model.may_assert is not None else (("*",) if alone else ()),
        people=model.people if model.people is not None else alone,
    )
    jwks = absolute(folder, model.jwks) if model.jwks.startswith("file:") else model.jwks
    return IssuerSource(issuer=issuer, jwks=jwks, ca=path_of(folder, model.ca), insecure_http=model.insecure_http)


def resolve_embedded(model: Embedded | None, folder: str, report: Report) -> EmbeddedIssuer | None:
    """Resolve the embedded issuer; a subject may stand once among agents and people together."""
    if model is None:
        return None
    members: dict[str, Member] = {}
    for part, entries in (("agents", model.agents), ("people", model.people)):
        for index, entry in enumerate(entries):
            if entry.id in members:
                report(("identity", "embedded", part, index, "id"), f"{entry.id} stands twice in the embedded issuer")
            secret = absolute(folder, entry.secret)
            members[entry.id] = Member(entry.id, entry.groups, secret, person=part == "people")
    if not 10 <= model.ttl <= 86400:
        report(("identity", "embedded", "ttl"), "tokens live from 10s to 24h")
    return EmbeddedIssuer(tuple(members.values()), model.ttl)
