"""Key sets: what may verify tokens, and what is left out."""

from __future__ import annotations

import pytest
from joserfc.jwk import ECKey, OctKey

from checkrein.core.limits import JWKS_KEYS
from checkrein.identity.keys import fitting, read_keys
from tests.identity.support import Signer, encoded


def test_usable_keys_are_read(signer: Signer) -> None:
    """RSA, P-256, P-384 and Ed25519 keys are taken, each with its id."""
    assert [(key.kid, key.kind, key.curve) for key in signer.public()] == [
        ("rsa", "RSA", ""),
        ("ec256", "EC", "P-256"),
        ("ec384", "EC", "P-384"),
        ("ed", "OKP", "Ed25519"),
    ]


def test_what_cannot_verify_is_left_out(signer: Signer) -> None:
    """Shared secrets, encryption keys, weak RSA, unknown curves and broken entries are skipped."""
    good = signer.jwks("ed")["keys"][0]
    bad = [
        OctKey.generate_key(256).as_dict(),
        {**good, "use": "enc"},
        {**good, "key_ops": ["sign"]},
        {"kty": "RSA", "n": encoded(b"\xc5" * 128).decode(), "e": "AQAB"},
        ECKey.generate_key("P-521").as_dict(private=False),
        {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"},
        {"kty": "OKP", "crv": "Ed25519"},
        {**good, "kid": 7},
        "text",
    ]
    assert [key.kid for key in read_keys({"keys": [*bad, good]})] == ["ed"]


@pytest.mark.parametrize("document", [[], {}, {"keys": 7}, {"keys": []}, {"keys": [{"kty": "oct", "k": "AA"}]}, None])
def test_no_usable_key_is_an_error(document: object) -> None:
    """A set without any usable key is told, not taken as empty."""
    with pytest.raises(ValueError, match=r"key"):
        read_keys(document)


def test_too_many_keys_are_refused(signer: Signer) -> None:
    """A set is bounded."""
    with pytest.raises(ValueError, match="more than"):
        read_keys({"keys": signer.jwks("ed")["keys"] * (JWKS_KEYS + 1)})


def test_private_parts_are_dropped(signer: Signer) -> None:
    """A set published with private halves by mistake is used for its public halves alone."""
    (key,) = read_keys({"keys": [{**signer.ed.as_dict(private=True), "kid": "ed"}]})
    assert not key.key.is_private


def test_a_key_bound_to_an_algorithm_fits_only_that(signer: Signer) -> None:
    """`alg` of a key in the set is held against the token's."""
    keys = read_keys({"keys": [{**signer.jwks("rsa")["keys"][0], "alg": "PS256"}]})
    assert fitting(keys, "rsa", "PS256")
    assert not fitting(keys, "rsa", "RS256")
