"""What a transaction defined is known to its own session: through real clients and a real PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import psycopg
import pytest

from tests.protocols.postgres.driver import Gateway, Judge, allow_all
from tests.support.postgres import Database

SCHEMA = """
CREATE TABLE t (id int PRIMARY KEY, name text, ssn text);
INSERT INTO t SELECT g, 'name' || g, 'ssn-' || g FROM generate_series(1, 10) g;
"""
Open = Callable[..., Gateway]


@pytest.fixture
def gateways(database: Database) -> Iterator[Open]:
    """Opens gateways before a database with the schema above; none of them may have failed inside at the end."""
    database.run(SCHEMA)
    opened: list[Gateway] = []

    def make(judge: Judge = allow_all) -> Gateway:
        opened.append(Gateway(database, judge))
        return opened[-1]

    yield make
    for one in opened:
        one.close()
        assert not one.failures


def test_a_migration_in_one_transaction(gateways: Open, database: Database) -> None:
    """Tables, columns and indexes made in a transaction are used in it by unqualified names, and are there after it."""
    with psycopg.connect(gateways().dsn()) as client:
        client.execute("CREATE TABLE a (id int PRIMARY KEY)")
        client.execute("INSERT INTO a VALUES (1)")
        client.execute("CREATE INDEX ON a (id)")
        client.execute("ALTER TABLE a ADD COLUMN b text")
        client.execute("UPDATE a SET b = 'x' WHERE id = 1")
        assert client.execute("SELECT * FROM a").fetchall() == [(1, "x")]
        client.execute("ALTER TABLE a RENAME TO c")
        assert client.execute("SELECT b FROM c").fetchall() == [("x",)]
        assert client.execute("SELECT b FROM public.c, t WHERE t.id = c.id").fetchall() == [("x",)]
    assert database.rows("SELECT * FROM c") == [(1, "x")]


def test_a_question_that_fails(gateways: Open, database: Database) -> None:
    """Where the gateway's question fails the block has failed, and its names concede; the session lives on."""
    database.run("SET allow_system_table_mods = on; ALTER VIEW pg_catalog.pg_locks RENAME TO pg_no_locks")
    with psycopg.connect(gateways().dsn()) as client:
        client.execute("CREATE TABLE a (id int)")
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="could not be learnt; roll it back"):
            client.execute("SELECT * FROM t")
        with pytest.raises(psycopg.errors.InFailedSqlTransaction):
            client.execute("SELECT 1")
        client.rollback()
        assert client.execute("SELECT count(*) FROM t").fetchall() == [(10,)]
