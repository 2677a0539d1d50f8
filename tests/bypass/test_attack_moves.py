"""PG-A48 to PG-A50: the search path moves, or a write becomes another, where the statement does not say so."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.bypass.attack import POLICIES, SCHEMA, SYNC, World, bind, execute, parse, query, run
from tests.support.gateway import Target, policy, running
from tests.support.postgres import PostgresServer

MOVE = b"SELECT set_config('search_path', 'vault', false)"
WRITE = b"UPDATE open_items SET name = name || '!' WHERE id = 1"
LOOK = query(b"SELECT 1 FROM open_items")
LOCALLY = [query(b"SET search_path = vault"), query(b"BEGIN"), query(b"SET LOCAL search_path = public"), LOOK]

WAYS: dict[str, list[bytes]] = {
    "SET LOCAL ends": [*LOCALLY, query(b"COMMIT"), query(WRITE)],
    "set_config(..., true) ends": [
        *LOCALLY[:2], query(b"SELECT set_config('search_path', 'public', true)"), LOOK, query(b"COMMIT"), query(WRITE),
    ],
    "SET LOCAL ends in the same request": [*LOCALLY, query(b"COMMIT; " + WRITE)],
    "SET LOCAL ends in the same pipeline": [*LOCALLY, run(b"COMMIT") + run(WRITE) + SYNC],
    "SET LOCAL ends in the request before": [*LOCALLY, query(b"COMMIT") + query(WRITE)],
    "SET LOCAL ends, the block goes on": [*LOCALLY, query(b"COMMIT AND CHAIN"), query(WRITE), query(b"COMMIT")],
    "SET LOCAL ends with a release": [
        *LOCALLY[:2], query(b"SAVEPOINT a"), *LOCALLY[2:], query(b"RELEASE a"), query(b"COMMIT"), query(WRITE),
    ],
    "SET LOCAL ends, prepared before": [
        *LOCALLY, parse(b"w", WRITE) + SYNC, query(b"COMMIT"), bind(b"", b"w") + execute() + SYNC,
    ],
    "a view": [query(b"SELECT * FROM open_mover"), query(WRITE)],
    "a view of a view": [query(b"SELECT count(x) FROM open_mover_twice"), query(WRITE)],
    "a cursor": [query(b"BEGIN"), query(b"DECLARE c CURSOR FOR " + MOVE), LOOK, query(b"FETCH c"), query(WRITE)],
    "a cursor that is moved": [
        query(b"BEGIN"), query(b"DECLARE c CURSOR FOR " + MOVE), LOOK, query(b"MOVE c"), query(WRITE),
    ],
    "a cursor held over COMMIT": [
        query(b"BEGIN"), query(b"DECLARE c CURSOR WITH HOLD FOR " + MOVE), LOOK, query(b"COMMIT"), query(WRITE),
    ],
    "a portal that FETCH runs": [
        query(b"BEGIN"), parse(b"", MOVE) + bind(b"c") + SYNC, LOOK, query(b"FETCH c"), query(WRITE),
    ],
}  # fmt: skip


MOVERS = """
CREATE VIEW open_mover AS SELECT set_config('search_path', 'vault', false) AS x;
CREATE VIEW open_mover_twice AS SELECT x FROM open_mover;
CREATE VIEW open_ruled AS SELECT id, what FROM open_other;
CREATE RULE turned AS ON INSERT TO open_ruled DO INSTEAD DELETE FROM secret_keys WHERE id = NEW.id RETURNING id, key;
CREATE VIEW open_also AS SELECT id, what FROM open_other;
CREATE RULE also AS ON INSERT TO open_also DO ALSO DELETE FROM secret_keys WHERE id = NEW.id;
CREATE VIEW open_over AS SELECT id, what FROM open_ruled;
CREATE TABLE open_kept (id int PRIMARY KEY);
CREATE RULE kept AS ON DELETE TO open_kept DO INSTEAD DELETE FROM secret_keys WHERE id = OLD.id;
"""


@pytest.fixture(scope="module")
def moving(postgres: PostgresServer) -> Iterator[World]:
    """A world with views that an administrator made and that set the path."""
    database = postgres.create_database(SCHEMA + MOVERS)
    with running([Target(database)], POLICIES) as gateway:
        yield World(gateway, database)
    database.drop()


@pytest.mark.parametrize("way", WAYS)
def test_pg_a48_a_path_that_moves_unseen(moving: World, way: str) -> None:
    """The write is judged by the table that the server takes, so that nothing of `vault` changes."""
    with moving.unchanged(), moving.raw() as raw:
        for message in WAYS[way]:
            raw.send(message)
            count = message.count(b"Q\0\0\0") if message[:1] == b"Q" else 1
            raw.until(b"Z", count)
        raw.ask(query(b"ROLLBACK"))


@pytest.mark.parametrize(
    "text",
    [
        "ALTER TABLE open_other ADD COLUMN z text DEFAULT set_config('search_path', 'vault', false)",
        "ALTER TABLE open_other ALTER COLUMN what SET DEFAULT set_config('search_path', 'vault', false)",
        "ALTER TABLE open_other ADD CHECK (set_config('search_path', 'vault', false) IS NOT NULL) NOT VALID",
        "CREATE TABLE open_made (x text DEFAULT set_config('search_path', 'vault', false))",
        "CREATE POLICY p ON open_other USING (set_config('search_path', 'vault', false) IS NOT NULL)",
    ],
)
def test_pg_a48_definitions_that_move_the_path(moving: World, text: str) -> None:
    """What a table keeps may not set the path whenever it is written."""
    moving.must_refuse(text, who=("bot",), code="42501")
    with moving.unchanged(), moving.raw() as raw:
        assert (
            raw.ask(query(b"BEGIN; ALTER TABLE open_other ADD x text DEFAULT current_setting('search_path')"))
            == "C C ZT"
        )


def test_pg_a48_a_sequence_is_found_after_the_path_moved(moving: World) -> None:
    """`'x'::text` becomes a sequence when it is reached, which may be after the same statement moved the path."""
    moving.must_refuse(
        "SELECT set_config('search_path', 'vault', false), nextval('open_numbers'::text)",
        "SELECT nextval('open_numbers'::text::regclass) FROM (SELECT set_config('search_path', 'vault', true)) x",
        who=("bot",),
        code="42501",
    )


def test_pg_a50_rules_turn_a_write_into_another(moving: World) -> None:
    """A write on what has rewrite rules, or on a view over it, may be any other; reading it runs none."""
    moving.must_refuse(
        "INSERT INTO open_ruled VALUES (3, 'x')",
        "INSERT INTO open_ruled VALUES (3, 'x') RETURNING what",
        "INSERT INTO open_also VALUES (3, 'x')",
        "INSERT INTO open_over VALUES (3, 'x')",
        "WITH w AS (INSERT INTO open_ruled VALUES (3, 'x') RETURNING what) SELECT what FROM w",
        "DELETE FROM open_kept WHERE id = 3",
        "EXPLAIN ANALYZE INSERT INTO open_also VALUES (3, 'x')",
        "PREPARE p AS INSERT INTO open_over VALUES (3, 'x')",
        who=("bot",),
        code="42501",
    )
    moving.must_allow("SELECT * FROM open_ruled", "SELECT * FROM open_over", "SELECT id FROM open_kept")


VIEWS = """
CREATE TABLE items (id int PRIMARY KEY, at int);
INSERT INTO items VALUES (1, 1);
CREATE SEQUENCE numbers;
CREATE VIEW counting AS SELECT nextval('numbers') AS n;
"""
READS = policy(
    "reads",
    """
    - {name: most, allow: {verbs: ["*"], touches: ["*.*"]}}
    - {name: nothing-that-writes, deny: {verbs: ["*"], when: "statement.writes"}}
    """,
)


def test_pg_a49_statements_that_write_unseen(postgres: PostgresServer) -> None:
    """A view, a cursor and EXPLAIN with ANALYZE 1 behind ANALYZE 0 write as what they run does."""
    database = postgres.create_database(VIEWS)
    with running([Target(database)], {"reads.yaml": READS}) as gateway:
        world = World(gateway, database)
        world.must_refuse("SELECT n FROM counting", "SELECT nextval('numbers')", who=("bot",), code="42501")
        world.must_allow("EXPLAIN (ANALYZE 0) UPDATE items SET at = 2 WHERE id = 1")
        world.must_refuse("EXPLAIN (ANALYZE 1) UPDATE items SET at = 2 WHERE id = 1", who=("bot",), code="42501")
    database.drop()
