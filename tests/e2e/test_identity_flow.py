"""Who comes in, through a real gateway: tokens of several issuers, good ones and every kind of wrong one."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from tests.e2e.flows import ASKING, DEADLINE, SCHEMA, Held, run, until
from tests.identity.support import Signer, hmac_token, unsigned
from tests.support.crooked import Crooked, crooked
from tests.support.gateway import Gateway, Target, policy, running
from tests.support.issuers import IssuerProcess, independent_issuer
from tests.support.postgres import Database, PostgresServer


class World:
    """A gateway that believes three issuers: corp (people, nested groups), ci, and an independent one."""

    def __init__(
        self, gateway: Gateway, database: Database, corp: Crooked, ci: Crooked, independent: IssuerProcess
    ) -> None:
        self.gateway = gateway
        self.database = database
        self.corp = corp
        self.ci = ci
        self.independent = independent

    def connect(self, token: str, **options: str) -> psycopg.Connection[Any]:
        """Log in with a token."""
        return psycopg.connect(self.gateway.dsn("bot", password=token, **options), autocommit=True)

    def corp_token(self, subject: str, *groups: str, **changes: Any) -> str:
        """Return a good token of corp, whose groups stand at realm_access.groups."""
        return self.corp.token(subject, realm_access={"groups": list(groups)}, **changes)

    def refused(self, token: str) -> str:
        """Try to log in with a token that must be refused; return the error, which must not hold the token."""
        with pytest.raises(psycopg.OperationalError) as caught:
            self.connect(token).close()
        text = str(caught.value)
        assert token not in text
        assert all(part not in text for part in token.split(".") if len(part) > 12), text
        return text

    def session_of(self, principal: str) -> dict[str, Any]:
        """Return the newest session of a principal."""
        return self.gateway.sessions(principal=principal)[0]


@contextmanager
def world(postgres: PostgresServer, folder: Path, signer: Signer) -> Iterator[World]:
    """Run everything."""
    database = postgres.create_database(SCHEMA)
    try:
        with crooked(signer) as corp, crooked(Signer()) as ci, independent_issuer(folder) as independent:
            issuers = f"""
            - {{name: corp, issuer: "{corp.url}", audience: [checkrein, other-name], groups: realm_access.groups,
               insecure_http: true, people: true, may_assert: [bots, oncall]}}
            - {{name: ci, issuer: "{ci.url}", audience: checkrein, insecure_http: true, may_assert: ["ci-*"],
               clients: [runner]}}
            - {{name: idp, issuer: "{independent.url}", audience: checkrein, insecure_http: true, may_assert: [bots],
               groups_cel: "claims.sub == 'bot' ? ['bots'] : []"}}"""
            policies = {"asking.yaml": ASKING}
            with running([Target(database)], policies, issuers=issuers) as gateway:
                yield World(gateway, database, corp, ci, independent)
    finally:
        database.drop()


@pytest.fixture(scope="module")
def signer() -> Signer:
    return Signer()


@pytest.fixture(scope="module")
def met(postgres: PostgresServer, tmp_path_factory: pytest.TempPathFactory, signer: Signer) -> Iterator[World]:
    with world(postgres, tmp_path_factory.mktemp("idp"), signer) as found:
        yield found


def test_independent_issuer(met: World) -> None:
    """A token of an issuer that is not ours, by client credentials, logs in; CEL maps its subject to a group."""
    with met.connect(met.independent.token("bot", "bot-secret")) as connection:
        assert connection.execute("SELECT count(*) FROM orders").fetchone() == (100,)
    assert met.session_of("idp:bot")["issuer"] == "idp"


def test_groups_by_path(met: World) -> None:
    """Groups come from a nested claim; the same names in another claim count for nothing."""
    with met.connect(met.corp_token("maria", "bots")) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    told = met.refused(met.corp.token("maria", "bots"))
    assert "no policy" in told or "policy" in told, told


def test_wrong_tokens(met: World) -> None:
    """Every wrong token is refused with the check that failed and what was seen; the journal of logins has them all."""
    now = int(time.time())
    corp, signer = met.corp, met.corp.signer
    good: dict[str, Any] = {"realm_access": {"groups": ["bots"]}}
    claims = corp.claims("maria", **good)
    rsa_pem = signer.rsa.as_pem(private=False)
    parts = met.corp_token("maria", "bots").split(".")
    wrong = {
        "audience": (corp.token("maria", aud="somebody-else", **good), "somebody-else"),
        "no audience": (corp.token("maria", aud=None, **good), "audience"),
        "expired": (corp.token("maria", exp=now - 3600, **good), "expired at"),
        "never expires": (corp.token("maria", exp=None, **good), "never expires"),
        "not yet": (corp.token("maria", nbf=now + 3600, **good), "not valid before"),
        "none": (unsigned({"alg": "none"}, claims).decode(), "none"),
        "no signature": (unsigned({"alg": "None"}, claims, b"").decode(), "not a signed token"),
        "hmac": (hmac_token(claims, rsa_pem).decode(), "HS256"),
        "unknown key": (corp.token("maria", kid="ed", algorithm="Ed25519", **good), ""),
        "other key": (signer.sign(claims, "ES256", "ec256", signer.other).decode(), "signature"),
        "other issuer's key": (met.ci.signer.sign(claims, "ES256", "ec256").decode(), "signature"),
        "unknown issuer": (corp.token("maria", iss="https://evil.example", **good), "https://evil.example"),
        "changed payload": (".".join([parts[0], parts[1][:-2] + "AA", parts[2]]), ""),
        "critical": (signer.sign(claims, crit=["exp"]).decode(), "crit"),
        "own key inside": (signer.sign(claims, "ES256", "x", signer.other, jwk={"kty": "EC"}).decode(), "key"),
        "twice": (signer.sign(b'{"iss":"%s","iss":"x"}' % corp.url.encode()).decode(), ""),
        "refresh": (corp.token("maria", token_use="refresh", **good), "refresh"),
        "bound": (corp.token("maria", cnf={"jkt": "x"}, **good), "bound to a key"),
        "no subject": (corp.token("maria", sub=None, **good), "subject"),
        "invisible subject": (corp.token("ma\u202eria", **good), "subject"),
        "bad actor": (corp.token("maria", act={"sub": 7}, **good), "actor"),
        "client": (met.ci.token("job", "ci-x", client_id="somebody"), "somebody"),
        "huge": (corp.token("maria", pad="x" * 20000, **good), ""),
        "not a token": ("hunter2hunter2hunter2", "token"),
        "empty parts": ("..", "token"),
    }
    for what, (token, word) in wrong.items():
        told = met.refused(token)
        assert word in told, (what, told)
    logins = b"".join(
        path.read_bytes() for path in sorted((met.gateway.data / "recordings" / "logins").rglob("*.jsonl"))
    ).decode()
    assert logins.count('"kind":"login_refused"') >= len(wrong) - 2, logins
    for token, _ in wrong.values():
        assert len(token) < 12 or token not in logins + met.gateway.log
    with met.connect(met.corp_token("maria", "bots")) as connection:
        assert connection.execute("SELECT 2").fetchone() == (2,)


def test_gw_12_another_issuers_group(met: World) -> None:
    """ci may not mint corp's groups or roles, however they are spelt; what it may assert counts."""
    for group in ("bots", "oncall", "corp:bots", "embedded:bots", "local-admins", "idp:bots"):
        told = met.refused(met.ci.token("job", group, client_id="runner"))
        assert "polic" in told, told
    token = met.ci.token("job", "oncall", "platform", "corp:oncall", "local-admins", client_id="runner")
    answer = httpx.get(
        f"{met.gateway.control}/api/v1/whoami", headers={"authorization": f"Bearer {token}"}, trust_env=False
    )
    assert answer.json()["roles"] == []
    assert not {"oncall", "platform", "corp:oncall", "local-admins"} & set(answer.json()["groups"])


def test_gw_46_a_pattern_that_reaches_over_the_issuer(met: World) -> None:
    """`*-agents` speaks of plain groups: ci may not mint one by a name that only ends so; a deny holds for it still."""
    gateway, token = met.gateway, met.ci.token("job", "evil-agents", "ci-jobs", client_id="runner")
    before = gateway.log.count('"policies in force"')
    jobs = policy("jobs", "- {name: read, allow: {verbs: [select], touches: [public.free]}}", groups="ci-jobs")
    agents = policy("agents", "- {name: read, allow: {verbs: [select]}}", groups="'*-agents'")
    frozen = policy("frozen", "- {name: free, deny: {touches: [public.free]}}", groups="'*-agents'")

    def put(*policies: str) -> None:
        nonlocal before
        gateway.write_policies({f"{number}.yaml": text for number, text in enumerate((ASKING, *policies))})
        until(lambda: gateway.log.count('"policies in force"') > before, "the policies")
        before = gateway.log.count('"policies in force"')

    try:
        put(agents)
        assert "polic" in met.refused(token)
        put(agents, jobs)
        with met.connect(token) as connection:
            assert connection.execute("SELECT count(*) FROM free").fetchone() == (0,)
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute("SELECT id FROM orders")
        put(agents, jobs, frozen)
        with met.connect(token) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("SELECT count(*) FROM free")
    finally:
        put()


def test_actor_chain(met: World) -> None:
    """The whole chain is in the journal, in `sessions ls`, and in the target's own log as application_name."""
    act = {"sub": "agent-7", "act": {"sub": "planner"}}
    with met.connect(met.corp_token("maria2", "bots", act=act), application_name="psql-lie") as connection:
        pid = connection.info.backend_pid
        assert pid is not None
        seen = met.database.rows("SELECT application_name FROM pg_stat_activity WHERE datname = current_database()")
        names = [row[0] for row in seen]
        assert any("maria2" in name and "agent-7" in name and "planner" in name for name in names), names
        assert not any("psql-lie" in name for name in names)
        row = met.session_of("corp:maria2")
        assert [actor["subject"] for actor in row["actors"]] == ["agent-7", "planner"]
        opened = met.gateway.events(row["id"], "opened")[0]
        assert [actor["subject"] for actor in opened["actors"]] == ["agent-7", "planner"]


def test_ap_6_chain_and_self(met: World) -> None:
    """Not the principal asked for, not an actor of the chain, not an agent that acts for an approver."""
    token = met.corp_token("olga", "bots", "oncall", act={"sub": "helper"})
    with met.connect(token) as connection:
        held = Held(connection, run("UPDATE orders SET amount = 0 WHERE id = 1"))
        for subject, act, word in (
            ("olga", None, "who asked"),
            ("helper", None, "chain"),
            ("pavel", {"sub": "robot"}, "not an agent"),
        ):
            other = met.corp_token(subject, "oncall", act=act)
            status, reason = _answer(met, other, held.id)
            assert status == 403 and word in reason, (subject, reason)
        assert _answer(met, met.corp_token("pavel", "oncall"), held.id)[0] == 200
        assert held.end() == 1


def _answer(met: World, token: str, id: str) -> tuple[int, str]:
    url = f"{met.gateway.control}/api/v1/approvals/{id}/approve"
    answer = httpx.post(url, json={}, headers={"authorization": f"Bearer {token}"}, trust_env=False)
    return answer.status_code, answer.json().get("reason", "")


def test_gw_7_keys_rotate_and_issuer_away(postgres: PostgresServer, tmp_path: Path) -> None:
    """A new key is found while running; a withdrawn one ends; one that is away is believed as last seen."""
    with world(postgres, tmp_path, Signer()) as met:
        fresh = met.corp_token("rota", "bots", kid="ec384", algorithm="ES384")
        asked = met.corp.asked
        assert "does not publish" in met.refused(fresh)
        met.corp.published = ("ec384",)

        def logs_in() -> bool:
            try:
                met.connect(fresh).close()
            except psycopg.OperationalError:
                return False
            return True

        until(logs_in, "the new key", DEADLINE)
        assert met.corp.asked <= asked + 3, "forged key ids do not hammer the issuer"
        assert "does not publish" in met.refused(met.corp_token("rota", "bots"))
        met.corp.away = True
        met.refused(met.corp_token("rota", "bots", kid="rsa", algorithm="RS256"))
        with met.connect(met.corp_token("rota", "bots", kid="ec384", algorithm="ES384")) as connection:
            assert connection.execute("SELECT 3").fetchone() == (3,)
        met.corp.away = False
