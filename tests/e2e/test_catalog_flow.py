"""DDL through the gateway is seen by every other session at once: through a real gateway, by several sessions."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from tests.support.gateway import Gateway, Target, policy, running
from tests.support.postgres import PASSWORD, PostgresServer

POLICY = policy(
    "all",
    """
    - {name: everything, allow: {verbs: [select, insert, update, delete, create, alter, drop], touches: ["public.*"]}}
    """,
    groups="bots, readers",
    profiles="*",
) + policy("readers", "- {name: no-ssn, deny: {columns: [public.people.ssn]}}", groups="readers", profiles="*")

PROFILES = "profiles: {default: {user: postgres, password: 'env:GOOD'}, other: {user: postgres, password: 'env:GOOD'}}"


@pytest.fixture(scope="module")
def gateway(postgres: PostgresServer) -> Iterator[Gateway]:
    """A gateway with two targets over one database, two profiles each."""
    database = postgres.create_database(
        "CREATE TABLE public.people (id int, ssn text); INSERT INTO public.people VALUES (1, '219-09-9999')"
    )
    targets = [Target(database, name=name, options=PROFILES) for name in ("db", "same")]
    try:
        with running(targets, {"all.yaml": POLICY}, env={"GOOD": PASSWORD}) as started:
            yield started
    finally:
        database.drop()


OTHERS = [("bot", "db", "default"), ("reader", "db", "default"), ("bot", "db", "other"), ("reader", "same", "default")]


@pytest.fixture
def sessions(gateway: Gateway) -> Iterator[tuple[psycopg.Connection, list[psycopg.Connection]]]:
    """One session that changes things, and others that have used the catalog already."""
    maker = gateway.connect()
    others = [gateway.connect(who, target=target, profile=profile) for who, target, profile in OTHERS]
    for one in (maker, *others):
        one.execute("SELECT id FROM people")
    yield maker, others
    for one in (maker, *others):
        one.close()


def test_ddl_is_seen_at_once(sessions: tuple[psycopg.Connection, list[psycopg.Connection]]) -> None:
    """Tables, columns and views made by one session are there for the next statement of any other, every time, though
    the session that made them sends nothing more."""
    maker, others = sessions
    for turn in range(5):
        maker.execute(f"CREATE TABLE made{turn} (id int)")
        for one in others:
            assert one.execute(f"SELECT id FROM made{turn}").fetchall() == []
        maker.execute(f"ALTER TABLE made{turn} RENAME COLUMN id TO number")
        for one in others:
            assert one.execute(f"SELECT number FROM made{turn}").fetchall() == []
        maker.execute(f"CREATE VIEW seen{turn} AS SELECT number AS n FROM made{turn}; SELECT 1")
        for one in others:
            assert one.execute(f"SELECT n FROM seen{turn}").fetchall() == []
        maker.execute(f"DROP VIEW seen{turn}", prepare=True)
        maker.execute(f"DROP TABLE made{turn}")


def test_ddl_in_a_block_is_seen_at_its_commit(
    sessions: tuple[psycopg.Connection, list[psycopg.Connection]],
) -> None:
    """While the block is open the others see what was committed before; with COMMIT what it made, with ROLLBACK not."""
    maker, others = sessions
    for end in ("ROLLBACK", "COMMIT"):
        maker.execute("BEGIN")
        maker.execute("CREATE TABLE boxed (id int)")
        for one in others:
            with pytest.raises(psycopg.Error):
                one.execute("SELECT id FROM boxed")
            one.execute("SELECT id FROM people")
        maker.execute(end)
        for one in others:
            if end == "COMMIT":
                assert one.execute("SELECT id FROM boxed").fetchall() == []
            else:
                with pytest.raises(psycopg.Error):
                    one.execute("SELECT id FROM boxed")
    maker.execute("DROP TABLE boxed")


def test_a_view_that_turns_to_a_forbidden_column_is_shut_at_once(
    sessions: tuple[psycopg.Connection, list[psycopg.Connection]],
) -> None:
    """A view that readers have prepared and used is judged by its new definition at once, not five seconds later."""
    maker, others = sessions
    readers = [one for one, (who, _, _) in zip(others, OTHERS, strict=True) if who == "reader"]
    for turn in range(5):
        maker.execute("CREATE OR REPLACE VIEW turned AS SELECT id, 'nothing'::text AS word FROM people")
        for one in readers:
            assert one.execute("SELECT word FROM turned", prepare=True).fetchone() == ("nothing",)
        maker.execute("CREATE OR REPLACE VIEW turned AS SELECT id, ssn AS word FROM people", prepare=turn % 2 == 0)
        for one in readers:
            with pytest.raises(psycopg.errors.InsufficientPrivilege, match="no-ssn"):
                one.execute("SELECT word FROM turned", prepare=True)
            with pytest.raises(psycopg.errors.InsufficientPrivilege, match="no-ssn"):
                one.execute("SELECT word FROM turned", prepare=False)
    maker.execute("DROP VIEW turned")


def test_a_session_that_ends_in_a_block(gateway: Gateway) -> None:
    """DDL whose session goes away unsettled leaves nobody with an old catalog, and nobody waiting."""
    with gateway.connect() as other:
        other.execute("SELECT id FROM people")
        maker = gateway.connect()
        maker.execute("BEGIN")
        maker.execute("CREATE TABLE left_behind (id int)")
        maker.close()
        with pytest.raises(psycopg.Error):
            other.execute("SELECT id FROM left_behind")
        for _ in range(20):
            assert other.execute("SELECT id FROM people").fetchall() == [(1,)]
