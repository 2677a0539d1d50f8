"""JSON Web Key Sets (RFC 7517): which keys of a published set may verify tokens, and which one fits a token."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey, RSAKey

from checkrein.core.limits import JWKS_KEYS, RSA_BITS

SigningKey = RSAKey | ECKey | OKPKey

_FAMILY: Final = {
    "RS256": ("RSA", ""),
    "RS384": ("RSA", ""),
    "RS512": ("RSA", ""),
    "PS256": ("RSA", ""),
    "PS384": ("RSA", ""),
    "PS512": ("RSA", ""),
    "ES256": ("EC", "P-256"),
    "ES384": ("EC", "P-384"),
    "EdDSA": ("OKP", "Ed25519"),
    "Ed25519": ("OKP", "Ed25519"),
}
ALGORITHMS: Final = tuple(_FAMILY)
"""Every signature algorithm that is accepted: asymmetric ones only; `none` and HS* can never be named."""


class PublicKey(msgspec.Struct, frozen=True):
    """One verification key of a set. `curve` is empty for RSA; `algorithm` is what the set binds it to, or empty."""

    kid: str
    kind: str
    curve: str
    algorithm: str
    thumbprint: str
    key: SigningKey


def read_keys(document: object) -> tuple[PublicKey, ...]:
    """Return the keys of a JWKS document that may verify signatures; others (oct, encryption, weak RSA) are left out.

    Raises ValueError when the document is not a key set, holds more than JWKS_KEYS keys, or none that is of use.
    """
    entries = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(entries, list):
        raise ValueError("not a JSON Web Key Set: no list `keys`")
    if len(entries) > JWKS_KEYS:
        raise ValueError(f"more than {JWKS_KEYS} keys")
    keys = tuple(key for entry in entries if (key := _read_key(entry)) is not None)
    if not keys:
        raise ValueError("no key in it can verify a signature")
    return keys


def _read_key(entry: object) -> PublicKey | None:
    """Return one key, or None when it cannot be used to verify tokens."""
    if not isinstance(entry, dict) or entry.get("use", "sig") != "sig":
        return None
    operations = entry.get("key_ops")
    if operations is not None and (not isinstance(operations, list) or "verify" not in operations):
        return None
    try:
        key = _import(entry)
        thumbprint = key.thumbprint() if key is not None else ""
    except (JoseError, ValueError, TypeError, KeyError):
        return None
    if key is None:
        return None
    kid, algorithm = entry.get("kid", ""), entry.get("alg", "")
    if not isinstance(kid, str) or not isinstance(algorithm, str):
        return None
    curve = str(entry["crv"]) if not isinstance(key, RSAKey) else ""
    return PublicKey(kid, str(entry["kty"]), curve, algorithm, thumbprint, key)


def _import(entry: dict[str, Any]) -> SigningKey | None:
    """Import the public half of a JWK; None for kinds and sizes that are not accepted."""
    kind, curve = entry.get("kty"), entry.get("crv")
    if kind == "RSA":
        long_enough = isinstance(entry.get("n"), str) and len(entry["n"].strip("=")) * 6 >= RSA_BITS
        key = RSAKey.import_key({name: entry[name] for name in ("kty", "n", "e")}) if long_enough else None
        return key if key is not None and key.public_key.key_size >= RSA_BITS else None
    if kind == "EC" and curve in ("P-256", "P-384"):
        return ECKey.import_key({name: entry[name] for name in ("kty", "crv", "x", "y")})
    if kind == "OKP" and curve == "Ed25519":
        return OKPKey.import_key({name: entry[name] for name in ("kty", "crv", "x")})
    return None


def fitting(keys: tuple[PublicKey, ...], kid: str, algorithm: str) -> list[PublicKey]:
    """Return the keys that a token with this `kid` (empty: none given) and `alg` may have been signed with."""
    kind, curve = _FAMILY[algorithm]
    return [
        key
        for key in keys
        if key.kind == kind and key.curve == curve and key.algorithm in ("", algorithm) and (not kid or key.kid == kid)
    ]
