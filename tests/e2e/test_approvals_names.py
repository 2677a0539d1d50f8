"""AP-13: what a statement means beside its text: what a name stands for, and the types of its parameters."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from psycopg import pq

from tests.e2e.flows import ASKING, answer, approval, approve, asking, refused
from tests.support.gateway import Gateway
from tests.support.postgres import PostgresServer

MASKED = ASKING.replace("public.people.ssn]", "public.people.ssn, public.brief.word]")
VIEWS = ASKING.replace(
    "    - name: writes",
    """    - {name: views, allow: {verbs: [create], touches: ["public.*"]}}
    - name: through-views
      ask: {verbs: [delete], touches: [public.w, public.inner_w]}
      approvers: {groups: [oncall]}
      wait: {hold: 200ms, expire: 1h}
    - name: writes""",
)
INT, TEXT = 23, 25


@pytest.fixture(scope="module")
def gateway(postgres: PostgresServer) -> Iterator[Gateway]:
    with asking(postgres) as found:
        yield found


def prepare(connection: psycopg.Connection[Any], text: str, types: list[int] | None = None) -> None:
    """Prepare a statement by the name `p` with a Parse message, which asks nobody."""
    result = connection.pgconn.prepare(b"p", text.encode(), types)
    assert result.status == pq.ExecStatus.COMMAND_OK, result.error_message


@pytest.mark.parametrize("typed", [False, True])
def test_ap_13_a_name_stands_for_something_else(gateway: Gateway, typed: bool) -> None:
    """A yes to EXECUTE p is one to what p was when people were asked, which they were shown."""
    types = [INT] if typed else None
    with gateway.connect() as connection:
        prepare(connection, "UPDATE brief SET word = 'good' WHERE id = $1", types)
        first = refused(connection, "EXECUTE p(5)")["approval"]
        assert "SET word = 'good' WHERE id = $1" in approval(gateway, first)["statement"]
        assert "EXECUTE p(5)" in approval(gateway, first)["statement"]
        approve(gateway, first)
        connection.execute("DEALLOCATE p")
        prepare(connection, "UPDATE brief SET word = 'evil' WHERE id = $1", types)
        assert refused(connection, "EXECUTE p(5)")["approval"] != first
        connection.execute("DEALLOCATE p")
        prepare(connection, "UPDATE brief SET word = 'good' WHERE id = $1", types)
        assert connection.execute("EXECUTE p(5)").rowcount == 0


def test_ap_13_prepared_in_sql(gateway: Gateway) -> None:
    """The same of PREPARE, which is asked about itself: its yes and that of EXECUTE do not add up to another one."""
    with gateway.connect() as connection:
        for word in ("good", "evil"):
            text = f"PREPARE q(int) AS UPDATE brief SET word = '{word}' WHERE id = $1"
            approve(gateway, refused(connection, text)["approval"])
            connection.execute(text.encode())
            id = refused(connection, "EXECUTE q(6)")["approval"]
            assert approval(gateway, id)["statement"].startswith(text)
            if word == "good":
                approve(gateway, id)
                connection.execute("DEALLOCATE q")
                first = id
        assert id != first
        answer(gateway, "anna", id, "deny")


def test_ap_13_a_cursor_stands_elsewhere(gateway: Gateway) -> None:
    """A yes to what is at a cursor is one to that cursor, not to another one of its name."""
    text = "DELETE FROM brief WHERE CURRENT OF k"
    with gateway.connect() as connection:
        connection.execute("BEGIN")
        connection.execute("DECLARE k CURSOR FOR SELECT id FROM brief WHERE id = 1")
        first = refused(connection, text)["approval"]
        assert "WHERE id = 1" in approval(gateway, first)["statement"]
        approve(gateway, first)
        connection.execute("ROLLBACK")
        connection.execute("BEGIN")
        connection.execute("DECLARE k CURSOR FOR SELECT id FROM brief WHERE id = 2")
        assert refused(connection, text)["approval"] != first


def test_ap_13_other_types(gateway: Gateway) -> None:
    """10 < 9 is false of numbers and true of texts: a yes to the one is none to the other."""

    def run(type: int) -> dict[str, Any]:
        got = connection.pgconn.exec_params(b"DELETE FROM brief WHERE $1 < $2", [b"10", b"9"], [type, type])
        found = got.error_field(pq.DiagnosticField.MESSAGE_DETAIL)
        return json.loads(found) if found else {}

    with gateway.connect() as connection:
        first = run(INT)["approval"]
        approve(gateway, first)
        assert run(TEXT)["approval"] != first
        assert run(INT) == {}
        prepare(connection, "DELETE FROM brief WHERE $1 < $2", [INT, INT])
        second = refused(connection, "EXECUTE p(10, 9)")["approval"]
        approve(gateway, second)
        connection.execute("DEALLOCATE p")
        prepare(connection, "DELETE FROM brief WHERE $1 < $2", [TEXT, TEXT])
        assert refused(connection, "EXECUTE p(10, 9)")["approval"] != second


def test_ap_13_what_a_name_stands_for_is_masked(postgres: PostgresServer) -> None:
    """Constants of a masked column in what a name stands for are shown as digests, like those of any statement."""
    with asking(postgres, policy=MASKED) as gateway, gateway.connect() as connection:
        prepare(connection, "UPDATE brief SET word = 'hidden-word' WHERE id = $1", [INT])
        shown = approval(gateway, refused(connection, "EXECUTE p(5)")["approval"])["statement"]
        assert "UPDATE brief SET word = '" in shown and "' WHERE id = $1" in shown
        assert "hidden-word" not in shown


@pytest.mark.parametrize("changed", ["w", "inner_w"])
def test_ap_13_a_view_made_anew(postgres: PostgresServer, changed: str) -> None:
    """A yes to what is done through a view is none once the view, or one under it, shows other rows."""
    with asking(postgres, policy=VIEWS) as gateway, gateway.connect() as connection:
        connection.execute("CREATE VIEW inner_w AS SELECT * FROM brief WHERE id = 1")
        connection.execute("CREATE VIEW w AS SELECT * FROM inner_w")
        first = refused(connection, "DELETE FROM w")["approval"]
        assert approve(gateway, first)["state"] == "pending"
        assert approve(gateway, first, "bert")["state"] == "approved"
        made = f"CREATE OR REPLACE VIEW {changed} AS SELECT * FROM "
        connection.execute(f"{made}{'inner_w WHERE id < 50' if changed == 'w' else 'brief'}".encode())
        assert refused(connection, "DELETE FROM w")["approval"] != first
