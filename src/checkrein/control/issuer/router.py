"""The embedded issuer's HTTP: metadata (OIDC Discovery 1.0, RFC 8414), key set, token endpoint (RFC 6749 section 4.4).

Mounted at `/issuer` of the control listener. One grant only: client credentials, by client_secret_basic or
client_secret_post; it is how an agent or a person without an identity provider has a short-lived token.
"""

from __future__ import annotations

import base64
import binascii
import secrets
import time
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import parse_qsl, unquote_plus

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from checkrein.control.issuer.keyring import ALGORITHM, Keyring
from checkrein.control.issuer.members import Member, Members, Throttle
from checkrein.core.errors import Unavailable
from checkrein.core.limits import ISSUER_REQUEST_BYTES

AUDIENCE: Final = "checkrein"
_NO_STORE: Final = {"cache-control": "no-store", "pragma": "no-cache"}


class TokenError(Exception):
    """A refused token request: RFC 6749 section 5.2."""

    def __init__(self, status: int, code: str, description: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(description)
        self.status = status
        self.code = code
        self.headers = headers or {}

    def response(self) -> JSONResponse:
        """Return it as the endpoint answers it."""
        body = {"error": self.code, "error_description": str(self)}
        return JSONResponse(body, self.status, {**_NO_STORE, **self.headers})


class EmbeddedIssuer:
    """Signs tokens for its members. `url` is the issuer as tokens name it; `ttl` their lifetime in seconds."""

    def __init__(
        self, url: str, members: Members, keyring: Keyring, ttl: float, clock: Callable[[], float] = time.time
    ) -> None:
        self.url = url
        self._members = members
        self._keyring = keyring
        self._ttl = ttl
        self._clock = clock
        self._throttle = Throttle()

    def token(self, member: Member, now: float) -> str:
        """Return a token for a member. Raises Unavailable."""
        claims = {
            "iss": self.url,
            "sub": member.id,
            "aud": AUDIENCE,
            "client_id": member.id,
            "azp": member.id,
            "groups": list(member.groups),
            "iat": int(now),
            "nbf": int(now),
            "exp": int(now + self._ttl),
            "jti": secrets.token_urlsafe(16),
        }
        return self._keyring.sign(claims, now)

    def metadata(self) -> dict[str, Any]:
        """Return the discovery document."""
        return {
            "issuer": self.url,
            "jwks_uri": f"{self.url}/jwks",
            "token_endpoint": f"{self.url}/token",
            "response_types_supported": ["none"],
            "subject_types_supported": ["public"],
            "grant_types_supported": ["client_credentials"],
            "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
            "id_token_signing_alg_values_supported": [ALGORITHM],
            "claims_supported": ["iss", "sub", "aud", "exp", "nbf", "iat", "jti", "client_id", "azp", "groups"],
        }

    def keys(self) -> dict[str, Any]:
        """Return the public key set."""
        return self._keyring.document()

    def answer(self, peer: str, authorization: str, content_type: str, body: bytes) -> dict[str, Any]:
        """Answer a token request. Raises TokenError; Unavailable when a secret or key cannot be read."""
        form = read_form(content_type, body)
        id, secret = credentials(authorization, form)
        if form.get("grant_type") != "client_credentials":
            raise TokenError(400, "unsupported_grant_type", "grant_type must be client_credentials")
        if form.get("audience", AUDIENCE) != AUDIENCE or "resource" in form:
            raise TokenError(400, "invalid_target", f"tokens are for audience {AUDIENCE} alone")
        now = self._clock()
        member = self._authenticate(peer, id, secret, now)
        return {"access_token": self.token(member, now), "token_type": "Bearer", "expires_in": int(self._ttl)}

    def _authenticate(self, peer: str, id: str, secret: bytes, now: float) -> Member:
        client = id if id in self._members else ""
        wait = self._throttle.wait(peer, client, now)
        member = self._members.check(id, secret) if not wait or self._members.unguessable(id) else None
        if member is None and wait:
            after = str(int(wait) + 1)
            raise TokenError(429, "slow_down", f"too many failures; wait {after} s", {"retry-after": after})
        if member is None:
            self._throttle.failed(peer, client, now)
            challenge = {"www-authenticate": 'Basic realm="checkrein", charset="UTF-8"'}
            raise TokenError(401, "invalid_client", "unknown client or wrong secret", challenge)
        return member


def read_form(content_type: str, body: bytes) -> dict[str, str]:
    """Read application/x-www-form-urlencoded; a parameter that stands twice is refused (RFC 6749 section 3.2)."""
    if content_type.partition(";")[0].strip().lower() != "application/x-www-form-urlencoded":
        raise TokenError(400, "invalid_request", "send application/x-www-form-urlencoded")
    try:
        pairs = parse_qsl(body.decode("utf-8"), keep_blank_values=True, strict_parsing=True, max_num_fields=32)
    except ValueError:
        raise TokenError(400, "invalid_request", "the form cannot be read") from None
    form = dict(pairs)
    if len(form) != len(pairs):
        raise TokenError(400, "invalid_request", "a parameter stands twice")
    return form


def credentials(authorization: str, form: dict[str, str]) -> tuple[str, bytes]:
    """Return client id and secret, from the header or from the form, never from both (RFC 6749 section 2.3.1)."""
    if not authorization:
        if not form.get("client_id") or not form.get("client_secret"):
            raise TokenError(401, "invalid_client", "send client_id and client_secret", {"www-authenticate": "Basic"})
        return form["client_id"], form["client_secret"].encode()
    if "client_secret" in form:
        raise TokenError(400, "invalid_request", "credentials stand in the header and in the form")
    scheme, _, value = authorization.partition(" ")
    try:
        id, colon, secret = base64.b64decode(value.strip(), validate=True).decode("utf-8").partition(":")
    except (binascii.Error, ValueError):
        colon = ""
    if scheme.lower() != "basic" or not colon:
        raise TokenError(401, "invalid_client", "the Authorization header is not Basic", {"www-authenticate": "Basic"})
    if form.get("client_id", unquote_plus(id)) != unquote_plus(id):
        raise TokenError(400, "invalid_request", "two different client ids")
    return unquote_plus(id), unquote_plus(secret).encode()


async def _body(request: Request) -> bytes:
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > ISSUER_REQUEST_BYTES:
            raise TokenError(413, "invalid_request", f"longer than {ISSUER_REQUEST_BYTES} bytes")
    return body


_TOKEN_RESPONSES: dict[int | str, dict[str, Any]] = {
    400: {"description": "The request is not one (RFC 6749, section 5.2)."},
    401: {"description": "Unknown client or wrong secret."},
    403: {"description": "The request comes from a web page."},
    413: {"description": "The body is too long."},
    429: {"description": "Too many failures; wait."},
    503: {"description": "A key or secret cannot be read."},
}
_TOKEN_REQUEST: dict[str, Any] = {
    "required": True,
    "content": {
        "application/x-www-form-urlencoded": {
            "schema": {
                "type": "object",
                "required": ["grant_type"],
                "properties": {
                    "grant_type": {"const": "client_credentials"},
                    "client_id": {"type": "string"},
                    "client_secret": {"type": "string"},
                    "audience": {"const": AUDIENCE},
                },
            }
        }
    },
}


def issuer_router(issuer: EmbeddedIssuer) -> APIRouter:
    """Return the issuer's routes, all below `/issuer`."""
    router = APIRouter(prefix="/issuer")

    @router.get("/.well-known/openid-configuration")
    async def discovery() -> JSONResponse:
        return JSONResponse(issuer.metadata())

    @router.get("/jwks")
    async def jwks() -> JSONResponse:
        return JSONResponse(issuer.keys(), headers={"cache-control": "public, max-age=60"})

    @router.post("/token", responses=_TOKEN_RESPONSES, openapi_extra={"requestBody": _TOKEN_REQUEST})
    async def token(request: Request) -> JSONResponse:
        headers, peer = request.headers, request.client.host if request.client else "local"
        try:
            if "origin" in headers:  # a page open on this machine would guess secrets, or lock members out, from here
                raise TokenError(403, "invalid_request", "tokens are not given to web pages")
            body = await _body(request)
            answer = issuer.answer(peer, headers.get("authorization", ""), headers.get("content-type", ""), body)
        except TokenError as error:
            return error.response()
        except Unavailable:
            return TokenError(503, "temporarily_unavailable", "a key or secret cannot be read; see the log").response()
        return JSONResponse(answer, headers=_NO_STORE)

    return router
