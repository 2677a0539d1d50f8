"""Approvals across changes of policy, restarts, credential profiles, and with the local approver switched on."""

from __future__ import annotations

import sqlite3

import psycopg
import pytest

from tests.e2e.flows import ASKING, Held, amount, answer, approval, approve, asking, detail, refused, run, until
from tests.support.gateway import Gateway, launch
from tests.support.postgres import PASSWORD, PostgresServer

CHANGED = ASKING.replace(
    "approvers: {groups: [oncall]}\n      wait: {hold: 30s",
    "approvers: {groups: [oncall, others]}\n      wait: {hold: 30s",
)
DENYING = ASKING.replace(
    "  masks:", "    - {name: frozen, deny: {verbs: [update], touches: [public.orders]}, message: Frozen.}\n  masks:"
)
UNRELATED = ASKING.replace("keep_last: 4", "keep_last: 3")


def in_force(gateway: Gateway, before: int) -> None:
    """Wait until the gateway took the policies that were just written."""
    until(lambda: gateway.log.count('"policies in force"') > before, "new policies")


@pytest.mark.parametrize(("policy", "passes"), [(CHANGED, False), (DENYING, False), (UNRELATED, True)])
def test_ap_10_policy_changed_meanwhile(postgres: PostgresServer, policy: str, passes: bool) -> None:
    """Between ask and yes: a changed asking rule voids, a new deny wins, an unrelated edit does neither."""
    assert policy != ASKING
    with asking(postgres) as gateway, gateway.connect() as connection:
        held = Held(connection, run("UPDATE orders SET amount = 0 WHERE id = 1"))
        id, before = held.id, gateway.log.count('"policies in force"')
        gateway.write_policies({"asking.yaml": policy})
        in_force(gateway, before)
        approve(gateway, id)
        if passes:
            assert held.end() == 1
            return
        with pytest.raises(psycopg.errors.InsufficientPrivilege) as caught:
            held.end()
        assert detail(caught.value)["code"] in ("approval_withdrawn", "denied"), caught.value
        assert approval(gateway, id)["state"] in ("withdrawn", "approved")
        assert amount(gateway, 1) == 1
        told = (
            refused(connection, "UPDATE orders SET amount = 0 WHERE id = 1")
            if policy == DENYING
            else {"rule": "frozen"}
        )
        assert told["rule"] == "frozen"


def test_ap_8_restart_while_pending(postgres: PostgresServer) -> None:
    """Killed while a person was waited for: the question is expired after the start, a yes comes too late, nothing ran.

    A grant that was given before stays one: the resend uses it, once.
    """
    with asking(postgres) as gateway:
        connection = gateway.connect()
        given = refused(connection, "INSERT INTO brief VALUES (1, 'x')")["approval"]
        approve(gateway, given)
        held = Held(connection, run("UPDATE orders SET amount = 0 WHERE id = 1"))
        id = held.id
        gateway.process.kill()
        gateway.process.wait(10)
        with pytest.raises(psycopg.OperationalError):
            held.end()
        connection.close()
        launch(gateway)
        assert approval(gateway, id)["state"] == "expired"
        assert answer(gateway, "anna", id)[0] == 409
        assert amount(gateway, 1) == 1
        with gateway.connect() as again:
            assert again.execute("INSERT INTO brief VALUES (1, 'x')").rowcount == 1
            assert refused(again, "INSERT INTO brief VALUES (1, 'x')")["approval"] != given


def test_ap_2_other_profile(postgres: PostgresServer) -> None:
    """A grant for one credential profile is none for another."""
    profiles = """profiles:
  default: {user: postgres, password: "env:FLOW_PASSWORD"}
  second: {user: postgres, password: "env:FLOW_PASSWORD"}"""
    text = "INSERT INTO brief VALUES (1, 'x')"
    with asking(postgres, options=profiles, env={"FLOW_PASSWORD": PASSWORD}) as gateway:
        with gateway.connect() as connection:
            id = refused(connection, text)["approval"]
        approve(gateway, id)
        with gateway.connect(profile="second") as connection:
            told = refused(connection, text)["approval"]
            assert told != id
            assert approval(gateway, told)["profile"] == "second"


def test_local_approver(postgres: PostgresServer) -> None:
    """With `people.local_approver: true` the owner of the data folder may answer over the socket, and is named."""
    with asking(postgres) as gateway:
        file = gateway.folder / "checkrein.yaml"
        file.write_text(file.read_text().replace("people:\n  roles", "people:\n  local_approver: true\n  roles"))
        assert gateway.stop() == 0
        launch(gateway)
        with gateway.connect() as connection:
            held = Held(connection, run("UPDATE orders SET amount = 0 WHERE id = 1"))
            done = gateway.command("approvals", "approve", held.id)
            assert done.returncode == 0, done.stderr
            assert held.end() == 1
        assert approval(gateway, held.id)["answered_by"][0].startswith("local:")


def test_gw_6_store_away(postgres: PostgresServer) -> None:
    """The approval store is away: what must be asked is refused natively, the rest is served, and it heals."""
    with asking(postgres) as gateway, gateway.connect() as connection:
        connection.execute("SELECT 1 FROM orders")
        store = sqlite3.connect(gateway.data / "state.db", isolation_level=None)
        try:
            store.execute("BEGIN EXCLUSIVE")
            with pytest.raises(psycopg.errors.SystemError) as caught:
                connection.execute("UPDATE orders SET amount = 0 WHERE id = 1")
            told = detail(caught.value)
            assert (told["code"], told["retry"]) == ("unavailable", "after:30") and "store" in told["reason"], told
            assert connection.execute("SELECT amount FROM orders WHERE id = 1").fetchone() == (1,)
            store.execute("ROLLBACK")
        finally:
            store.close()
        held = Held(connection, run("UPDATE orders SET amount = 0 WHERE id = 1"))
        approve(gateway, held.id)
        assert held.end() == 1


def test_gw_13_owner_said_loudly(postgres: PostgresServer) -> None:
    """Whoever runs as the owner of the data folder owns the gateway: the start says so; that user may not approve."""
    with asking(postgres) as gateway, gateway.connect() as connection:
        assert "owns this gateway" in gateway.log
        held = Held(connection, run("UPDATE orders SET amount = 0 WHERE id = 1"))
        done = gateway.command("approvals", "approve", held.id)
        assert done.returncode == 1 and "approver" in done.stderr
        answer(gateway, "anna", held.id, "deny")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            held.end()
