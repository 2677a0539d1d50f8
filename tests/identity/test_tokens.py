"""Tokens: what cannot be verified is refused before anything in it is believed."""

from __future__ import annotations

import json

import pytest

from checkrein.core.identity import LoginRefused
from checkrein.core.limits import TOKEN_BYTES
from checkrein.identity.claims import verify
from checkrein.identity.tokens import peek, shown
from tests.identity.support import CORP, NOW, Signer, claims, hmac_token, unsigned


def check_of(token: bytes, signer: Signer) -> str:
    """Return which check refuses a token."""
    found = verify(token, CORP, signer.public(), NOW)
    assert isinstance(found, LoginRefused), "accepted"
    assert not token or token.decode("latin-1") not in found.reason
    return found.check


@pytest.mark.parametrize(
    ("algorithm", "kid"),
    [
        ("RS256", "rsa"),
        ("RS384", "rsa"),
        ("RS512", "rsa"),
        ("PS256", "rsa"),
        ("PS384", "rsa"),
        ("PS512", "rsa"),
        ("ES256", "ec256"),
        ("ES384", "ec384"),
        ("EdDSA", "ed"),
    ],
)
def test_every_accepted_algorithm_verifies(algorithm: str, kid: str, signer: Signer) -> None:
    """A good token of each algorithm gives its claims."""
    found = verify(signer.sign(claims(), algorithm, kid), CORP, signer.public(), NOW)
    assert isinstance(found, dict)
    assert found["sub"] == "bot"


def test_none_is_refused(signer: Signer) -> None:
    """An unsigned token is refused in every spelling of none."""
    for name in ("none", "None", "NONE", "", None, ["none"], 0):
        assert check_of(unsigned({"alg": name}, claims()), signer) == "algorithm"
    assert check_of(unsigned({"alg": "none"}, claims(), b""), signer) == "token"


def test_hmac_with_the_public_key_is_refused(signer: Signer) -> None:
    """Algorithm confusion: HS256 over the issuer's public key as a secret is not a signature."""
    for secret in (signer.rsa.as_pem(private=False), signer.rsa.as_der(private=False)):
        assert check_of(hmac_token(claims(), secret), signer) == "algorithm"


def test_algorithms_can_be_narrowed(signer: Signer) -> None:
    """An issuer's own allow-list is held against the header."""
    import msgspec

    narrow = msgspec.structs.replace(CORP, algorithms=("RS256",))
    found = verify(signer.sign(claims()), narrow, signer.public(), NOW)
    assert isinstance(found, LoginRefused)
    assert found.check == "algorithm"


def test_a_key_of_another_kind_is_not_tried(signer: Signer) -> None:
    """alg and the kind of the key named by kid must agree."""
    assert check_of(signer.sign(claims(), "ES256", "rsa", signer.ec256), signer) == "key"


def test_a_foreign_signature_is_refused(signer: Signer) -> None:
    """A token signed by someone else's key under a published kid fails at the signature."""
    assert check_of(signer.sign(claims(), key=signer.other), signer) == "signature"


def test_every_part_is_covered_by_the_signature(signer: Signer) -> None:
    """Changing one claim or one header field breaks the signature."""
    head, body, signature = signer.sign(claims()).split(b".")
    evil = unsigned({"alg": "ES256", "kid": "ec256"}, claims(sub="admin")).split(b".")
    assert check_of(b".".join((head, evil[1], signature)), signer) == "signature"
    other = unsigned({"alg": "ES256", "kid": "ec256", "typ": "JWT"}, claims()).split(b".")
    assert check_of(b".".join((other[0], body, signature)), signer) == "signature"


def test_an_unknown_key_is_named(signer: Signer) -> None:
    """The refusal says which key id was not published."""
    found = verify(signer.sign(claims(), kid="gone", key=signer.ec256), CORP, signer.public(), NOW)
    assert isinstance(found, LoginRefused)
    assert found.check == "key"
    assert "'gone'" in found.reason


def test_without_kid_every_fitting_key_is_tried(signer: Signer) -> None:
    """A token without kid verifies with the one key that made it, and only then."""
    assert isinstance(verify(signer.sign(claims(), kid=None), CORP, signer.public(), NOW), dict)
    assert check_of(signer.sign(claims(), kid=None, key=signer.other), signer) == "signature"


def test_crit_and_b64_are_refused(signer: Signer) -> None:
    """Header extensions that must be understood are not (RFC 7515 section 4.1.11)."""
    head = {"alg": "ES256", "kid": "ec256"}
    assert check_of(unsigned({**head, "crit": ["exp"], "exp": 1}, claims()), signer) == "header"
    assert check_of(unsigned({**head, "b64": False}, claims()), signer) == "header"


@pytest.mark.parametrize("kind", ["logout+jwt", "dpop+jwt", "secevent+jwt", 7])
def test_other_kinds_of_jwt_are_refused(kind: object, signer: Signer) -> None:
    """A logout token of the same issuer is no access token (RFC 8725 section 3.11)."""
    assert check_of(signer.sign(claims(), typ=kind), signer) == "header"


@pytest.mark.parametrize("kind", ["JWT", "at+jwt", "application/at+jwt"])
def test_access_and_id_tokens_are_accepted(kind: str, signer: Signer) -> None:
    """The usual types pass, in any case of letters."""
    assert isinstance(verify(signer.sign(claims(), typ=kind), CORP, signer.public(), NOW), dict)


@pytest.mark.parametrize(
    "token",
    [
        b"",
        b"hunter2",
        b"a.b",
        b"a.b.c",
        b"a.b.c.d.e",
        b"...",
        b"\xff\xfe.\xff.\xff",
        unsigned(b"[]", b"{}"),
        unsigned(b'{"alg":"ES256"}', b"[]"),
        unsigned(b'{"alg":"ES256"}', b'{"exp":NaN}'),
        unsigned(b'{"alg":"ES256"}', b"[" * 5000),
        unsigned(b'{"alg":"ES256"}', b'{"sub":"\xff"}'),
        b"x" * (TOKEN_BYTES + 1),
    ],
)
def test_garbage_is_refused(token: bytes, signer: Signer) -> None:
    """Whatever is no token is refused with a sentence, never with an exception."""
    assert check_of(token, signer) == "token"


def test_names_that_stand_twice_are_refused(signer: Signer) -> None:
    """Two subs, or two algs, would mean different things to different readers (RFC 7519 section 4)."""
    body = json.dumps(claims()).encode()[:-1] + b', "sub": "admin"}'
    assert check_of(signer.sign(body), signer) == "token"
    assert check_of(unsigned(b'{"alg":"ES256","alg":"none"}', claims()), signer) == "token"


def test_the_issuer_must_be_the_one_that_was_asked(signer: Signer) -> None:
    """Keys of one issuer never verify a token that names another, trailing slash included."""
    assert check_of(signer.sign(claims(iss="https://evil.example.com")), signer) == "issuer"
    assert check_of(signer.sign(claims(iss=CORP.url + "/")), signer) == "issuer"
    assert check_of(signer.sign(claims(iss=[CORP.url])), signer) == "issuer"


def test_peek_believes_nothing_but_tells_the_issuer(signer: Signer) -> None:
    """Peeking gives issuer and key id of a token that has not been verified."""
    found = peek(signer.sign(claims()))
    assert not isinstance(found, LoginRefused)
    assert (found.issuer, found.kid, found.algorithm) == (CORP.url, "ec256", "ES256")


def test_shown_values_are_harmless() -> None:
    """What a token says may stand in an error: cut, printable, ASCII."""
    assert shown("a\x1b[2J\n") == "'a?[2J?'"
    assert shown("x" * 1000) == "'" + "x" * 100 + "'"
    assert shown("\u202eevil") == "'\\u202eevil'"
    assert shown({"a": 1}) == "'{\"a\": 1}'"
