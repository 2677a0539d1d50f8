"""What drivers' own suites send that is wider than the gateway reads, where a rule lets through what was not read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from psycopg import pq

from tests.support.gateway import Target, policy, running
from tests.support.postgres import Database

OPEN = policy(
    "open",
    """
    - {name: read, allow: {verbs: ["*"]}}
    - {name: unread, allow: {incomplete: true, matches: "(?s).*"}}
    """,
)


@pytest.fixture
def connection(database: Database) -> Iterator[psycopg.Connection[Any]]:
    """A connection through a gateway that lets through even what it could not read."""
    database.run("CREATE TABLE t AS SELECT 1 AS id")
    with running([Target(database)], {"open.yaml": OPEN}) as gateway, gateway.connect() as made:
        yield made


def test_too_many_statements(connection: psycopg.Connection[Any], database: Database) -> None:
    """A Query of more statements than the gateway follows runs none of them, and the session lives on."""
    with pytest.raises(psycopg.errors.ProgramLimitExceeded, match="more than 1000 statements"):
        connection.execute("DELETE FROM t;" * 1001)
    assert database.rows("SELECT id FROM t") == [(1,)]
    connection.execute("SELECT 1;" * 1000)
    assert connection.execute("SELECT 2").fetchone() == (2,)


def test_more_parameters_than_can_be_bound(connection: psycopg.Connection[Any]) -> None:
    """A server prepares more parameters than its 16-bit count can say: that is passed on, and the session lives on."""
    text = "VALUES " + ", ".join(f"(${number}::text)" for number in range(1, 65537))
    link = connection.pgconn
    assert link.prepare(b"wide", text.encode()).status == pq.ExecStatus.COMMAND_OK
    link.describe_prepared(b"wide")
    assert connection.execute("SELECT 2").fetchone() == (2,)
