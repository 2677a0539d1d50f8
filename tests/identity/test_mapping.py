"""Mapping: groups, what an issuer may assert of them (GW-12), roles, and actor chains."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from checkrein.core.identity import Actor, LoginRefused, Principal
from checkrein.core.limits import ACTOR_DEPTH, GROUPS
from checkrein.identity.claims import Issuer
from checkrein.identity.mapping import Directory, compile_groups, to_principal
from tests.identity.support import CORP, NOW, URL, claims

CI = Issuer(name="ci", url="https://ci.example.com", audiences=("checkrein",), may_assert=("ci-*",))
DIRECTORY = Directory(
    names={URL: "corp", CI.url: "ci"},
    roles={"approver": ("oncall",), "admin": ("corp:platform",), "viewer": ("staff",)},
)


def principal(issuer: Issuer = CORP, **changes: Any) -> Principal:
    """Return the principal of claims with changes."""
    found = to_principal(claims(**changes), issuer, DIRECTORY, b"token")
    assert isinstance(found, Principal), found
    return found


def check_of(issuer: Issuer = CORP, **changes: Any) -> str:
    """Return which check refuses claims with changes."""
    found = to_principal(claims(**changes), issuer, DIRECTORY, b"token")
    assert isinstance(found, LoginRefused)
    return found.check


def test_the_whole_principal() -> None:
    """Subject, issuer's name, expiry and digest of the token are as claimed."""
    found = principal(groups=["support"])
    assert (found.name, found.expires_at) == ("corp:bot", NOW + 600)
    assert found.groups == ("corp:support", "support")
    assert len(found.token_digest) == 64
    assert "token" not in found.token_digest


def test_groups_at_a_path() -> None:
    """Groups are found at a dotted path, or at a claim whose name holds dots; a missing path gives none."""
    at = msgspec.structs.replace(CORP, groups="realm_access.roles")
    assert principal(at, realm_access={"roles": ["a"]}).groups == ("corp:a", "a")
    url = msgspec.structs.replace(CORP, groups="https://x.example/groups")
    assert principal(url, **{"https://x.example/groups": ["b"]}).groups == ("corp:b", "b")
    assert principal(at).groups == ()
    assert principal(at, realm_access="text").groups == ()


def test_one_group_as_text() -> None:
    """Some providers send one group as a text."""
    assert principal(groups="support").groups == ("corp:support", "support")


@pytest.mark.parametrize("groups", [[7], {"a": 1}, ["a\nb"], [""], 7, [["a"]], ["a\u200b"]])
def test_groups_that_are_no_names_refuse(groups: object) -> None:
    """What cannot be read completely refuses; dropping one group could drop the one that a deny names."""
    assert check_of(groups=groups) == "groups"


def test_too_many_groups_refuse() -> None:
    """The number of groups is bounded, and not by cutting."""
    assert check_of(groups=[f"g{n}" for n in range(GROUPS + 1)]) == "groups"


def test_groups_by_cel() -> None:
    """CEL over the claims gives the groups; an expression that fails refuses."""
    cel = msgspec.structs.replace(CORP, groups_cel="claims.roles.filter(r, r.startsWith('x-')).map(r, r.substring(2))")
    with pytest.raises(ValueError, match="substring"):
        compile_groups(cel.groups_cel)
    cel = msgspec.structs.replace(CORP, groups_cel="claims.roles.filter(r, r.startsWith('x-'))")
    assert principal(cel, roles=["x-a", "b"]).groups == ("corp:x-a", "x-a")
    assert check_of(cel) == "groups"
    assert check_of(msgspec.structs.replace(CORP, groups_cel="1 + 1")) == "groups"


def test_gw12_a_token_of_one_issuer_claims_another_issuers_group() -> None:
    """GW-12: a CI token that says `oncall`, `corp:oncall` or `local-admins` has none of them."""
    found = principal(
        CI, iss=CI.url, groups=["oncall", "corp:oncall", "local-admins", "local:local-admins", "ci-build"]
    )
    assert "ci-build" in found.groups
    for stolen in ("oncall", "corp:oncall", "local-admins", "local:local-admins"):
        assert stolen not in found.groups


def test_gw12_even_an_issuer_that_may_assert_everything() -> None:
    """GW-12: may_assert ['*'] gives plain groups, but never another issuer's qualified name nor the socket's group."""
    trusted = msgspec.structs.replace(CI, may_assert=("*",))
    found = principal(trusted, iss=CI.url, groups=["oncall", "corp:platform", "local-admins", "local:x", "team:a"])
    assert {"oncall", "team:a"} <= set(found.groups)
    assert not {"corp:platform", "local-admins", "local:x"} & set(found.groups)


def test_gw12_roles_only_from_issuers_of_people() -> None:
    """GW-12: the same group gives a role to a person of corp and none to a CI job."""
    assert principal(groups=["oncall"]).roles == ("approver",)
    trusted = msgspec.structs.replace(CI, may_assert=("*",))
    assert principal(trusted, iss=CI.url, groups=["oncall"]).roles == ()


def test_roles_by_qualified_group() -> None:
    """A role given to corp:platform is not given to another issuer's platform."""
    assert principal(groups=["platform"]).roles == ("admin",)
    people = msgspec.structs.replace(CI, may_assert=("*",), people=True)
    assert principal(people, iss=CI.url, groups=["platform"]).roles == ()


def test_roles_of_listed_subjects_alone() -> None:
    """Where people are listed (the embedded issuer), an agent in a role's group has no role."""
    embedded = msgspec.structs.replace(CORP, people_subjects=frozenset({"anna"}))
    assert principal(embedded, sub="anna", groups=["oncall"]).roles == ("approver",)
    assert principal(embedded, sub="bot", groups=["oncall"]).roles == ()


def test_globs_of_may_assert() -> None:
    """A star is any text; everything else, regex signs included, stands for itself."""
    some = msgspec.structs.replace(CI, may_assert=("sup*", "a.b", "x*y*z"))
    found = principal(some, iss=CI.url, groups=["support", "asup", "a.b", "axb", "x1y2z", "xyzz!"]).groups
    assert [group for group in found if ":" not in group] == ["support", "a.b", "x1y2z"]


def test_actor_chain() -> None:
    """act is read nearest first; an actor's issuer is known by its name where it is configured."""
    act = {"sub": "agent", "act": {"sub": "sub-agent", "iss": CI.url, "act": {"sub": "x", "iss": "https://else"}}}
    assert principal(sub="anna", act=act).actors == (
        Actor("agent", "corp"),
        Actor("sub-agent", "ci"),
        Actor("x", "https://else"),
    )


@pytest.mark.parametrize("act", ["agent", [], {}, {"sub": ""}, {"sub": "a", "act": 7}, {"sub": "a", "iss": 7}])
def test_actor_chain_that_cannot_be_read_refuses(act: object) -> None:
    """A chain is read completely or not at all: attribution must not lose a link."""
    assert check_of(act=act) == "actors"


def test_actor_chain_is_bounded() -> None:
    """A chain at the limit is read, one longer is refused."""
    act: dict[str, Any] = {"sub": "a"}
    for _ in range(ACTOR_DEPTH - 1):
        act = {"sub": "a", "act": act}
    assert len(principal(act=act).actors) == ACTOR_DEPTH
    assert check_of(act={"sub": "a", "act": act}) == "actors"
