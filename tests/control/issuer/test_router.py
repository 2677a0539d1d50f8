"""The embedded issuer over HTTP: who gets a token, what is in it, and how guessing is slowed."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from checkrein.control.issuer.keyring import Keyring
from checkrein.control.issuer.members import Member, Members
from checkrein.control.issuer.router import EmbeddedIssuer, issuer_router
from checkrein.core.errors import Unavailable
from checkrein.core.identity import Secret
from checkrein.core.limits import ISSUER_FAILURE_SECONDS, ISSUER_FAILURES, ISSUER_REQUEST_BYTES
from tests.support.issuers import IssuerProcess, embedded_issuer

URL = "http://127.0.0.1:8080/issuer"


class Desk:
    """The issuer's application with a clock and secrets that a test turns."""

    def __init__(self, folder: Path) -> None:
        self.now = 1_800_000_000.0
        self.secrets = {"a": "s3cret:+ %", "b": "other"}
        members = Members((Member("bot", ("support",), "a"), Member("anna", (), "b")), self._resolve)
        issuer = EmbeddedIssuer(URL, members, Keyring.open(folder, 900.0, self.now), 900.0, lambda: self.now)
        self.app = FastAPI()
        self.app.include_router(issuer_router(issuer))

    def _resolve(self, reference: str) -> Secret:
        if reference not in self.secrets:
            raise Unavailable("gone")
        return Secret(self.secrets[reference])

    def ask(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        import asyncio

        async def main() -> httpx.Response:
            transport = httpx.ASGITransport(app=self.app)
            async with httpx.AsyncClient(transport=transport, base_url="http://issuer") as client:
                return await client.request(method, f"/issuer{path}", **arguments)

        return asyncio.run(main())

    def token(self, id: str = "bot", secret: str = "s3cret:+ %", **more: Any) -> httpx.Response:
        form = {"grant_type": "client_credentials", "client_id": id, "client_secret": secret, **more}
        return self.ask("POST", "/token", data=form)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """A new issuer."""
    return Desk(tmp_path / "keys")


def body_of(token: str) -> dict[str, Any]:
    part = token.split(".")[1]
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return found


def test_a_token_says_who_and_for_how_long(desk: Desk) -> None:
    """The token names issuer, subject, audience, groups and a lifetime of fifteen minutes, and is not cached."""
    answer = desk.token()
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    claims = body_of(answer.json()["access_token"])
    assert (claims["iss"], claims["sub"], claims["aud"], claims["groups"]) == (URL, "bot", "checkrein", ["support"])
    assert claims["exp"] - claims["iat"] == answer.json()["expires_in"] == 900


def test_basic_with_percent_encoding(desk: Desk) -> None:
    """client_secret_basic decodes id and secret as RFC 6749 section 2.3.1 says."""
    basic = base64.b64encode(b"bot:s3cret%3A%2B+%25").decode()
    form = {"grant_type": "client_credentials"}
    answer = desk.ask("POST", "/token", data=form, headers={"authorization": f"Basic {basic}"})
    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("id", "secret"), [("bot", "wrong"), ("nobody", "wrong"), ("bot", "other"), ("nobody", "\0"), ("", "")]
)
def test_wrong_credentials(desk: Desk, id: str, secret: str) -> None:
    """Wrong secret and unknown client look alike, and neither gets a token."""
    answer = desk.token(id, secret)
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
    assert "access_token" not in answer.text


@pytest.mark.parametrize(
    ("changes", "status", "error"),
    [
        ({"grant_type": "password"}, 400, "unsupported_grant_type"),
        ({"audience": "billing"}, 400, "invalid_target"),
        ({"resource": "https://x"}, 400, "invalid_target"),
    ],
)
def test_other_requests(desk: Desk, changes: dict[str, str], status: int, error: str) -> None:
    """Other grants and other audiences are refused by name."""
    answer = desk.token(**changes)
    assert (answer.status_code, answer.json()["error"]) == (status, error)


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"grant_type=client_credentials&client_id=bot&client_id=anna&client_secret=x", 400),
        (b"\xff", 400),
        (b"a", 400),
        (b"x" * (ISSUER_REQUEST_BYTES + 1), 413),
    ],
)
def test_forms_that_cannot_be_read(desk: Desk, content: bytes, status: int) -> None:
    """Repeated parameters, bytes that are no form, and oversized bodies are refused."""
    headers = {"content-type": "application/x-www-form-urlencoded"}
    assert desk.ask("POST", "/token", content=content, headers=headers).status_code == status
    assert desk.ask("POST", "/token", content=b"{}", headers={"content-type": "application/json"}).status_code == 400


def test_credentials_in_two_places(desk: Desk) -> None:
    """Credentials in the header and in the form at once are refused (RFC 6749 section 2.3)."""
    basic = {"authorization": "Basic " + base64.b64encode(b"bot:x").decode()}
    form = {"grant_type": "client_credentials", "client_id": "bot", "client_secret": "s3cret:+ %"}
    assert desk.ask("POST", "/token", data=form, headers=basic).status_code == 400


def test_guessing_is_slowed_and_recovers(desk: Desk) -> None:
    """After the limit even the right secret must wait; another client is not held up; time heals."""
    for _ in range(ISSUER_FAILURES):
        assert desk.token(secret="guess").status_code == 401
    slowed = desk.token()
    assert slowed.status_code == 429
    assert int(slowed.headers["retry-after"]) <= ISSUER_FAILURE_SECONDS + 1
    assert desk.token("anna", "other").status_code == 200
    desk.now += ISSUER_FAILURE_SECONDS
    assert desk.token().status_code == 200


@pytest.mark.parametrize(
    ("secret", "status"),
    [
        ("9f86d081884c7d659a2feaa0c55ad015", 200),
        ("n4bQgYhMfWWaL+qgxVrQFaO/TxsrC4Is0V1sFbDwCgg=", 200),
        ("9f86d081884c7d659a2feaa0c55ad01", 429),
        ("the-the-the-the-the-the-the-the-the", 429),
    ],
)
def test_a_neighbour_shuts_nobody_out(desk: Desk, secret: str, status: int) -> None:
    """Who fails on purpose, for a client and at its address, does not lock out that client when its secret is random;
    wrong secrets stay slowed, and a short or monotonous secret stays protected from guessing."""
    desk.secrets["a"] = secret
    for _ in range(ISSUER_FAILURES):
        assert desk.token(secret="guess").status_code == 401
    for _ in range(3):
        assert desk.token(secret="guess").status_code == 429
        assert desk.token(secret=secret).status_code == status
    assert desk.token("nobody", "guess").status_code == 401


def test_a_rotated_secret_counts_at_once(desk: Desk) -> None:
    """The reference is resolved at each request."""
    desk.secrets["a"] = "new"
    assert desk.token().status_code == 401
    assert desk.token(secret="new").status_code == 200


def test_an_unreadable_secret_fails_closed(desk: Desk) -> None:
    """A secret that cannot be read gives no token and does not say why to the client."""
    del desk.secrets["a"]
    answer = desk.token()
    assert answer.status_code == 503
    assert "gone" not in answer.text


def test_published_keys_are_public(desk: Desk) -> None:
    """The key set holds no private part."""
    (key,) = desk.ask("GET", "/jwks").json()["keys"]
    assert "d" not in key
    assert key["alg"] == "ES256"


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[IssuerProcess]:
    """The issuer under a real server."""
    with embedded_issuer(tmp_path_factory.mktemp("issuer")) as issuer:
        yield issuer


def test_discovery_over_a_real_server(process: IssuerProcess) -> None:
    """Metadata names the issuer and working endpoints."""
    metadata = httpx.get(f"{process.url}/.well-known/openid-configuration", trust_env=False).json()
    assert metadata["issuer"] == process.url
    assert httpx.get(metadata["jwks_uri"], trust_env=False).json()["keys"]
    form = {"grant_type": "client_credentials"}
    answer = httpx.post(metadata["token_endpoint"], data=form, auth=("bot", "bot-secret"), trust_env=False)
    assert body_of(answer.json()["access_token"])["iss"] == process.url
