"""Running a gateway: policies that change under load, observing, ending in order, and what commands say and return."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from tests.e2e.flows import ASKING, Held, asking, refused, run, until
from tests.support.gateway import Gateway, free_port, launch, policy
from tests.support.postgres import PASSWORD, PostgresServer

NARROW = ASKING.replace('touches: ["public.*"]', "touches: [public.orders]")
BROKEN = ASKING.replace("allow: {verbs: [select]", "allow: {verbz: [select]")
OBSERVING = policy(
    "trial",
    """
    - {name: no-people, deny: {verbs: [select], touches: [public.people]}}
    - {name: drops, allow: {verbs: [drop]}}
    """,
    more="mode: observe",
)


@pytest.fixture(scope="module")
def gateway(postgres: PostgresServer) -> Iterator[Gateway]:
    with asking(postgres) as found:
        yield found


def said(gateway: Gateway, event: str) -> int:
    """Count the log's lines of an event."""
    return gateway.log.count(f'"event": "{event}"')


# --- policies ------------------------------------------------------------------------------------


def test_gw_8_policies_change_under_load(postgres: PostgresServer) -> None:
    """Under load, sets are swapped whole: nobody is ever refused what both allow; a broken set changes nothing."""
    with asking(postgres) as gateway:
        over = threading.Event()
        wrong: list[Any] = []
        done = [0, 0]

        def work(client: int) -> None:
            try:
                with gateway.connect() as connection:
                    while not over.is_set():
                        connection.execute("SELECT id FROM orders WHERE id = 1")
                        done[client] += 1
            except Exception as error:  # noqa: BLE001  whatever it is, the test tells
                wrong.append(error)

        gateway.token("bot")
        clients = [threading.Thread(target=work, args=(client,)) for client in (0, 1)]
        for client in clients:
            client.start()
        with gateway.connect() as watcher:
            for policy, allowed in ((NARROW, False), (ASKING, True), (NARROW, False)):
                before = said(gateway, "policies in force")
                gateway.write_policies({"asking.yaml": policy})
                until(lambda before=before: said(gateway, "policies in force") > before, "new policies")  # type: ignore[misc]
                if allowed:
                    watcher.execute("SELECT name FROM people")
                else:
                    refused(watcher, "SELECT name FROM people")
            gateway.write_policies({"asking.yaml": BROKEN})
            until(lambda: "policies refused" in gateway.log, "the broken set to be refused")
            assert "asking.yaml" in gateway.log and "verbz" in gateway.log
            refused(watcher, "SELECT name FROM people")
            watcher.execute("SELECT id FROM orders")
            ready = httpx.get(f"{gateway.control}/readyz", trust_env=False)
            assert ready.status_code == 200 and "verbz" in ready.text, ready.text
            gateway.write_policies({"asking.yaml": "{"})
            watcher.execute("SELECT id FROM orders")
            before = said(gateway, "policies in force")
            gateway.write_policies({"asking.yaml": ASKING})
            until(lambda: said(gateway, "policies in force") > before, "the good set again")
            watcher.execute("SELECT name FROM people")
        over.set()
        for client in clients:
            client.join(20)
        assert not wrong, wrong
        assert min(done) > 20
        snapshots = {event["snapshot"] for row in gateway.sessions() for event in gateway.events(row["id"], "decided")}
        kept = {path.stem for path in (gateway.data / "policies").glob("*.json")}
        assert len(snapshots) >= 2 and snapshots <= kept, "every snapshot that decided is kept for evidence"


def test_observed_policies(postgres: PostgresServer) -> None:
    """A policy that observes adds nothing to the verdict, neither denies nor allows; what it would say is on record."""
    with asking(postgres) as gateway:
        before = said(gateway, "policies in force")
        gateway.write_policies({"asking.yaml": ASKING, "trial.yaml": OBSERVING})
        until(lambda: said(gateway, "policies in force") > before, "new policies")
        with gateway.connect() as connection:
            assert len(connection.execute("SELECT name FROM people").fetchall()) == 2
            refused(connection, "DROP TABLE people")
            id = gateway.sessions()[0]["id"]
        decided = gateway.events(id, "decided")
        read = next(event for event in decided if "FROM people" in event["statement"])
        drop = next(event for event in decided if event["statement"].startswith("DROP"))
        assert read["outcome"] == "forwarded" and "no-people" in json.dumps(read["observed"])
        assert drop["outcome"] == "refused" and "drops" in json.dumps(drop["observed"])
        checked = gateway.command("check")
        assert "OBSERVE ONLY" in checked.stdout and "trial" in checked.stdout


# --- ending --------------------------------------------------------------------------------------


def test_sigterm(postgres: PostgresServer) -> None:
    """Busy, idle, waiting and half-open sessions: told natively, over within ten seconds, every journal whole."""
    with asking(postgres) as gateway:
        idle, busy, held_by, block = (gateway.connect() for _ in range(4))
        block.execute("BEGIN")
        block.execute("INSERT INTO free (word) VALUES ('never')")
        held = Held(held_by, run("UPDATE orders SET amount = 0 WHERE id = 1"))
        assert held.id
        sleeping = threading.Thread(target=_sleep, args=(busy,), daemon=True)
        sleeping.start()
        began = time.monotonic()
        assert gateway.stop() == 0
        assert time.monotonic() - began < 10
        with pytest.raises(psycopg.errors.AdminShutdown):
            idle.execute("SELECT 1")
        with pytest.raises(psycopg.OperationalError):
            held.end()
        sleeping.join(10)
        for connection in (idle, busy, held_by, block):
            connection.close()
        found = gateway.command("verify", str(gateway.data / "recordings"), "--json")
        assert found.returncode == 0, found.stdout
        assert json.loads(found.stdout)["sessions"] == 4
        launch(gateway)
        with gateway.connect() as connection:
            assert connection.execute("SELECT amount FROM orders WHERE id = 1").fetchone() == (1,)
            assert connection.execute("SELECT count(*) FROM free WHERE word = 'never'").fetchone() == (0,)
        assert "crash" not in gateway.log


def _sleep(connection: psycopg.Connection[Any]) -> None:
    with pytest.raises(psycopg.Error):
        connection.execute("SELECT pg_sleep(60)")


# --- commands ------------------------------------------------------------------------------------


def test_exit_status(gateway: Gateway, tmp_path: Path) -> None:
    """0 done, 1 refused or a check failed, 2 used wrongly, 3 nobody there; the sentence is on stderr, no traceback."""
    assert gateway.command("version").returncode == 0
    refusals = {
        ("sessions", "show", "nosuch"): 1,
        ("approvals", "approve", "nosuch"): 1,
        ("targets", "test", "nosuch"): 1,
        ("sessions", "kill", "nosuch"): 1,
        ("sessions", "ls", "--since", "yesterday-ish"): 1,
        ("sessions", "ls", "--limit", "many"): 2,
        ("sessions", "show", "../../etc"): 2,
        ("nosuch",): 2,
        ("approvals", "nosuch"): 2,
        ("keys", "create"): 2,
        ("policy", "replay"): 2,
        ("verify", "nosuch"): 2,
    }
    for arguments, status in refusals.items():
        done = gateway.command(*arguments)
        assert done.returncode == status, (arguments, done.returncode, done.stderr)
        assert done.stderr.strip() and "Traceback" not in done.stderr, arguments
    nobody = {"CHECKREIN_TOKEN": "x", "CHECKREIN_URL": f"http://127.0.0.1:{free_port()}"}
    for given in (nobody, {"CHECKREIN_CONFIG": str(tmp_path / "none.yaml")}):
        done = _alone(["sessions", "ls"], given)
        assert done.returncode == 3 and "gateway" in done.stderr, done.stderr
    done = _alone(["sessions", "ls"], {"CHECKREIN_TOKEN": "rubbish-token", "CHECKREIN_URL": gateway.control})
    assert done.returncode == 1 and "rubbish-token" not in done.stderr
    done = _alone(["sessions", "ls"], {"CHECKREIN_TOKEN": "t", "CHECKREIN_URL": "http://192.0.2.1:8080"})
    assert done.returncode == 1 and "plaintext" in done.stderr
    done = _alone(["serve", "--config", str(tmp_path / "none.yaml")], {})
    assert done.returncode == 1 and "Traceback" not in done.stderr, done.stderr


def _alone(arguments: list[str], env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith("CHECKREIN_")}
    command = [sys.executable, "-m", "checkrein.cli", *arguments]
    return subprocess.run(command, env=kept | env, capture_output=True, text=True, timeout=60, check=False)


def test_token_and_connect(gateway: Gateway) -> None:
    """`token` by client credentials; `connect` prints a DSN that works with it, and opens a port that needs none."""
    env = {
        "CHECKREIN_CLIENT_ID": "bot",
        "CHECKREIN_CLIENT_SECRET": "secret-bot",
        "CHECKREIN_CLIENT_ISSUER": f"{gateway.control}/issuer",
        "CHECKREIN_URL": gateway.control,
    }
    token = _alone(["token"], env)
    assert token.returncode == 0 and token.stdout.count(".") == 2, token.stderr
    printed = _alone(["connect", "db", "--json"], env)
    reach = json.loads(printed.stdout)
    assert {"target", "protocol", "host", "port", "profile", "ca", "dsn"} <= set(reach)
    with psycopg.connect(reach["dsn"], password=token.stdout.strip()) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    wrong = _alone(["token"], env | {"CHECKREIN_CLIENT_SECRET": "guess"})
    assert wrong.returncode == 1 and "guess" not in wrong.stderr
    assert _alone(["token"], {}).returncode == 2
    assert _alone(["connect", "nosuch"], env).returncode == 1
    kept = {key: value for key, value in os.environ.items() if not key.startswith("CHECKREIN_")}
    local = subprocess.Popen(
        [sys.executable, "-m", "checkrein.cli", "connect", "db", "--listen", "0"],
        env=kept | env | {"PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert local.stdout is not None
        port = local.stdout.readline().split("127.0.0.1:", 1)[1].split()[0]
        dsn = f"host=127.0.0.1 port={port} user=anyone dbname=anything sslmode=disable"
        with psycopg.connect(dsn) as connection:
            assert connection.execute("SELECT count(*) FROM orders").fetchone() == (100,)
    finally:
        local.terminate()
        local.wait(10)
        local.stdout.close()


def test_targets(gateway: Gateway) -> None:
    """`targets ls` shows no secret; `targets test` logs in now, and says what fails."""
    listed = gateway.command("targets", "ls", "--json", who="audrey")
    assert listed.returncode == 0 and json.loads(listed.stdout)[0]["name"] == "db"
    assert PASSWORD not in listed.stdout and "secret" not in listed.stdout
    tried = gateway.command("targets", "test", "db", "--json")
    assert tried.returncode == 0, tried.stderr
    (row,) = json.loads(tried.stdout)
    assert row["ok"] is True
    assert gateway.command("targets", "test", "db", who="bot").returncode == 1


def test_targets_that_fail(gateway: Gateway, postgres: PostgresServer) -> None:
    """GW-10, a wrong target password: `targets test` exits 1, the password is nowhere told; a rotation heals it."""
    secret = gateway.folder / "db.password"
    secret.write_text("wrong-password-planted")
    try:
        tried = gateway.command("targets", "test", "db")
        assert tried.returncode == 1, tried.stdout
        assert "wrong-password-planted" not in tried.stdout + tried.stderr + gateway.log
        with pytest.raises(psycopg.OperationalError) as caught:
            gateway.connect()
        assert "wrong-password-planted" not in str(caught.value)
    finally:
        secret.write_text(PASSWORD)
    with gateway.connect() as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_policy_commands(gateway: Gateway, tmp_path: Path) -> None:
    """`check`, `policy init|check|explain|test --live` over the live target, in the published shapes."""
    assert gateway.command("check").returncode == 0
    checked = json.loads(gateway.command("check", "--json").stdout)
    assert checked["ok"] and PASSWORD not in json.dumps(checked)
    folder = tmp_path / "made"
    folder.mkdir()
    made = gateway.command("policy", "init", "--target", "db", "-o", str(folder / "starter.yaml"))
    assert made.returncode == 0, made.stderr
    assert gateway.command("policy", "init", "--target", "db", "-o", str(folder / "starter.yaml")).returncode == 1
    good = gateway.command("policy", "check", str(folder))
    assert good.returncode == 0, good.stdout + good.stderr
    explained = gateway.command(
        "policy", "explain", "--target", "db", "--as", "x", "--groups", "bots", "UPDATE orders SET amount = 1"
    )
    found = json.loads(explained.stdout)
    assert set("verdict policy rule reason effects considered masks flip".split()) <= set(found)
    assert (found["verdict"], found["policy"], found["rule"]) == ("ask", "asking", "writes")
    live = gateway.folder / "policies" / "cases.test.yaml"
    live.write_text(
        """
apiVersion: checkrein/v1
kind: PolicyTest
as: {subject: x, groups: [bots]}
target: db
cases:
  - {name: masked, input: "SELECT ssn FROM people", expect: {verdict: allow, rule: read, masks: {ssn: partial}}}
  - {name: asked, input: "DELETE FROM orders", expect: {verdict: ask, rule: writes}}
"""
    )
    tested = gateway.command("policy", "test", str(gateway.folder / "policies"), "--live", "--json")
    assert tested.returncode == 0, tested.stdout + tested.stderr
    summary = json.loads(tested.stdout)
    assert {"passed", "failed", "coverage", "unnoticed_mutations"} <= set(summary)
    assert summary["passed"] == 2 and not summary["failed"]
    live.write_text(live.read_text().replace("rule: writes", "rule: read"))
    assert gateway.command("policy", "test", str(gateway.folder / "policies"), "--live").returncode == 1
    live.unlink()
