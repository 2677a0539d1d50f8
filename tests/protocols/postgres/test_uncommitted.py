"""What a transaction defined is known to its own session: real clients, a real PostgreSQL, policy is the driver's."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from psycopg.errors import InFailedSqlTransaction, InsufficientPrivilege

from checkrein.core.statement import Statement
from checkrein.core.verdict import ALLOW, Verdict
from checkrein.protocols.postgres import own_messages as own
from checkrein.protocols.postgres import statements
from tests.protocols.postgres.conftest import Open
from tests.protocols.postgres.driver import Gateway, masking
from tests.protocols.postgres.raw import SYNC, Raw, bind, execute, parse, query, run
from tests.support.postgres import Database

SCHEMA = """
CREATE TABLE t (id int PRIMARY KEY, name text, ssn text);
INSERT INTO t SELECT g, 'name' || g, 'ssn-' || g FROM generate_series(1, 3) g;
CREATE TABLE u (id int PRIMARY KEY, name text, ssn text);
CREATE SCHEMA other;
CREATE TABLE other.t (id int, other text);
CREATE VIEW seen AS SELECT id, name AS shown FROM t;
CREATE TABLE parted (id int, day int) PARTITION BY RANGE (day);
CREATE TABLE loose (id int, day int);
CREATE FUNCTION defines() RETURNS int LANGUAGE plpgsql AS $$BEGIN
  ALTER TABLE t RENAME TO t_old; ALTER TABLE u RENAME TO t; RETURN 1; END$$;
"""
MASKED = masking(("public.t", "ssn"), ("public.made", "ssn"))


def careless(statement: Statement) -> Verdict:
    """Allow everything, what could not be read too."""
    return Verdict(outcome=ALLOW)


def effects(gateway: Gateway) -> set[str]:
    """Return the objects of the last decided statement that was not refused."""
    return {effect.object for effect in gateway.decided[-1].statement.effects}


def conceded(client: psycopg.Connection[Any], text: str, why: str) -> None:
    """Prove that a statement is refused with this reason; the transaction goes on at a savepoint before it."""
    client.execute("SAVEPOINT before")
    with pytest.raises(psycopg.Error, match=why) as refused:
        client.execute(text)
    assert "conceded" in str(refused.value.diag.message_detail)
    client.execute("ROLLBACK TO SAVEPOINT before")


@pytest.mark.parametrize("prepare", [False, True])
def test_a_migration_in_one_transaction(gateways: Open, database: Database, prepare: bool) -> None:
    """Tables, columns and indexes made in a transaction are used in it by unqualified names, and are there after it."""
    with psycopg.connect(gateways().dsn()) as client:
        for text in (
            "CREATE TABLE a (id int PRIMARY KEY)",
            "INSERT INTO a VALUES (1)",
            "CREATE INDEX ON a (id)",
            "ALTER TABLE a ADD COLUMN b text",
            "UPDATE a SET b = 'x' WHERE id = 1",
        ):
            client.execute(text, prepare=prepare)
        assert client.execute("SELECT * FROM a", prepare=prepare).fetchall() == [(1, "x")]
        client.execute("ALTER TABLE a RENAME TO c", prepare=prepare)
        assert client.execute("SELECT b FROM c WHERE id = %s", [1]).fetchall() == [("x",)]
        assert client.execute("SELECT b FROM public.c, t WHERE t.id = c.id").fetchall() == [("x",)]
        with client.cursor().copy("COPY c TO STDOUT") as copy:
            assert b"".join(copy) == b"1\tx\n"
        client.execute("CREATE TABLE more AS SELECT * FROM c")
        assert client.execute("SELECT b FROM more").fetchall() == [("x",)]
        client.execute("DROP TABLE more")
    assert database.rows("SELECT * FROM c") == [(1, "x")]


def test_bounds_and_keys_of_a_new_table(gateways: Open) -> None:
    """Whether a write is bounded goes by the keys that the transaction gave the table, and took away again."""
    gateway = gateways()
    with psycopg.connect(gateway.dsn()) as client:
        client.execute("CREATE TABLE a (id int, b int)")
        client.execute("DELETE FROM a WHERE id = 1")
        assert not gateway.decided[-1].statement.bounded
        client.execute("ALTER TABLE a ADD PRIMARY KEY (id)")
        client.execute("DELETE FROM a WHERE id = 1")
        assert gateway.decided[-1].statement.bounded
        client.execute("ALTER TABLE t DROP CONSTRAINT t_pkey")
        client.execute("DELETE FROM t WHERE id = 1")
        assert not gateway.decided[-1].statement.bounded


def test_masks_hold_for_what_is_not_committed(gateways: Open) -> None:
    """A masked column of a table made in the transaction is masked in every form, and one of a committed table too.

    PG-B61.
    """
    with psycopg.connect(gateways(MASKED).dsn()) as client:
        client.execute("CREATE TABLE made (id int PRIMARY KEY, filler int, ssn text)")
        client.execute("INSERT INTO made VALUES (1, 2, 'secret')")
        assert client.execute("SELECT ssn, id FROM made").fetchall() == [("***", 1)]
        assert client.execute("SELECT m.* FROM public.made m WHERE id = %s", [1]).fetchall() == [(1, 2, "***")]
        client.execute("ALTER TABLE made DROP COLUMN filler")
        assert client.execute("UPDATE made SET id = 2 WHERE id = 1 RETURNING *").fetchall() == [(2, "***")]
        with client.cursor().copy("COPY made TO STDOUT") as copy:
            assert b"secret" not in b"".join(copy)
        assert client.execute("SELECT ssn FROM t WHERE id = 1").fetchall() == [("***",)]
        client.execute("CREATE TEMP TABLE t (id int, ssn text)")
        client.execute("INSERT INTO t VALUES (1, 'own')")
        assert client.execute("SELECT ssn FROM t").fetchall() == [("own",)]
        assert client.execute("SELECT ssn FROM public.t WHERE id = 1").fetchall() == [("***",)]


def test_names_are_the_servers(gateways: Open) -> None:
    """After renames, moves, drops and changes of the search path a name is the table that the server takes."""
    gateway = gateways()
    with psycopg.connect(gateway.dsn()) as client:
        client.execute("ALTER TABLE t RENAME TO tmp")
        client.execute("ALTER TABLE u RENAME TO t")
        client.execute("ALTER TABLE tmp RENAME TO u")
        assert client.execute("SELECT count(*) FROM u").fetchall() == [(3,)]
        client.execute("ALTER TABLE u SET SCHEMA other")
        client.execute("SET LOCAL search_path = other, public")
        client.execute("SELECT name FROM u")
        assert effects(gateway) == {"other.u"}
        client.execute("DROP TABLE other.t")
        client.execute("SELECT name FROM t")
        assert effects(gateway) == {"public.t"}
        client.execute("CREATE SCHEMA third")
        client.execute("SET LOCAL search_path = third, other, public")
        client.execute("CREATE TABLE t (own int)")
        client.execute("SELECT own FROM t")
        assert effects(gateway) == {"third.t"}
        client.rollback()
        client.execute("SELECT name FROM t")
        assert effects(gateway) == {"public.t"}


def test_savepoints_take_definitions_back(gateways: Open) -> None:
    """ROLLBACK TO SAVEPOINT, after an error or not, brings back what names meant before it."""
    gateway = gateways(MASKED)
    with psycopg.connect(gateway.dsn()) as client:
        client.execute("SAVEPOINT s")
        client.execute("DROP TABLE other.t")
        client.execute("CREATE TABLE other.t (fresh int)")
        assert client.execute("SELECT fresh FROM other.t").fetchall() == []
        client.execute("ROLLBACK TO SAVEPOINT s")
        assert client.execute("SELECT other FROM other.t").fetchall() == []
        client.execute("CREATE TABLE made (id int, ssn text)")
        client.execute("INSERT INTO made VALUES (1, 'secret')")
        client.execute("SAVEPOINT s")
        client.execute("ALTER TABLE made ADD COLUMN more int")
        with pytest.raises(psycopg.errors.DivisionByZero):
            client.execute("SELECT 1 / (id - 1) FROM made")
        client.execute("ROLLBACK TO SAVEPOINT s")
        assert client.execute("SELECT * FROM made").fetchall() == [(1, "***")]
        conceded(client, "SELECT more FROM made", "more")


def test_behind_what_was_not_answered_yet(gateways: Open) -> None:
    """Pipelined behind DDL, COMMIT, ROLLBACK and ROLLBACK TO, in a failed block too, nothing is read by stale names.

    PG-B62.
    """
    gateway = gateways()
    raw = Raw(gateway.port)
    assert raw.ask(query(b"BEGIN")) == "C ZT"
    assert raw.ask(query(b"SAVEPOINT s") + query(b"CREATE TABLE other.made (id int)"), 2) == "C ZT C ZT"
    assert raw.ask(query(b"SET LOCAL search_path = other") + query(b"SELECT id FROM made"), 2) == "C ZT T C ZT"
    assert raw.ask(run(b"ALTER TABLE t RENAME TO t2") + run(b"SELECT id FROM t") + SYNC) == "1 2 C E42501 ZE"
    asked = len(gateway.decided)
    assert raw.ask(query(b"ROLLBACK TO s") + query(b"SELECT name FROM t") + query(b"SELECT id FROM made"), 3) == (
        "C ZT T D D D C ZT E42P01 ZE"
    )
    read = [one.statement for one in gateway.decided[asked:]]
    assert [effect.object for effect in read[1].effects] == ["public.t"]
    assert raw.ask(query(b"ROLLBACK") + query(b"BEGIN") + query(b"CREATE TABLE other.u ()"), 3) == "C ZI C ZT C ZT"
    assert raw.ask(query(b"DROP TABLE u") + query(b"SELECT FROM other.u") + query(b"COMMIT"), 3) == "C ZT T C ZT C ZI"
    assert raw.ask(query(b"BEGIN") + query(b"DROP TABLE other.u") + query(b"COMMIT"), 3) == "C ZT C ZT C ZI"
    assert raw.ask(run(b"BEGIN") + run(b"CREATE TABLE u ()") + SYNC) == "1 2 C 1 2 C ZT"
    assert raw.ask(run(b"ROLLBACK") + run(b"SELECT FROM public.u") + SYNC).startswith("1 2 C E42501")


def test_one_request_of_several_statements(gateways: Open) -> None:
    """What stands behind DDL in one request, or in one pipeline, concedes with a reason that says what to do."""
    with psycopg.connect(gateways().dsn(), autocommit=True) as client:
        for text in (
            "BEGIN; CREATE TABLE a (id int); INSERT INTO a VALUES (1); COMMIT",
            "CREATE TABLE a (id int); SELECT * FROM public.a",
            "SET search_path = other; SELECT * FROM t",
        ):
            with pytest.raises(InsufficientPrivilege, match="was sent before it may change what names mean; send it"):
                client.execute(text)
        with client.pipeline(), pytest.raises(InsufficientPrivilege, match=r"was sent before|was redefined"):
            client.execute("CREATE TABLE a (id int)")
            client.execute("SELECT * FROM a").fetchall()


def test_a_snapshot_is_taken_by_ddl_alone(gateways: Open) -> None:
    """Before a block ran anything only SHOW is asked, so that SET TRANSACTION works; so in a block that is chained."""
    gateway = gateways()
    with psycopg.connect(gateway.dsn(), autocommit=True) as client:
        client.execute("SET search_path = other, public")
        client.execute("BEGIN")
        client.execute("SET LOCAL search_path = public, other")
        client.execute("LOCK TABLE t IN ACCESS SHARE MODE")
        client.execute("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE")
        client.execute("COMMIT")
        client.execute("BEGIN")
        client.execute("CREATE TABLE made (id int)")
        client.execute("SELECT id FROM made")
        client.execute("COMMIT AND CHAIN")
        client.execute("LOCK TABLE t IN ACCESS SHARE MODE")
        client.execute("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE")
        conceded(client, "SELECT id FROM other.made", r"redefined|does not exist")
        client.execute("COMMIT")
        client.execute("SELECT id FROM made")


def test_views_functions_and_types_of_the_transaction(gateways: Open) -> None:
    """A view that was made or changed, or reads what was, concedes; enumerations may be used, functions are users'."""
    gateway = gateways()
    with psycopg.connect(gateway.dsn()) as client:
        client.execute("CREATE TABLE a (id int)")
        client.execute("SELECT shown FROM seen")
        client.execute("CREATE VIEW new AS SELECT id FROM t")
        conceded(client, "SELECT id FROM new", "made or changed in this transaction; commit first")
        client.execute("CREATE OR REPLACE VIEW seen AS SELECT id, ssn AS shown FROM t")
        conceded(client, "SELECT shown FROM seen", "made or changed in this transaction; commit first")
        client.rollback()
        client.execute("ALTER TABLE t ADD COLUMN more int")
        conceded(client, "SELECT shown FROM seen", "what it reads was changed in this transaction; commit first")
        client.execute("CREATE TYPE mood AS ENUM ('good', 'bad')")
        client.execute("CREATE TABLE b (m mood, ms mood[])")
        client.execute("INSERT INTO b VALUES ('good', '{bad}'), ('bad'::mood, ARRAY['bad'::mood])")
        assert client.execute("SELECT m FROM b WHERE m = 'bad'").fetchall() == [("bad",)]
        client.execute("CREATE FUNCTION lower(varchar) RETURNS text LANGUAGE sql AS 'SELECT ssn FROM t LIMIT 1'")
        conceded(client, "SELECT lower('X'::varchar)", "may be a user-defined one")
        client.execute("CREATE FUNCTION f(int) RETURNS int LANGUAGE sql AS 'SELECT 1'")
        client.execute("SELECT f(1)")
        assert "public.f" in effects(gateway)
        client.execute("CREATE FUNCTION same(mood, mood) RETURNS boolean LANGUAGE sql AS 'SELECT true'")
        client.execute("CREATE OPERATOR = (leftarg = mood, rightarg = mood, function = same)")
        conceded(client, "SELECT m FROM b WHERE m = 'bad'", "may be a user-defined one")


def test_what_a_function_or_do_defines(gateways: Open) -> None:
    """DDL inside a called function or DO block is found as well: names are then the server's, and masks follow.

    PG-B64.
    """
    gateway = gateways(careless)
    with psycopg.connect(gateway.dsn()) as client:
        client.execute("SELECT defines()")
        assert client.execute("SELECT count(*) FROM t").fetchall() == [(0,)]
        assert gateway.decided[-1].statement.complete
        client.execute("SELECT shown FROM seen")
        assert not gateway.decided[-1].statement.complete
        client.rollback()
        client.execute("DO $$BEGIN ALTER TABLE t RENAME COLUMN ssn TO nss; END$$")
        client.execute("SELECT nss FROM t")
        assert gateway.decided[-1].statement.complete
        assert [effect.columns for effect in gateway.decided[-1].statement.effects] == [("nss",)]
        client.rollback()
        client.execute("DECLARE c CURSOR FOR SELECT defines()")
        client.execute("FETCH c")
        assert client.execute("SELECT count(*) FROM t").fetchall() == [(0,)]


def test_what_only_moves_the_path_defines_nothing(gateways: Open) -> None:
    """pg_dump sets its path by a function in a REPEATABLE READ block: names are still known there."""
    with psycopg.connect(gateways().dsn(), autocommit=True) as client:
        client.execute("BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        client.execute("SELECT pg_catalog.set_config('search_path', 'public', false)")
        client.execute("SELECT id FROM t")
        client.execute("COMMIT")


def test_partitions_and_children_of_the_transaction(gateways: Open) -> None:
    """A query of a parent reaches what was attached or made below it in the transaction, and says so."""
    gateway = gateways()
    with psycopg.connect(gateway.dsn()) as client:
        client.execute("ALTER TABLE parted ATTACH PARTITION loose FOR VALUES FROM (0) TO (10)")
        client.execute("CREATE TABLE parted_2 PARTITION OF parted FOR VALUES FROM (10) TO (20)")
        client.execute("SELECT id FROM parted")
        assert effects(gateway) == {"public.parted", "public.loose", "public.parted_2"}
        client.execute("ALTER TABLE parted DETACH PARTITION loose")
        client.execute("DROP TABLE parted_2")
        client.execute("SELECT id FROM parted")
        assert effects(gateway) == {"public.parted"}


def test_an_isolation_that_cannot_be_followed(gateways: Open) -> None:
    """Under REPEATABLE READ names concede after DDL, with a reason; qualified names of others' tables do not."""
    with psycopg.connect(gateways().dsn()) as client:
        client.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        client.execute("CREATE TABLE a (id int)")
        conceded(client, "SELECT * FROM a", "REPEATABLE READ .* commit first")
        conceded(client, "SELECT * FROM public.a", "commit first")
        client.execute("SELECT id FROM public.t")


def test_prepared_before_and_run_after(gateways: Open, database: Database) -> None:
    """A statement prepared before the DDL, in SQL or in the protocol, is read again by what its names mean now.

    PG-B65.
    """
    gateway = gateways(MASKED)
    raw = Raw(gateway.port)
    again = bind(b"", b"a") + execute() + SYNC
    assert raw.ask(query(b"BEGIN") + query(b"PREPARE p AS SELECT ssn FROM u"), 2) == "C ZT C ZT"
    assert raw.ask(parse(b"a", b"SELECT ssn FROM u") + SYNC) == "1 ZT"
    for text in (b"ALTER TABLE u RENAME TO v", b"CREATE TABLE u (ssn text)", b"INSERT INTO u VALUES ('own')"):
        assert raw.ask(query(text)) == "C ZT"
    assert raw.ask(query(b"EXECUTE p")) == "T D C ZT"
    assert raw.ask(again) == "2 D C ZT"
    for text in (b"DROP TABLE u", b"CREATE TABLE other.u (ssn text)", b"SET LOCAL search_path = other, public"):
        assert raw.ask(query(text)) == "C ZT"
    assert raw.ask(query(b"EXECUTE p")) == "T C ZT"
    assert effects(gateway) == {"other.u"}
    assert raw.ask(again) == "2 C ZT"
    assert effects(gateway) == {"other.u"}
    for text in (b"DROP TABLE other.u", b"CREATE TABLE other.made (ssn text)", b"ALTER TABLE other.made RENAME TO u"):
        assert raw.ask(query(text)) == "C ZT"
    assert raw.ask(query(b"ALTER TABLE other.u SET SCHEMA public") + query(b"ALTER TABLE u RENAME TO made"), 2) == (
        "C ZT C ZT"
    )
    assert raw.ask(again).startswith("E4")


def test_only_its_own_session_sees_it(gateways: Open) -> None:
    """Another session reads by the committed catalog, and no reading made amid a transaction is kept for anyone.

    PG-B65.
    """
    gateway = gateways()
    with psycopg.connect(gateway.dsn()) as client, psycopg.connect(gateway.dsn(), autocommit=True) as other:
        kept = statements._KEPT
        client.execute("CREATE TABLE hidden (id int)")
        before = (set(kept.exact), set(kept.shapes))
        client.execute("SELECT id FROM hidden")
        client.execute("SELECT id FROM t")
        assert not {text for _, text in set(kept.exact) - before[0] if "hidden" in text}
        assert set(kept.shapes) - before[1] == set()
        with pytest.raises(psycopg.errors.UndefinedTable):
            other.execute("SELECT id FROM hidden")
        client.rollback()
        with pytest.raises(psycopg.errors.UndefinedTable):
            client.execute("SELECT id FROM hidden")


def test_what_is_asked_and_when(gateways: Open) -> None:
    """The question is one of the list of own messages, once after each DDL, and never without one."""
    gateway = gateways()
    with psycopg.connect(gateway.dsn()) as client:
        client.execute("SELECT id FROM t")
        client.execute("UPDATE t SET name = 'x' WHERE id = 1")
        assert not any(b"pg_locks" in data for data in gateway.sent)
        client.execute("CREATE TABLE a (id int)")
        for _ in range(3):
            client.execute("SELECT id FROM a")
        assert sum(data.count(b"pg_catalog.pg_locks") for data in gateway.sent) == 1
    assert own.UNCOMMITTED in own.OWN


def test_a_question_that_fails(gateways: Open, database: Database) -> None:
    """Where the gateway's question fails the block has failed, and its names concede; the session lives on."""
    database.run("SET allow_system_table_mods = on; ALTER VIEW pg_catalog.pg_locks RENAME TO pg_no_locks")
    with psycopg.connect(gateways().dsn()) as client:
        client.execute("CREATE TABLE a (id int)")
        with pytest.raises(InsufficientPrivilege, match="could not be learnt; roll it back"):
            client.execute("SELECT * FROM t")
        with pytest.raises(InFailedSqlTransaction):
            client.execute("SELECT 1")
        client.rollback()
        assert client.execute("SELECT count(*) FROM t").fetchall() == [(3,)]
