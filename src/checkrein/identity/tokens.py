"""A JWT in JWS compact form (RFC 7515, 7519, 8725), read strictly: header, claims, signature.

Nothing of a token is believed before its signature holds; `peek` only tells whose keys to use. Refusals never contain
the token; values shown from it are cut and made printable.
"""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any, Final

import msgspec
from joserfc import jws
from joserfc.errors import JoseError, UnsupportedAlgorithmError

from checkrein.core.identity import LoginRefused
from checkrein.core.limits import TOKEN_BYTES, TOKEN_KEYS_TRIED
from checkrein.identity.keys import ALGORITHMS, PublicKey, fitting

_TYPES: Final = frozenset({"", "jwt", "at+jwt", "application/at+jwt", "application/jwt"})


class _Registry(jws.JWSRegistry):
    """Our algorithms and no others; the name EdDSA, which RFC 9864 deprecates but providers use, without a warning."""

    def get_alg(self, name: str) -> Any:
        """Return an accepted algorithm. Raises UnsupportedAlgorithmError."""
        if name not in ALGORITHMS:
            raise UnsupportedAlgorithmError(f"{name} is not accepted")
        return self.algorithms[name]


_REGISTRY: Final = _Registry(algorithms=list(ALGORITHMS), strict_check_header=False)


class Peeked(msgspec.Struct, frozen=True):
    """What a token says of itself before anything is verified: only good for finding the issuer's keys."""

    issuer: str
    kid: str
    algorithm: str
    claims: dict[str, Any]


def shown(value: object) -> str:
    """Return a value of a token as it may stand in an error: quoted, printable ASCII, at most 100 characters."""
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    text = text.encode("ascii", "backslashreplace").decode()
    return "'" + "".join(c if " " <= c <= "~" else "?" for c in text[:100]) + "'"


def peek(token: bytes) -> Peeked | LoginRefused:
    """Read header and claims of a token without believing them; refuse what could never be verified."""
    if not token:
        return LoginRefused("no token was given; send an OIDC token as the password", "token")
    if len(token) > TOKEN_BYTES:
        return LoginRefused(f"the token is longer than {TOKEN_BYTES} bytes", "token")
    parts = token.split(b".")
    if len(parts) != 3 or not all(parts):
        return LoginRefused("what was given is not a signed token (JWT)", "token")
    try:
        header, claims = _object(parts[0]), _object(parts[1])
    except (ValueError, RecursionError):
        return LoginRefused("the token cannot be read: not base64url of JSON objects with unique names", "token")
    return _header_refused(header) or Peeked(
        claims["iss"] if isinstance(claims.get("iss"), str) else "", header.get("kid", ""), header["alg"], claims
    )


def _object(part: bytes) -> dict[str, Any]:
    """Decode base64url (no padding, RFC 7515 section 2) of a JSON object whose names are unique. Raises ValueError."""
    try:
        raw = base64.b64decode(part + b"=" * (-len(part) % 4), altchars=b"-_", validate=True)
        value = json.loads(raw.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_no_constant)
    except binascii.Error as error:
        raise ValueError("not base64url") from error
    if not isinstance(value, dict):
        raise ValueError("not a JSON object")
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    out = dict(pairs)
    if len(out) != len(pairs):
        raise ValueError("a name stands twice")
    return out


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _header_refused(header: dict[str, Any]) -> LoginRefused | None:
    """Check the JOSE header (RFC 7515 section 4, RFC 8725 section 3)."""
    algorithm, kid, kind = header.get("alg"), header.get("kid", ""), header.get("typ", "")
    if algorithm not in ALGORITHMS:
        return LoginRefused(f"the token's algorithm {shown(algorithm)} is not accepted", "algorithm")
    if "crit" in header or "b64" in header:
        return LoginRefused("the token's header demands extensions (crit) that are not understood", "header")
    if not isinstance(kid, str):
        return LoginRefused("the token's key id is not a text", "header")
    if not isinstance(kind, str) or kind.lower() not in _TYPES:
        return LoginRefused(f"the token's type {shown(kind)} is not that of an access or ID token", "header")
    return None


def check_signature(token: bytes, peeked: Peeked, keys: tuple[PublicKey, ...]) -> LoginRefused | None:
    """Verify the signature with the keys that fit; None when one of them made it."""
    candidates = fitting(keys, peeked.kid, peeked.algorithm)
    if not candidates:
        named = f"key {shown(peeked.kid)}" if peeked.kid else "a key without id"
        return LoginRefused(f"the token is signed with {named}, which the issuer does not publish", "key")
    for candidate in candidates[:TOKEN_KEYS_TRIED]:
        try:
            jws.deserialize_compact(token, candidate.key, registry=_REGISTRY)
        except (JoseError, ValueError):
            continue
        return None
    return LoginRefused("the token's signature does not match the issuer's key", "signature")
