"""Approvals through a real gateway: who may answer, what a yes is good for, and every way round it (AP-1 to AP-12)."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from tests.e2e.flows import Held, amount, answer, approval, approve, asking, detail, refused, run, until
from tests.support.gateway import Gateway
from tests.support.postgres import PostgresServer


@pytest.fixture(scope="module")
def gateway(postgres: PostgresServer) -> Iterator[Gateway]:
    with asking(postgres, targets=("db", "other")) as found:
        yield found


# --- holding, and who answers ---------------------------------------------------------------------


def test_yes_over_the_api(gateway: Gateway) -> None:
    """The client is held and told natively; a yes lets exactly this statement run; the journal tells the story."""
    with gateway.connect() as connection:
        held = Held(connection, run("UPDATE orders SET amount = 1001 WHERE id = 1"))
        notice = held.notices and held.notices[0]
        shown = approval(gateway, held.id)
        assert notice is not None and "checkrein approvals approve" in held.notices[0] and "oncall" in held.notices[0]
        assert (shown["state"], shown["principal"], shown["target"]) == ("pending", "embedded:bot", "db")
        assert shown["statement"] == "UPDATE orders SET amount = 1001 WHERE id = 1"
        approve(gateway, held.id)
        assert held.end() == 1
        assert amount(gateway, 1) == 1001
        session = shown["session"]
        decided = [e for e in gateway.events(session, "decided") if e["statement"].startswith("UPDATE")]
        kinds = [event["kind"] for event in gateway.events(session)]
        assert [(e["outcome"], e["verdict"], e["approval"]) for e in decided] == [("forwarded", "ask", held.id)]
        assert kinds.index("approval_asked") < kinds.index("approval_used") < kinds.index("decided")
        used = gateway.events(session, "approval_used")[0]
        assert used["answered_by"] == ["embedded:anna"]
    assert approval(gateway, held.id)["state"] == "used"


def test_no_by_command(gateway: Gateway) -> None:
    """`approvals ls`, `deny`: the client gets the reason in a native error at once, the session lives on."""
    with gateway.connect() as connection:
        held = Held(connection, run("UPDATE orders SET amount = 0 WHERE id = 2"))
        listed = json.loads(gateway.command("approvals", "ls", "--state", "pending", "--json", who="anna").stdout)
        keys = (
            "id state principal actors target profile statement parameters policy rule asked_at expires_at "
            "answered_by reason"
        )
        row = next(row for row in listed if row["id"] == held.id)
        assert set(keys.split()) <= set(row)
        denied = gateway.command("approvals", "deny", held.id, "--reason", "not today", who="anna")
        assert denied.returncode == 0 and json.loads(denied.stdout)["state"] == "denied", denied.stderr
        with pytest.raises(psycopg.errors.InsufficientPrivilege) as caught:
            held.end()
        assert "not today" in str(caught.value)
        assert detail(caught.value)["code"] == "approval_denied"
        assert connection.execute("SELECT 7").fetchone() == (7,)
    assert amount(gateway, 2) == 2


def test_yes_by_command(gateway: Gateway) -> None:
    """`approvals approve` as a person of the right group; `show` prints what runs."""
    with gateway.connect() as connection:
        held = Held(connection, run("DELETE FROM orders WHERE id = 3"))
        assert "DELETE FROM orders WHERE id = 3" in gateway.command("approvals", "show", held.id, who="anna").stdout
        done = gateway.command("approvals", "approve", held.id, "--note", "fine", who="bert")
        assert done.returncode == 0, done.stderr
        assert held.end() == 1


def test_ap_3_and_ap_6_who_may_not(gateway: Gateway) -> None:
    """Not the asker, an agent, an approver of another group, an auditor, an admin, the local admin, or nobody."""
    with gateway.connect() as connection:
        held = Held(connection, run("UPDATE orders SET amount = 0 WHERE id = 4"))
        for who, word in {
            "bot": "roles",
            "reader": "roles",
            "carl": "groups oncall",
            "audrey": "roles",
            "root": "roles",
        }.items():
            for verb in ("approve", "deny"):
                status, body = answer(gateway, who, held.id, verb)
                assert status == 403 and word in body["reason"], (who, body)
        local = gateway.command("approvals", "approve", held.id)
        assert local.returncode == 1 and "approver" in local.stderr, local.stderr
        with gateway.api("anna") as bad:
            bad.headers["authorization"] = "Bearer " + gateway.token("anna")[:-4] + "AAAA"
            assert bad.post(f"/api/v1/approvals/{held.id}/approve", json={}).status_code == 401
        spoofed = {"note": "", "by": "embedded:anna"}
        with gateway.api("carl") as client:
            assert client.post(f"/api/v1/approvals/{held.id}/approve", json=spoofed).status_code == 422
            headers = {"x-forwarded-user": "anna", "x-remote-user": "embedded:anna"}
            assert client.post(f"/api/v1/approvals/{held.id}/approve", json={}, headers=headers).status_code == 403
        assert approval(gateway, held.id)["state"] == "pending"
        answer(gateway, "anna", held.id, "deny")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            held.end()
    assert amount(gateway, 4) == 4
    assert gateway.log.count('"act": "approvals.refused"') >= 10, "refused answers are on record"


# --- what a yes is good for -----------------------------------------------------------------------


def test_retry_over_a_new_connection(gateway: Gateway) -> None:
    """After the hold the denial says `after_approval` and the id; approved, the same statement passes once (AP-9)."""
    text = "INSERT INTO brief VALUES (1, 'x')"
    with gateway.connect() as connection:
        told = refused(connection, text)
        assert (told["code"], told["retry"]) == ("approval_required", "after_approval")
        again = refused(connection, text)
        assert again["approval"] == told["approval"], "the same question, not a second one"
        id = told["approval"]
    approve(gateway, id)
    with gateway.connect() as connection:
        assert connection.execute(text.encode()).rowcount == 1
        connection.execute("SELECT 1")
        used = refused(connection, text)
        assert used["approval"] != id, "a grant is used once"
    assert approval(gateway, id)["state"] == "used"
    assert answer(gateway, "anna", id)[0] == 409
    answer(gateway, "anna", used["approval"], "deny")


def test_ap_1_approve_a_run_b(gateway: Gateway) -> None:
    """A yes to one text is none to another, nor to the same text with other parameters or under another search_path."""
    with gateway.connect() as connection:
        id = refused(connection, "UPDATE brief SET word = 'a' WHERE id = 10")["approval"]
        approve(gateway, id)
        for other in (
            "UPDATE brief SET word = 'b' WHERE id = 10",
            "UPDATE brief SET word = 'a' WHERE id = 11",
            "UPDATE brief SET word = 'a' WHERE id = 10 OR true",
            "DELETE FROM brief WHERE id = 10",
        ):
            assert refused(connection, other)["approval"] != id, other
        first = refused(connection, "UPDATE brief SET word = %s WHERE id = %s", "p", 12)["approval"]
        approve(gateway, first)
        assert refused(connection, "UPDATE brief SET word = %s WHERE id = %s", "q", 12)["approval"] != first
        assert connection.execute("UPDATE brief SET word = %s WHERE id = %s", ("p", 12)).rowcount == 0
        assert connection.execute("UPDATE brief SET word = 'a' WHERE id = 10").rowcount == 0


def test_ap_2_other_target_principal(gateway: Gateway) -> None:
    """A grant is for one target and one principal; the other ones are asked anew."""
    text = "UPDATE brief SET word = 'z' WHERE id = 20"
    with gateway.connect() as connection:
        id = refused(connection, text)["approval"]
    approve(gateway, id)
    with gateway.connect(target="other") as connection:
        assert refused(connection, text)["approval"] != id
    with gateway.connect() as connection:
        assert connection.execute(text.encode()).rowcount == 0


def test_ap_2_session_tied(gateway: Gateway) -> None:
    """A grant that its rule ties to the session is none in another, and is one in its own."""
    text = "INSERT INTO tied VALUES (1, 'x')"
    with gateway.connect() as first, gateway.connect() as second:
        id = refused(first, text)["approval"]
        approve(gateway, id)
        assert refused(second, text)["approval"] != id
        assert first.execute(text.encode()).rowcount == 1


def test_ap_4_expiry(gateway: Gateway) -> None:
    """Nobody answered in time: expired, told so; a yes afterwards is refused; the next time is a new question."""
    text = "INSERT INTO hasty VALUES (1, 'x')"
    with gateway.connect() as connection:
        told = refused(connection, text)
        assert told["code"] == "approval_expired", told
        status, body = answer(gateway, "anna", told["approval"])
        assert status == 409 and "expired" in body["reason"]
        assert approval(gateway, told["approval"])["state"] == "expired"
        held = Held(connection, run(text))
        assert held.id != told["approval"]
        approve(gateway, held.id)
        assert held.end() == 1


def test_ap_5_two_answers_at_once(gateway: Gateway) -> None:
    """Of several answers that come at the same moment exactly one counts, and the client gets what that one said."""
    with gateway.connect() as connection, ThreadPoolExecutor(8) as pool:
        held = Held(connection, run("UPDATE orders SET amount = 0 WHERE id = 5"))
        gateway.token("anna"), gateway.token("bert")
        jobs = [(who, verb) for who in ("anna", "bert") for verb in ("approve", "deny")] * 2
        answers = list(pool.map(lambda job: (job[1], answer(gateway, job[0], held.id, job[1])[0]), jobs))
        counted = [verb for verb, status in answers if status == 200]
        assert len(counted) == 1 and all(status in (200, 409) for _, status in answers), answers
        if counted == ["approve"]:
            assert held.end() == 1
        else:
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                held.end()


def test_ap_7_one_person_for_two_rules(gateway: Gateway) -> None:
    """Where two rules ask, a person of both groups counts once; a second person completes it."""
    with gateway.connect() as connection:
        held = Held(connection, run("INSERT INTO pair VALUES (1, 'x')"))
        assert approve(gateway, held.id)["state"] == "pending"
        status, body = answer(gateway, "anna", held.id)
        assert status == 409 and "another person" in body["reason"]
        assert approve(gateway, held.id, "carl")["answered_by"] == ["embedded:anna", "embedded:carl"]
        assert held.end() == 1


def test_ap_9_two_sessions_one_grant(gateway: Gateway) -> None:
    """Two connections wait with the same statement: one yes with one use lets one of them pass."""
    work = run("UPDATE orders SET amount = amount + 1 WHERE id = 6")
    with gateway.connect() as one, gateway.connect() as two:
        first, second = Held(one, work), Held(two, work)
        assert first.id == second.id
        approve(gateway, first.id)
        ends = []
        for held in (first, second):
            try:
                ends.append(held.end())
            except psycopg.errors.InsufficientPrivilege as error:
                ends.append(detail(error)["code"])
        assert sorted(map(str, ends)) == ["1", "approval_withdrawn"], ends
    assert amount(gateway, 6) == 7


# --- going away -----------------------------------------------------------------------------------


def test_ap_11_client_gone(gateway: Gateway) -> None:
    """A client that goes away withdraws its question; nobody can say yes any more, and nothing ran."""
    connection = gateway.connect()
    held = Held(connection, run("DELETE FROM orders WHERE id = 7"))
    id, session = held.id, approval(gateway, held.id)["session"]
    copy = socket.socket(fileno=os.dup(connection.fileno()))
    copy.shutdown(socket.SHUT_RDWR)
    copy.close()
    held.join(20)
    connection.close()
    until(lambda: approval(gateway, id)["state"] == "withdrawn", "withdrawn")
    assert answer(gateway, "anna", id)[0] == 409
    assert amount(gateway, 7) == 7
    told = until(lambda: gateway.events(session, "closed"), "closed")
    assert told
    asked = gateway.events(session, "approval_asked")[0]
    assert gateway.events(session, "approval_withdrawn")[0]["reason"] == "the asker went away"
    assert asked["statement"] == "DELETE FROM orders WHERE id = 7", "the journal tells what was asked"


def test_cancel_while_asked(gateway: Gateway) -> None:
    """A CancelRequest while a person is waited for ends in 57014, the question is withdrawn, the session lives on."""
    with gateway.connect() as connection:
        held = Held(connection, run("DELETE FROM orders WHERE id = 8"))
        id = held.id
        connection.cancel_safe(timeout=10)
        with pytest.raises(psycopg.errors.QueryCanceled):
            held.end()
        assert approval(gateway, id)["state"] == "withdrawn"
        assert connection.execute("SELECT 8").fetchone() == (8,)


# --- what the approver sees -----------------------------------------------------------------------


def test_ap_12_invisible_characters(gateway: Gateway) -> None:
    """Bidi controls, zero-width characters and escapes are shown as escapes; a very long text is shown whole."""
    bidi, hidden = "\u202e", "\u200b"
    text = f"UPDATE brief SET word = 'a{bidi}b{hidden}c\u001b[2J' WHERE id = 30 -- " + "x" * 5000 + " the end"
    with gateway.connect() as connection:
        id = refused(connection, text)["approval"]
    for command in (("approvals", "show", id), ("approvals", "show", id, "--json"), ("approvals", "ls")):
        shown = gateway.command(*command, who="anna").stdout
        assert not {bidi, hidden, "\u001b"} & set(shown), command
        assert "\\u202e" in shown and "\\u200b" in shown and "the end" in shown, command
    assert approval(gateway, id)["statement"] == text, "the API gives the text itself"
    answer(gateway, "anna", id, "deny")
