"""The control API's doors: what answers without a token, what a token without a role may, what the socket may."""

from __future__ import annotations

import re
from collections.abc import Iterator

import httpx
import pytest

from tests.support.gateway import Gateway, Target, running
from tests.support.postgres import PASSWORD, PostgresServer

OPEN = {"/healthz", "/readyz", "/metrics"}
ISSUER = {"/issuer/.well-known/openid-configuration", "/issuer/jwks", "/issuer/token"}
ANY_TOKEN = {"/api/v1/whoami", "/api/v1/reach/{name}"}


@pytest.fixture(scope="module")
def gateway(postgres: PostgresServer) -> Iterator[Gateway]:
    """A gateway over one database, after a refused login, a session and a failed side link."""
    database = postgres.create_database("CREATE TABLE public.secrets_of_ann (id integer)")
    logins = "profiles: {default: {user: postgres, password: 'env:GOOD'}, broken: {user: nobody, password: 'env:GOOD'}}"
    try:
        with running([Target(database, options=logins)], env={"GOOD": PASSWORD}) as started:
            with started.connect() as connection:
                connection.execute("SELECT id FROM secrets_of_ann")
            with started.api("root") as root:
                root.post("/api/v1/targets/db/test").raise_for_status()
            yield started
    finally:
        database.drop()


def owner(gateway: Gateway) -> httpx.Client:
    """Return a client over the owner's socket."""
    transport = httpx.HTTPTransport(uds=str(gateway.data / "control.sock"))
    return httpx.Client(base_url="http://localhost", transport=transport)


def routes(gateway: Gateway) -> list[tuple[str, str]]:
    """Return (method, path) of everything that the API says it has."""
    with owner(gateway) as client:
        paths = client.get("/openapi.json").raise_for_status().json()["paths"]
    return [(method.upper(), path) for path, methods in paths.items() for method in methods]


def call(client: httpx.Client, method: str, path: str) -> int:
    """Call a route with made-up parts; return the status."""
    body = {} if method == "POST" else None
    return client.request(method, re.sub(r"\{[a-z]+\}", "none", path), json=body).status_code


def test_what_needs_no_token_is_a_closed_list(gateway: Gateway) -> None:
    """Without a token only the probes and the issuer answer on loopback; every other route is 401, bodies unread."""
    found = routes(gateway)
    assert {path for _, path in found} >= OPEN | ISSUER | ANY_TOKEN and len(found) > 15
    with httpx.Client(base_url=gateway.control, trust_env=False) as nobody:
        for method, path in [*found, ("GET", "/openapi.json")]:
            status = call(nobody, method, path)
            if path in OPEN:
                assert status in (200, 503), path
            elif path in ISSUER:
                assert status in (200, 400), path
            else:
                assert status == 401, f"{method} {path}: {status}"
        for path in ("/docs", "/redoc", "/", "/console", "/debug", "/api/v1/"):
            assert nobody.get(path).status_code == 404


def test_a_token_without_a_role_opens_little(gateway: Gateway) -> None:
    """An agent's own token may ask who it is and how a target is reached; the rest is 403, whatever its name."""
    with gateway.api("bot") as agent:
        for method, path in routes(gateway):
            if path not in OPEN | ISSUER:
                status = call(agent, method, path)
                wanted = (200, 404) if path in ANY_TOKEN else (403, 422)
                assert status in wanted, f"{method} {path}: {status}"
        assert agent.get("/openapi.json").status_code == 200
    with httpx.Client(base_url=gateway.control, trust_env=False, headers={"authorization": "Bearer x.y.z"}) as forged:
        assert forged.get("/openapi.json").status_code == 401
        assert forged.get("/api/v1/whoami").status_code == 401


def test_the_socket_needs_no_token(gateway: Gateway) -> None:
    """Over the socket the owner is admin, and what answers without a token on loopback answers there as well."""
    with owner(gateway) as client:
        assert client.get("/api/v1/whoami").json()["issuer"] == "local"
        assert client.get("/api/v1/sessions").status_code == 200
        for path in OPEN:
            assert client.get(path).status_code in (200, 503)
        assert client.post("/api/v1/approvals/none/approve", json={}).status_code == 403


def test_open_doors_name_nobody(gateway: Gateway) -> None:
    """Probes and metrics hold no principal, statement, object or secret, and readiness says which login fails."""
    with httpx.Client(base_url=gateway.control, trust_env=False) as nobody:
        told = "".join(nobody.get(path).text for path in OPEN)
        ready = nobody.get("/readyz")
    assert ready.status_code == 503 and "db/broken" in ready.text
    assert "checkrein_open_sessions" in told
    for secret in ("bot", "secrets_of_ann", PASSWORD, "secret-", gateway.token("bot")):
        assert secret not in told, secret


def test_what_the_api_says_of_itself_is_so(gateway: Gateway) -> None:
    """Every route answers made-up names and broken bodies with a status that it documents and a reason; none is 500."""
    with owner(gateway) as client:
        paths = client.get("/openapi.json").json()["paths"]
    with gateway.api("root") as client:
        for path, methods in paths.items():
            for method, told in methods.items():
                url = re.sub(r"\{\w+\}", "no%00%22such", path)
                for body in (b"{", b"[]", b"null", b"\xff", b'{"ids": ["x"]}', b'{"\\ud800": "\\ud800"}', b"{}"):
                    headers = {"content-type": "application/json"}
                    answer = client.request(method, url, content=body, headers=headers)
                    assert str(answer.status_code) in told["responses"], (method, url, body, answer)
                    if answer.status_code in (400, 403, 404) and not path.startswith("/issuer"):
                        assert answer.json()["reason"]
        assert client.get("/api/v1/nothing").json() == {"reason": "Not Found"}
        assert client.delete("/api/v1/sessions").status_code == 405


def test_gw_34_a_damaged_recording_is_said_to_be(gateway: Gateway) -> None:
    """A recording that cannot be read is answered with 503 and why; listing and searching go on."""
    with gateway.connect() as connection:
        connection.execute("SELECT 34")
    with gateway.api("audrey") as client:
        name = client.get("/api/v1/sessions").json()[0]["id"]
        folder = next((gateway.data / "recordings").glob(f"*/{name}"))
        for path in folder.glob("*.jsonl*"):
            path.write_bytes(b"\x28\xb5\x2f\xfd damaged" if path.suffix == ".zst" else b"\xff\n" + path.read_bytes())
        shown = client.get(f"/api/v1/sessions/{name}")
        assert shown.status_code == 503 and name in shown.json()["reason"]
        assert client.get("/api/v1/sessions", params={"text": "select 34"}).status_code == 200
        assert client.get(f"/api/v1/sessions/{name}/verify").json()["ok"] is False
