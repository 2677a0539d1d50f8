"""Attacks on the control API by who may reach it, or may do a little there."""

from __future__ import annotations

import contextlib
import resource
import socket
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx
import psycopg
import pytest

from checkrein.core.limits import API_CONNECTIONS, API_REQUEST_SECONDS, SPARE_FILES
from tests.e2e.flows import ASKING, SCHEMA, Held, answer, run
from tests.identity.support import Signer
from tests.support import gateway as support
from tests.support.crooked import Crooked, crooked
from tests.support.gateway import Gateway, Target, launch, running
from tests.support.postgres import PostgresServer

FILES = SPARE_FILES + 256
VIEWER = support.ROLES.replace("}", ", viewer: [staff]}")
DEADLINE = 20.0


@pytest.fixture(scope="module")
def corp() -> Iterator[Crooked]:
    with crooked(Signer()) as found:
        yield found


@pytest.fixture(scope="module")
def gateway(postgres: PostgresServer, corp: Crooked) -> Iterator[Gateway]:
    """A gateway that believes corp of people and agents, with a role of viewers."""
    database = postgres.create_database(SCHEMA)
    issuers = f"""
    - {{name: corp, issuer: "{corp.url}", audience: checkrein, insecure_http: true, people: true, may_assert: ["*"]}}"""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(support, "ROLES", VIEWER)
        with running([Target(database)], {"asking.yaml": ASKING}, issuers=issuers) as started:
            yield started
    database.drop()


def caller(gateway: Gateway, token: str) -> httpx.Client:
    """Return a client of the API with a token."""
    headers = {"authorization": f"Bearer {token}"}
    return httpx.Client(base_url=gateway.control, headers=headers, trust_env=False, timeout=DEADLINE)


def test_gw_40_silent_connections_take_no_file_from_sessions(postgres: PostgresServer) -> None:
    """Who opens connections to the control address and says nothing, or half of something, ends no session."""
    database = postgres.create_database()
    with running([Target(database)]) as gateway, contextlib.ExitStack() as crowd:
        resource.prlimit(gateway.process.pid, resource.RLIMIT_NOFILE, (FILES, FILES))
        working = crowd.enter_context(gateway.connect())
        where = urlsplit(gateway.control)
        sockets = [crowd.enter_context(socket.create_connection((where.hostname, where.port))) for _ in range(FILES)]
        for number, sock in enumerate(sockets[:API_CONNECTIONS]):
            sock.settimeout(API_REQUEST_SECONDS + DEADLINE)
            half = b"POST /issuer/token HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nhalf"
            sock.sendall(half[: number % len(half)])
        for sock in sockets[API_CONNECTIONS:]:
            sock.settimeout(DEADLINE)
            with contextlib.suppress(ConnectionResetError):
                assert sock.recv(1) == b""
        assert working.execute("CREATE TABLE written (id integer)").statusmessage == "CREATE TABLE"
        with gateway.connect() as another:
            assert another.execute("SELECT 4").fetchone() == (4,)
        assert gateway.command("sessions", "ls", "--json").returncode == 0, "the owner's socket is no part of it"
        for sock in sockets[:API_CONNECTIONS]:
            with contextlib.suppress(ConnectionResetError):
                assert sock.recv(1) == b""
        assert len(gateway.sessions()) == 2, "those that waited for the crowd's requests come in again"
    database.drop()


def test_gw_41_an_agent_acts_for_a_person_with_a_role(gateway: Gateway, corp: Crooked) -> None:
    """A token by which an agent acts for an admin opens the databases that a policy says, and nothing of the API."""
    person = corp.token("boss", "platform", "oncall", "audit", "bots")
    agent = corp.token("boss", "platform", "oncall", "audit", "bots", act={"sub": "robot"})
    calls = {
        ("GET", "/api/v1/sessions"): None,
        ("GET", "/api/v1/approvals"): None,
        ("GET", "/api/v1/targets"): None,
        ("POST", "/api/v1/reload"): None,
        ("GET", "/api/v1/targets/db/starter"): None,
    }
    with caller(gateway, person) as boss, caller(gateway, agent) as robot:
        for method, path in calls:
            assert boss.request(method, path).status_code == 200, path
            refused = robot.request(method, path)
            assert refused.status_code == 403 and "not an agent" in refused.json()["reason"], path
        for path in ("/api/v1/sessions/none/kill", "/api/v1/approvals/none/approve"):
            assert robot.post(path, json={}).status_code == 403, path
        assert robot.get("/api/v1/whoami").json()["actors"] == [{"subject": "robot", "issuer": "corp"}]


def test_gw_42_a_viewer_guesses_at_texts(gateway: Gateway, corp: Crooked) -> None:
    """Who may list sessions and not see into them may not search their texts either, which would spell them out."""
    with gateway.connect() as connection:
        connection.execute("SELECT id FROM orders WHERE status = 'wanted-text'")
    with caller(gateway, corp.token("vera", "staff")) as viewer:
        assert viewer.get("/api/v1/sessions").json(), "a viewer lists sessions"
        guess = viewer.get("/api/v1/sessions", params={"text": "wanted-te"})
        assert guess.status_code == 403 and "sessions.show" in guess.json()["reason"]
        assert viewer.get("/api/v1/sessions", params={"text": ""}).status_code == 200
    assert gateway.sessions(text="wanted-te"), "an auditor finds it"


def test_gw_43_a_token_ends_while_it_follows(gateway: Gateway, corp: Crooked) -> None:
    """Following a session ends with the token of who follows, not with the session."""
    with gateway.connect() as connection:
        connection.execute("SELECT 43")
        id = gateway.sessions()[0]["id"]
        end = int(time.time()) + 3
        with (
            caller(gateway, corp.token("otto", "audit", exp=end)) as auditor,
            auditor.stream("GET", f"/api/v1/sessions/{id}/tail") as lines,
        ):
            assert "opened" in "".join(lines.iter_lines())
        assert end <= time.time() < end + DEADLINE
        assert connection.execute("SELECT 44").fetchone() == (44,)


def test_gw_9_a_token_ends_while_a_person_is_asked(gateway: Gateway, corp: Crooked) -> None:
    """When the asker's token ends its question is withdrawn, a yes comes too late, and nothing runs."""
    token = corp.token("brief", "bots", exp=int(time.time()) + 3)
    with gateway.connect(password=token) as connection:
        held = Held(connection, run("UPDATE orders SET amount = 777 WHERE id = 50"))
        id = held.id
        held.join(DEADLINE)
        assert held.error is not None and "expired" in str(held.error)
    status, told = answer(gateway, "anna", id)
    assert status == 409 and "withdrawn" in told["reason"]
    with gateway.connect() as connection:
        assert connection.execute("SELECT amount FROM orders WHERE id = 50").fetchone() == (50,)


def test_gw_44_a_web_page_guesses_secrets(gateway: Gateway) -> None:
    """A page in a browser on this machine neither gets a token, be its guess right, nor makes a member wait."""
    form = {"grant_type": "client_credentials", "client_id": "reader", "client_secret": "wrong"}
    with httpx.Client(base_url=gateway.control, trust_env=False) as client:
        for origin in ("https://evil.example", gateway.control, "null"):
            for _ in range(20):
                assert client.post("/issuer/token", data=form, headers={"origin": origin}).status_code == 403
            right = client.post(
                "/issuer/token", data=form | {"client_secret": "secret-reader"}, headers={"origin": origin}
            )
            assert right.status_code == 403 and "access_token" not in right.text
        assert client.post("/issuer/token", data=form | {"client_secret": "secret-reader"}).status_code == 200


def test_gw_45_a_member_that_was_taken_out(postgres: PostgresServer) -> None:
    """Whoever is no member of the embedded issuer any more is refused with the token that it still has."""
    database = postgres.create_database()
    with running([Target(database)]) as gateway:
        gateway.token("breaker")
        gateway.token("root")
        gateway.connect("breaker").close()
        assert gateway.stop() == 0
        file = gateway.folder / "checkrein.yaml"
        kept = [
            line for line in file.read_text().splitlines() if "{id: breaker," not in line and "{id: root," not in line
        ]
        file.write_text("\n".join(kept))
        launch(gateway)
        with pytest.raises(psycopg.OperationalError, match="breaker"):
            gateway.connect("breaker")
        with gateway.api("root") as api:
            assert api.get("/api/v1/sessions").status_code == 401
        gateway.connect("bot").close()
    database.drop()
