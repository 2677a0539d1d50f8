"""Claims: times, audience, client, subject and binding, each refused by name with the value seen."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from checkrein.core.identity import LoginRefused
from checkrein.core.limits import CLOCK_SKEW_SECONDS, NAME_CHARACTERS
from checkrein.identity.claims import Issuer, check_claims, is_name
from tests.identity.support import CORP, NOW, claims


def refused(issuer: Issuer = CORP, now: float = NOW, **changes: Any) -> LoginRefused:
    """Return the refusal of claims with changes."""
    found = check_claims(claims(**changes), issuer, now)
    assert found is not None
    return found


def test_good_claims_hold() -> None:
    """What is right is not refused."""
    assert check_claims(claims(nbf=NOW), CORP, NOW) is None


def test_expired_says_when() -> None:
    """An expired token is refused with the time at which it expired."""
    found = refused(exp=NOW - 3600)
    assert found.check == "expired"
    assert "2027-01-15T07:00:00Z" in found.reason


def test_skew_is_exact() -> None:
    """exp, nbf and iat are judged within the named clock skew, and not a moment beyond."""
    edge = NOW - CLOCK_SKEW_SECONDS
    assert refused(exp=edge).check == "expired"
    assert check_claims(claims(exp=edge + 1), CORP, NOW) is None
    assert check_claims(claims(nbf=NOW + CLOCK_SKEW_SECONDS), CORP, NOW) is None
    assert refused(nbf=NOW + CLOCK_SKEW_SECONDS + 1).check == "not_before"
    assert check_claims(claims(iat=NOW + CLOCK_SKEW_SECONDS), CORP, NOW) is None
    assert refused(iat=NOW + CLOCK_SKEW_SECONDS + 1).check == "issued_at"


@pytest.mark.parametrize("value", ["tomorrow", True, -1, 1e300, [1], {}])
@pytest.mark.parametrize("name", ["exp", "nbf", "iat"])
def test_times_must_be_times(name: str, value: object) -> None:
    """A time that is none is refused, not compared."""
    assert refused(**{name: value}).check == "token"


def test_exp_is_required() -> None:
    """A token that never expires is refused."""
    assert refused(exp=None).check == "expired"


@pytest.mark.parametrize("audience", ["checkrein", ["other", "checkrein"]])
def test_audience_as_text_or_list(audience: object) -> None:
    """Both forms of aud are read."""
    assert check_claims(claims(aud=audience), CORP, NOW) is None


@pytest.mark.parametrize("audience", ["Checkrein", "checkrein ", ["a", "b"], [], {}, 7, ["checkrein", 7], None])
def test_wrong_audience(audience: object) -> None:
    """Anything but the exact audience is refused."""
    assert refused(aud=audience).check == "audience"


def test_wrong_audience_is_shown() -> None:
    """The refusal shows the audience seen and the one wanted."""
    reason = refused(aud="billing").reason
    assert "'billing'" in reason
    assert "checkrein" in reason


def test_clients_when_listed() -> None:
    """With an allow-list, azp and client_id must be on it; both where both stand; any where none is listed."""
    listed = msgspec.structs.replace(CORP, clients=("bot",))
    assert check_claims(claims(azp="bot"), listed, NOW) is None
    assert check_claims(claims(client_id="bot"), listed, NOW) is None
    assert refused(listed).check == "client"
    assert refused(listed, azp="evil").check == "client"
    assert refused(listed, azp="bot", client_id="evil").check == "client"
    assert refused(listed, azp=["bot"]).check == "client"
    assert check_claims(claims(azp="evil"), CORP, NOW) is None


@pytest.mark.parametrize(
    "subject", ["", 7, None, "a\nb", "a\u200bb", "a\u202eb", " a", "x" * (NAME_CHARACTERS + 1), "a\0"]
)
def test_subject_must_be_a_name(subject: object) -> None:
    """A subject that is empty, unprintable, or would look like another's is refused."""
    assert refused(sub=subject).check == "subject"


def test_bound_tokens_are_refused() -> None:
    """A sender-constrained token (cnf) sent as a password proves nothing, so it is refused."""
    assert refused(cnf={"jkt": "x"}).check == "binding"


@pytest.mark.parametrize("extra", [{"token_use": "refresh"}, {"typ": "Refresh"}, {"events": {"x": {}}}])
def test_other_tokens_of_the_issuer_are_refused(extra: dict[str, Any]) -> None:
    """Refresh and logout tokens bear the same signature, issuer and audience, and are not for logging in."""
    assert refused(**extra).check == "purpose"


def test_names() -> None:
    """Ordinary names of people, services and paths are names."""
    for name in ("anna", "system:serviceaccount:ns:bot", "Zoë Müller", "spiffe://x/y", "a|b@c"):
        assert is_name(name)
