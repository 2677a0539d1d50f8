"""Verified claims to a Principal: its groups, what its issuer may assert of them, its roles and its actor chain."""

from __future__ import annotations

import functools
import hashlib
import re
from typing import Any, Final

import msgspec
from cel_expr_python import cel

from checkrein.core.identity import Actor, LoginRefused, Principal
from checkrein.core.limits import ACTOR_DEPTH, GROUPS
from checkrein.identity.claims import Issuer, is_name
from checkrein.identity.tokens import shown

LOCAL: Final = "local"
"""The issuer name of people who come over the owner's socket; no configured issuer may have it."""

LOCAL_ADMINS: Final = "local-admins"
"""The group of those people; no token can assert it."""


class Directory(msgspec.Struct, frozen=True):
    """What the whole configuration says of identities: `names` maps issuer URL to name, `roles` role to groups."""

    names: dict[str, str] = {}
    roles: dict[str, tuple[str, ...]] = {}


def to_principal(
    claims: dict[str, Any], issuer: Issuer, directory: Directory, token: bytes
) -> Principal | LoginRefused:
    """Make the principal of verified claims; refuses groups and actor chains that cannot be read completely."""
    asserted = _asserted(claims, issuer)
    if isinstance(asserted, LoginRefused):
        return asserted
    actors = _actors(claims.get("act"), issuer, directory)
    if isinstance(actors, LoginRefused):
        return actors
    groups = known_groups(asserted, issuer, directory)
    return Principal(
        subject=claims["sub"],
        issuer=issuer.name,
        groups=groups,
        actors=actors,
        claims=claims,
        roles=_roles(claims["sub"], groups, issuer, directory),
        expires_at=float(claims["exp"]),
        token_digest=hashlib.sha256(token).hexdigest(),
    )


def known_groups(asserted: list[str], issuer: Issuer, directory: Directory) -> tuple[str, ...]:
    """Return `name:group` for each group, and the plain one where the issuer may assert it.

    A plain group that reads like another issuer's (`corp:oncall` from `ci`) or like the socket's is never given.
    """
    reserved = {*directory.names.values(), issuer.name, LOCAL}
    out: dict[str, None] = {}
    for group in asserted:
        out[f"{issuer.name}:{group}"] = None
        foreign = ":" in group and group.split(":", 1)[0] in reserved
        if not foreign and group != LOCAL_ADMINS and _may_assert(group, issuer.may_assert):
            out[group] = None
    return tuple(out)


def _may_assert(group: str, globs: tuple[str, ...]) -> bool:
    return any(_glob(pattern).fullmatch(group) for pattern in globs)


@functools.lru_cache(maxsize=1024)
def _glob(pattern: str) -> re.Pattern[str]:
    """Compile a glob in which `*` is any text and everything else stands for itself."""
    return re.compile(".*?".join(re.escape(part) for part in re.split(r"\*+", pattern)), re.DOTALL)


def _asserted(claims: dict[str, Any], issuer: Issuer) -> list[str] | LoginRefused:
    """Return the groups that the token speaks of, by CEL or by claim path; a path that is not there gives none."""
    if issuer.groups_cel:
        found = evaluate(issuer.groups_cel, claims)
        if isinstance(found, LoginRefused):
            return found
    else:
        found = _at_path(claims, issuer.groups)
    values = [found] if isinstance(found, str) else found
    if values is None:
        return []
    if not isinstance(values, list) or not all(is_name(value) for value in values):
        return LoginRefused(
            f"the token's groups ({issuer.groups_cel or issuer.groups}) are not a list of names", "groups"
        )
    if len(values) > GROUPS:
        return LoginRefused(f"the token names {len(values)} groups, more than {GROUPS}", "groups")
    return values


def _at_path(claims: dict[str, Any], path: str) -> Any:
    """Return the claim at `a.b.c`; a claim whose whole name holds the dots (`https://x.example/groups`) goes first."""
    if path in claims:
        return claims[path]
    value: Any = claims
    for name in path.split("."):
        if not isinstance(value, dict) or name not in value:
            return None
        value = value[name]
    return value


@functools.lru_cache(maxsize=64)
def compile_groups(expression: str) -> cel.Expression:
    """Compile a `groups_cel` expression over `claims`. Raises ValueError with the compiler's words."""
    try:
        return _environment().compile(expression)
    except Exception as error:  # noqa: BLE001  the binding raises plain RuntimeError and its own kinds
        raise ValueError(str(error).splitlines()[0] if str(error) else "does not compile") from None


@functools.lru_cache(maxsize=1)
def _environment() -> cel.Env:
    return cel.NewEnv(variables={"claims": cel.Type.Map(cel.Type.STRING, cel.Type.DYN)})


def evaluate(expression: str, claims: dict[str, Any]) -> Any:
    """Return what `groups_cel` gives for these claims as plain values, or LoginRefused when it errs."""
    try:
        value = compile_groups(expression).eval(data={"claims": claims})
        if value.type() == cel.Type.ERROR:
            return LoginRefused("the issuer's groups_cel fails for this token", "groups")
        return value.plain_value()
    except Exception:  # noqa: BLE001  an expression that fails refuses, whatever the binding raises
        return LoginRefused("the issuer's groups_cel fails for this token", "groups")


def _roles(subject: str, groups: tuple[str, ...], issuer: Issuer, directory: Directory) -> tuple[str, ...]:
    """Return the roles that these groups hold, for issuers of people alone."""
    if not issuer.people or (issuer.people_subjects is not None and subject not in issuer.people_subjects):
        return ()
    held = frozenset(groups)
    return tuple(role for role, members in directory.roles.items() if held & frozenset(members))


def _actors(act: object, issuer: Issuer, directory: Directory) -> tuple[Actor, ...] | LoginRefused:
    """Read the nested `act` claim (RFC 8693 section 4.1), nearest actor first; what cannot be read refuses."""
    chain: list[Actor] = []
    while act is not None:
        if not isinstance(act, dict) or not is_name(act.get("sub")):
            return LoginRefused(f"the token's actor chain (act) cannot be read at {shown(act)}", "actors")
        if len(chain) == ACTOR_DEPTH:
            return LoginRefused(f"the token's actor chain is longer than {ACTOR_DEPTH}", "actors")
        url = act.get("iss", issuer.url)
        if not isinstance(url, str) or not is_name(url):
            return LoginRefused(f"the token's actor has an issuer that is not a name: {shown(url)}", "actors")
        chain.append(Actor(act["sub"], directory.names.get(url, url)))
        act = act.get("act")
    return tuple(chain)
