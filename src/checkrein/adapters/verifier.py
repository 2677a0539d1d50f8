"""Tokens to principals: finds the issuer, has its keys, verifies, maps, and remembers until the token expires."""

from __future__ import annotations

import hashlib
import time
from collections import OrderedDict

import msgspec

from checkrein.adapters.jwks import Clock, Fetch, IssuerKeys
from checkrein.core.errors import Unavailable
from checkrein.core.identity import Claim, LoginRefused, Principal
from checkrein.core.limits import TOKEN_CACHE
from checkrein.identity.claims import Issuer, check_times, verify
from checkrein.identity.mapping import Directory, to_principal
from checkrein.identity.tokens import peek, shown


class TrustedIssuer(msgspec.Struct, frozen=True):
    """An issuer with what fetches its keys."""

    issuer: Issuer
    fetch: Fetch


class Verifier:
    """Verifies tokens of every configured issuer. Belongs to one event loop."""

    def __init__(self, issuers: tuple[TrustedIssuer, ...], directory: Directory, clock: Clock = time.monotonic) -> None:
        self._directory = directory
        self._issuers = {one.issuer.url: (one.issuer, IssuerKeys(one.fetch, clock)) for one in issuers}
        self._cache: OrderedDict[bytes, tuple[Principal, IssuerKeys, int]] = OrderedDict()

    def cached(self, claim: Claim, now: float) -> Principal | None:
        """Return the principal of a token that was verified before and holds still; None: call `verify`.

        A change of the issuer's keys, or their growing old, forgets it: a withdrawn key ends its tokens.
        """
        digest = hashlib.sha256(claim.token.reveal()).digest()
        entry = self._cache.get(digest)
        if entry is None:
            return None
        principal, keys, generation = entry
        if keys.generation != generation or check_times(principal.claims, now) is not None:
            del self._cache[digest]
            return None
        return principal if keys.fresh() else None

    async def verify(self, claim: Claim, now: float) -> Principal | LoginRefused:
        """Verify a token at `now` (epoch seconds). Never raises for what the token holds."""
        known = self.cached(claim, now)
        if known is not None:
            return known
        token = claim.token.reveal()
        peeked = peek(token)
        if isinstance(peeked, LoginRefused):
            return peeked
        found = self._issuers.get(peeked.issuer)
        if found is None:
            return LoginRefused(f"the token's issuer {shown(peeked.issuer)} is not configured here", "issuer")
        issuer, keys = found
        try:
            published = await keys.get(peeked.kid)
        except Unavailable as error:
            return LoginRefused(f"the keys of issuer {issuer.name} cannot be had: {error}", "unavailable")
        generation = keys.generation
        claims = verify(token, issuer, published, now)
        if isinstance(claims, LoginRefused):
            return claims
        principal = to_principal(claims, issuer, self._directory, token)
        if isinstance(principal, Principal):
            self._remember(token, principal, keys, generation)
        return principal

    def _remember(self, token: bytes, principal: Principal, keys: IssuerKeys, generation: int) -> None:
        self._cache[hashlib.sha256(token).digest()] = (principal, keys, generation)
        while len(self._cache) > TOKEN_CACHE:
            self._cache.popitem(last=False)

    async def warm(self) -> dict[str, str]:
        """Fetch every issuer's keys; return why not, by issuer name, for start-up logs and /readyz."""
        out: dict[str, str] = {}
        for issuer, keys in self._issuers.values():
            try:
                await keys.get("")
            except Unavailable as error:
                out[issuer.name] = str(error)
        return out

    def problems(self) -> dict[str, str]:
        """Return, by issuer name, why its last fetch of keys failed."""
        return {issuer.name: keys.error for issuer, keys in self._issuers.values() if keys.error}
