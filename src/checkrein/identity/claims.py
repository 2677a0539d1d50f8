"""What a token claims, checked against what its issuer may be believed (RFC 7519, RFC 9068, RFC 8725)."""

from __future__ import annotations

import unicodedata
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from checkrein.core.identity import LoginRefused
from checkrein.core.limits import CLOCK_SKEW_SECONDS, NAME_CHARACTERS
from checkrein.identity.keys import ALGORITHMS, PublicKey
from checkrein.identity.tokens import check_signature, peek, shown

_FAR: Final = 253402300799.0  # 9999-12-31T23:59:59Z: what a date can still be printed of


class Issuer(msgspec.Struct, frozen=True, kw_only=True):
    """One configured issuer and what it is believed.

    `clients` empty means any. `groups` is a claim path with dots, `groups_cel` a CEL expression over `claims` that
    gives a list of texts and goes before it. `may_assert` are globs of groups that count without the issuer's name.
    `people` yields roles; `people_subjects`, when not None, to these subjects only. `subjects`, when not None, are all
    that it may speak of.
    """

    name: str
    url: str
    audiences: tuple[str, ...]
    clients: tuple[str, ...] = ()
    algorithms: tuple[str, ...] = ALGORITHMS
    groups: str = "groups"
    groups_cel: str = ""
    may_assert: tuple[str, ...] = ()
    people: bool = False
    people_subjects: frozenset[str] | None = None
    subjects: frozenset[str] | None = None


def verify(token: bytes, issuer: Issuer, keys: tuple[PublicKey, ...], now: float) -> dict[str, Any] | LoginRefused:
    """Return the claims of a token of `issuer` that holds at `now` (epoch seconds), or which check failed.

    Signature first: no other claim is compared, or told, before it holds.
    """
    peeked = peek(token)
    if isinstance(peeked, LoginRefused):
        return peeked
    if peeked.issuer != issuer.url:
        return LoginRefused(f"the token's issuer {shown(peeked.issuer)} is not configured", "issuer")
    if peeked.algorithm not in issuer.algorithms:
        return LoginRefused(f"the token's algorithm {shown(peeked.algorithm)} is not accepted", "algorithm")
    refused = check_signature(token, peeked, keys)
    return refused or check_claims(peeked.claims, issuer, now) or peeked.claims


def check_claims(claims: dict[str, Any], issuer: Issuer, now: float) -> LoginRefused | None:
    """Check times, audience, client, subject and binding of verified claims; None when all hold."""
    return (
        check_times(claims, now)
        or _audience(claims.get("aud"), issuer)
        or _client(claims, issuer)
        or _subject(claims.get("sub"), issuer)
        or _binding(claims)
        or _purpose(claims)
    )


def check_times(claims: dict[str, Any], now: float) -> LoginRefused | None:
    """Check exp, nbf and iat within CLOCK_SKEW_SECONDS (RFC 7519 section 4.1); exp must be there."""
    if "exp" not in claims:
        return LoginRefused("the token never expires (no exp); such tokens are not accepted", "expired")
    for name in ("exp", "nbf", "iat"):
        if name in claims and not _is_time(claims[name]):
            return LoginRefused(f"the token's {name} {shown(claims[name])} is not a time", "token")
    if now >= claims["exp"] + CLOCK_SKEW_SECONDS:
        return expired(claims["exp"])
    if now + CLOCK_SKEW_SECONDS < claims.get("nbf", now):
        return LoginRefused(f"the token is not valid before {_when(claims['nbf'])}", "not_before")
    if now + CLOCK_SKEW_SECONDS < claims.get("iat", now):
        return LoginRefused(f"the token was issued in the future, at {_when(claims['iat'])}", "issued_at")
    return None


def expired(at: float) -> LoginRefused:
    """Return the refusal of a token that ended at `at` (epoch seconds)."""
    return LoginRefused(f"the token expired at {_when(at)}; get a new one", "expired")


def _is_time(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= _FAR


def _when(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _audience(audience: object, issuer: Issuer) -> LoginRefused | None:
    values = [audience] if isinstance(audience, str) else audience
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        return LoginRefused("the token names no audience", "audience")
    if set(values) & set(issuer.audiences):
        return None
    wanted = " or ".join(issuer.audiences)
    return LoginRefused(f"the token is for audience {', '.join(map(shown, values[:5]))}, not for {wanted}", "audience")


def _client(claims: dict[str, Any], issuer: Issuer) -> LoginRefused | None:
    """Check azp and client_id against the allow-list; where both stand, both must be on it."""
    if not issuer.clients:
        return None
    seen = [claims[name] for name in ("azp", "client_id") if name in claims]
    if not seen:
        return LoginRefused(
            "the token names no client (azp, client_id), and this issuer's clients are listed", "client"
        )
    for client in seen:
        if client not in issuer.clients:
            return LoginRefused(
                f"the token's client {shown(client)} is not one of this issuer's listed clients", "client"
            )
    return None


def _subject(subject: object, issuer: Issuer) -> LoginRefused | None:
    if is_name(subject):
        if issuer.subjects is None or subject in issuer.subjects:
            return None
        return LoginRefused(f"the token's subject {shown(subject)} is not one of this issuer's", "subject")
    return LoginRefused(f"the token's subject {shown(subject)} is not a name", "subject")


def is_name(value: object) -> bool:
    """Whether a value may be the name of a subject, actor or group: a printable text of bounded length.

    Control, format (bidi, zero-width) and unassigned characters would make one principal look like another.
    """
    if not isinstance(value, str) or not value or len(value) > NAME_CHARACTERS or value != value.strip():
        return False
    return value.isprintable() and not any(unicodedata.category(c)[0] == "C" for c in value)


def _binding(claims: dict[str, Any]) -> LoginRefused | None:
    """Refuse sender-constrained tokens (cnf: RFC 8705, RFC 9449): a password cannot prove possession of the key."""
    if "cnf" in claims:
        return LoginRefused(
            "the token is bound to a key (cnf) that a password cannot prove; use a bearer token", "binding"
        )
    return None


def _purpose(claims: dict[str, Any]) -> LoginRefused | None:
    """Refuse an issuer's other JWTs: refresh tokens, and logout tokens (OIDC Back-Channel Logout 1.0 section 2.4)."""
    for name in ("token_use", "token_type", "typ"):
        value = claims.get(name)
        if isinstance(value, str) and value.lower() in ("refresh", "offline", "logout"):
            return LoginRefused(f"this is a {value.lower()} token; send an access or ID token", "purpose")
    if "events" in claims:
        return LoginRefused("this is a security event token; send an access or ID token", "purpose")
    return None
