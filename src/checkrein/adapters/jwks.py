"""Where an issuer's keys come from: OIDC discovery and JWKS over HTTP, a file, or the embedded issuer in this process.

An `IssuerKeys` caches one issuer's set: fresh for JWKS_FRESH_SECONDS, believed while the issuer is away for
JWKS_STALE_SECONDS, fetched at most every JWKS_RETRY_SECONDS however many unknown key ids are presented.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import httpx

from checkrein.core.errors import Unavailable
from checkrein.core.limits import (
    JWKS_BYTES,
    JWKS_FETCH_SECONDS,
    JWKS_FRESH_SECONDS,
    JWKS_RETRY_SECONDS,
    JWKS_STALE_SECONDS,
)
from checkrein.identity.keys import PublicKey, read_keys

Fetch = Callable[[], Awaitable[tuple[PublicKey, ...]]]
Clock = Callable[[], float]

_HEADERS: Final = {"accept": "application/json", "accept-encoding": "identity"}


class IssuerKeys:
    """One issuer's key set, cached. `generation` grows whenever the set of keys changes. One fetch at a time."""

    def __init__(self, fetch: Fetch, clock: Clock = time.monotonic) -> None:
        self._fetch = fetch
        self._clock = clock
        self._keys: tuple[PublicKey, ...] = ()
        self._fetched: float | None = None
        self._tried: float | None = None
        self._error = ""
        self._lock = asyncio.Lock()
        self.generation = 0

    @property
    def error(self) -> str:
        """Why the last fetch failed; empty when it did not."""
        return self._error

    def fresh(self) -> bool:
        """Whether the set is young enough to be used without asking the issuer."""
        return self._fetched is not None and self._clock() - self._fetched < JWKS_FRESH_SECONDS

    async def get(self, kid: str) -> tuple[PublicKey, ...]:
        """Return the issuer's keys, fetched anew when they are old or do not hold `kid`. Raises Unavailable."""
        if not self.fresh() or not self._holds(kid):
            async with self._lock:
                if (not self.fresh() or not self._holds(kid)) and self._may_try():
                    await self._refresh()
        if self._fetched is None or self._clock() - self._fetched >= JWKS_STALE_SECONDS:
            raise Unavailable(self._error or "the issuer's keys could not be fetched")
        return self._keys

    def _holds(self, kid: str) -> bool:
        return not kid or any(key.kid == kid for key in self._keys)

    def _may_try(self) -> bool:
        return self._tried is None or self._clock() - self._tried >= JWKS_RETRY_SECONDS

    async def _refresh(self) -> None:
        """Fetch once. A failure keeps what was there: stale keys are better than a closed gateway, for a day."""
        self._tried = self._clock()
        try:
            keys = await self._fetch()
        except Unavailable as error:
            self._error = str(error)
            return
        self._error = ""
        self._fetched = self._clock()
        if {key.thumbprint for key in keys} != {key.thumbprint for key in self._keys}:
            self.generation += 1
        self._keys = keys


def remote_keys(issuer: str, jwks: str, insecure_http: bool, ca: str = "") -> Fetch:
    """Return what fetches an issuer's keys: `jwks` is `auto` (discovery, then its jwks_uri) or the set's own URL.

    No redirects are followed. TLS is verified against the system's authorities, or against `ca` (PEM path) alone.
    """

    async def fetch() -> tuple[PublicKey, ...]:
        verify = ssl.create_default_context(cafile=ca or None)
        local = urlsplit(issuer).scheme == "http"
        async with httpx.AsyncClient(verify=verify, timeout=JWKS_FETCH_SECONDS, trust_env=not local) as client:
            url = jwks if jwks != "auto" else await _discover(client, issuer, insecure_http)
            return _keys_of(await get_json(client, url), url)

    async def bounded() -> tuple[PublicKey, ...]:
        try:
            return await asyncio.wait_for(fetch(), JWKS_FETCH_SECONDS)
        except TimeoutError:
            raise Unavailable(f"the issuer {issuer} did not answer within {JWKS_FETCH_SECONDS:g} s") from None
        except (OSError, httpx.HTTPError, httpx.InvalidURL) as error:
            raise Unavailable(f"the issuer {issuer} cannot be reached: {type(error).__name__}") from None

    return bounded


async def _discover(client: httpx.AsyncClient, issuer: str, insecure_http: bool) -> str:
    """Return jwks_uri of the issuer's metadata (OpenID Connect Discovery 1.0, section 4). Raises Unavailable.

    The issuer in it must be the configured one, letter for letter (section 4.3), or its keys would be someone else's.
    """
    url = issuer.rstrip("/") + "/.well-known/openid-configuration"
    metadata = await get_json(client, url)
    if metadata.get("issuer") != issuer:
        raise Unavailable(f"{url} speaks for another issuer than {issuer}")
    found = metadata.get("jwks_uri")
    parts = urlsplit(found) if isinstance(found, str) else urlsplit("")
    loopback = parts.hostname in ("localhost", "127.0.0.1", "::1")
    if not isinstance(found, str) or not (parts.scheme == "https" or (insecure_http and loopback)):
        raise Unavailable(f"{url} names no https jwks_uri")
    return found


async def get_json(client: httpx.AsyncClient, url: str) -> dict[str, Any]:
    """GET a JSON object of at most JWKS_BYTES. Raises Unavailable, httpx.HTTPError."""
    async with client.stream("GET", url, headers=_HEADERS) as answer:
        if answer.status_code != 200:
            raise Unavailable(f"{url} answered {answer.status_code}")
        if answer.headers.get("content-encoding", "identity") != "identity":
            raise Unavailable(f"{url} answered compressed although it was not asked to")
        body = b""
        async for piece in answer.aiter_raw():
            body += piece
            if len(body) > JWKS_BYTES:
                raise Unavailable(f"{url} answered more than {JWKS_BYTES} bytes")
    return _parse(body, url)


def _parse(body: bytes, where: str) -> dict[str, Any]:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        raise Unavailable(f"{where} is not JSON") from None
    if not isinstance(value, dict):
        raise Unavailable(f"{where} is not a JSON object")
    return value


def _keys_of(document: dict[str, Any], where: str) -> tuple[PublicKey, ...]:
    try:
        return read_keys(document)
    except ValueError as error:
        raise Unavailable(f"{where}: {error}") from None


def file_keys(path: str) -> Fetch:
    """Return what reads a key set from a file, for issuers that the gateway cannot reach."""

    async def fetch() -> tuple[PublicKey, ...]:
        try:
            with Path(path).open("rb") as source:  # noqa: ASYNC230  a small local file
                body = source.read(JWKS_BYTES)
        except OSError as error:
            raise Unavailable(f"{path} cannot be read: {error.strerror}") from None
        return _keys_of(_parse(body, path), path)

    return fetch
