"""PG-B: a masked column carried out by a write: answered by it, copied elsewhere, or moved to another name."""

from __future__ import annotations

from tests.bypass.attack import query
from tests.bypass.leak import SSN, Leaks, leaked


def test_pg_b10_returning(leaks: Leaks) -> None:
    """RETURNING masks what it answers, in a write alone, in WITH, and after a conflict."""
    leaks.must_answer(
        "UPDATE people SET name = 'x' WHERE id = 1 RETURNING *",
        "UPDATE people SET name = 'x' WHERE id = 1 RETURNING ssn AS name",
        "UPDATE people AS p SET name = 'x' WHERE id = 1 RETURNING p.ssn, p.*",
        "DELETE FROM shy WHERE id = 99 RETURNING ssn",
        "INSERT INTO people (id, name) VALUES (1, 'x') ON CONFLICT (id) DO UPDATE SET name = 'y' RETURNING ssn",
        "INSERT INTO people (id, name) VALUES (77, 'x') RETURNING *",
        "UPDATE scratch SET what = 'x' FROM people p WHERE p.id = scratch.id RETURNING p.ssn",
        "DELETE FROM scratch USING people p WHERE p.id = scratch.id RETURNING p.ssn",
        "UPDATE parts SET day = day WHERE id = 1 RETURNING ssn",
        "UPDATE family SET id = id RETURNING ssn",
        pieces=False,
    )
    leaks.must_not_show(
        "WITH w AS (UPDATE people SET name = 'x' WHERE id = 1 RETURNING ssn) SELECT * FROM w",
        "WITH w AS (UPDATE people SET name = 'x' WHERE id = 1 RETURNING ssn) SELECT ssn || '' FROM w",
        "WITH w AS (DELETE FROM notes WHERE id = 1 RETURNING person) SELECT ssn FROM people, w",
        "UPDATE people SET name = 'x' WHERE id = 1 RETURNING ssn || ''",
        "UPDATE people SET name = 'x' WHERE id = 1 RETURNING people",
        "UPDATE people p SET name = 'x' WHERE id = 1 RETURNING row_to_json(p)",
        "UPDATE people SET name = 'x' WHERE id = 1 RETURNING (SELECT max(ssn) FROM people)",
        "UPDATE scratch SET what = 'x' RETURNING (SELECT ssn FROM people WHERE people.id = 1)",
        "INSERT INTO scratch (what) VALUES ('x') RETURNING (SELECT ssn FROM people WHERE id = 1)",
        "INSERT INTO people (id) VALUES (1) ON CONFLICT (id) DO UPDATE SET name = 'y' RETURNING substr(ssn, 1, 6)",
        "DELETE FROM people WHERE id = 99 RETURNING md5(ssn)",
    )


def test_pg_b10_returning_in_several_statements(leaks: Leaks) -> None:
    """A Query of several statements, one of which answers a masked column, shows it masked or is refused whole."""
    leaks.must_not_show(
        "UPDATE people SET name = 'x' WHERE id = 1 RETURNING ssn; SELECT 1",
        "SELECT 1; UPDATE people SET name = 'x' WHERE id = 1 RETURNING ssn",
        "SELECT ssn FROM people; SELECT ssn AS a, 2 FROM people; SELECT 1",
        "SELECT 1; SELECT * FROM people_view; SELECT 1, 2, 3",
        "BEGIN; SELECT ssn FROM people; COMMIT",
        "SELECT name FROM people; SELECT ssn FROM people",
    )


def test_pg_b24_copied_elsewhere(leaks: Leaks) -> None:
    """No write takes a masked column to where no mask follows."""
    with leaks.unchanged("people", "scratch", "likes", "notes"):
        leaks.must_refuse(
            "INSERT INTO scratch (what) SELECT ssn FROM people",
            "INSERT INTO scratch (what) VALUES ((SELECT ssn FROM people WHERE id = 1))",
            "INSERT INTO scratch (what) SELECT s FROM (SELECT ssn AS s FROM people) x",
            "INSERT INTO scratch (what) SELECT again FROM people_twice",
            "INSERT INTO scratch (what) SELECT ssn || '' FROM people",
            "INSERT INTO scratch (whats) SELECT array_agg(ssn) FROM people",
            "WITH w AS (SELECT ssn FROM people) INSERT INTO scratch (what) SELECT * FROM w",
            "INSERT INTO scratch (what) VALUES ('x') ON CONFLICT (id) DO UPDATE SET what = (SELECT "
            "max(ssn) FROM people)",
            "UPDATE scratch SET what = (SELECT ssn FROM people WHERE people.id = 1)",
            "UPDATE scratch SET what = p.ssn FROM people p",
            "UPDATE scratch SET (what, whats) = (SELECT ssn, arr FROM people WHERE people.id = 1)",
            "UPDATE scratch SET whats[1] = (SELECT ssn FROM people WHERE people.id = 1)",
            "UPDATE people SET name = ssn",
            "UPDATE people SET name = doc ->> 'ssn'",
            "UPDATE people SET age = left(ssn, 3)::int",
            "CREATE TABLE stolen AS SELECT ssn FROM people",
            "CREATE TABLE stolen AS TABLE people",
            "CREATE TEMP TABLE stolen AS SELECT ssn FROM people",
            "CREATE UNLOGGED TABLE stolen AS SELECT * FROM people_view",
            "SELECT ssn INTO stolen FROM people",
            "SELECT ssn INTO TEMP stolen FROM people",
            "CREATE MATERIALIZED VIEW stolen AS SELECT ssn FROM people",
            "CREATE MATERIALIZED VIEW stolen AS SELECT ssn AS x FROM people WITH NO DATA",
            "EXPLAIN ANALYZE CREATE TABLE stolen AS SELECT ssn FROM people",
            "MERGE INTO scratch s USING people p ON s.id = p.id WHEN NOT MATCHED THEN INSERT (what) VALUES (p.ssn)",
            "MERGE INTO scratch s USING people p ON s.id = p.id WHEN MATCHED THEN UPDATE SET what = p.ssn",
            "WITH u AS (UPDATE people SET age = 1 WHERE id = 1 RETURNING ssn) INSERT INTO scratch "
            "(what) SELECT ssn FROM u",
            "INSERT INTO likes SELECT id, ssn FROM people",
            "COPY (SELECT ssn FROM people) TO '/tmp/stolen'",
            "COPY people TO PROGRAM 'cat'",
            "SELECT lo_from_bytea(0, ssn::bytea) FROM people",
            "SELECT set_config('a.b', ssn, false) FROM people",
            "SELECT pg_notify('c', ssn) FROM people",
            "PREPARE p AS INSERT INTO scratch (what) SELECT ssn FROM people",
            "DECLARE c CURSOR FOR SELECT ssn || '' FROM people",
            "CREATE INDEX stolen ON people (left(ssn, 6))",
            "CREATE STATISTICS stolen ON ssn, name FROM people",
            "ALTER TABLE people ALTER COLUMN name TYPE text USING ssn",
            "ALTER TABLE people ALTER COLUMN ssn TYPE bytea USING ssn::bytea",
            "ALTER TABLE people ADD COLUMN copied text GENERATED ALWAYS AS (ssn) STORED",
            "ALTER TABLE people ADD CONSTRAINT c CHECK (ssn <> '5')",
            "ALTER TABLE people ADD CONSTRAINT c CHECK (ssn::int > 0) NOT VALID",
            "CREATE UNIQUE INDEX stolen ON people ((left(ssn, 1)))",
            "CREATE INDEX stolen ON people (name) WHERE ssn > '5'",
            "CREATE POLICY stolen ON people USING (ssn > '5')",
        )


def test_pg_b24_copied_and_answered(leaks: Leaks) -> None:
    """What a write copies and answers at once is refused; who may infer and write may copy, as the limits page says."""
    with leaks.unchanged("people", "scratch"), leaks.raw() as raw:
        for text in (
            "WITH w AS (INSERT INTO scratch (what) SELECT ssn FROM people RETURNING what) SELECT * FROM w",
            "INSERT INTO scratch (what) SELECT ssn FROM people RETURNING what",
            "UPDATE scratch SET what = p.ssn FROM people p RETURNING what",
            "UPDATE people SET name = ssn RETURNING name",
            "INSERT INTO people (id) VALUES (1) ON CONFLICT (id) DO UPDATE SET name = people.ssn RETURNING name",
        ):
            assert raw.ask(query(text.encode())) == "E42501 ZI", text
        assert not leaked(raw.seen)


def test_pg_b24_views(leaks: Leaks) -> None:
    """A view that an agent makes is looked through like any other, or may not be made."""
    texts = ("CREATE VIEW stolen AS SELECT ssn AS harmless FROM people", "CREATE TEMP VIEW stolen AS TABLE people")
    for text in texts:
        with leaks.connect() as connection:
            connection.execute("BEGIN")
            try:
                connection.execute(text)
                found = str(connection.execute("SELECT * FROM stolen").fetchall())
            except Exception as error:  # noqa: BLE001 - refused is as good
                found = str(error)
            assert not leaked(found.encode()), text
    leaks.nothing_kept()


def test_pg_b24_what_is_typed(leaks: Leaks) -> None:
    """A value that the client compares with or writes to a masked column is not kept in clear, refused or not."""
    leaks.must_not_show(
        f"SELECT id FROM people WHERE ssn = '{SSN}'",
        f"SELECT id FROM people WHERE ssn IN ('{SSN}', 'x')",
        f"SELECT id FROM people WHERE ssn = $x${SSN}$x$",
        f"SELECT id FROM people WHERE ssn = E'{SSN}'",
        f"UPDATE people SET gone = '{SSN}' WHERE id = 1",
        f"UPDATE people SET gone = '{SSN}' || '' WHERE id = 1",
        f"UPDATE people SET (gone, name) = ('{SSN}', 'x') WHERE id = 1",
        f"SELECT id FROM people WHERE ssn = lower('{SSN}')",
        f"SELECT id FROM people WHERE ROW(ssn, 1) = ROW('{SSN}', 1)",
        f"INSERT INTO family (id, ssn) VALUES (7, '{SSN}')",
        f"INSERT INTO family (id, ssn) VALUES (7, upper('{SSN}'))",
        f"INSERT INTO family VALUES (7, '{SSN}'), (8, '{SSN}')",
        f"INSERT INTO family (id, ssn) SELECT 7, '{SSN}'",
        f"WITH v AS (SELECT '{SSN}' AS s) SELECT id FROM people, v WHERE ssn = s",
        f"DELETE FROM people WHERE ssn = '{SSN}'",
        f"SELECT id FROM people_view WHERE shown LIKE '{SSN}%'",
    )


def test_pg_b26_moved(leaks: Leaks) -> None:
    """No masked column gets another name, type, table, schema, parent or meaning."""
    leaks.must_refuse(
        "ALTER TABLE people RENAME COLUMN ssn TO harmless",
        "ALTER TABLE people RENAME ssn TO harmless",
        "ALTER TABLE people RENAME TO harmless",
        "ALTER TABLE IF EXISTS people RENAME TO harmless",
        "ALTER TABLE people SET SCHEMA pg_catalog",
        "ALTER SCHEMA public RENAME TO harmless",
        "ALTER TABLE parts DETACH PARTITION parts_1",
        "ALTER TABLE parts_1 RENAME TO harmless",
        "ALTER TABLE parts_2_1 RENAME COLUMN ssn TO harmless",
        "ALTER TABLE family RENAME COLUMN ssn TO harmless",
        "ALTER TABLE family_child NO INHERIT family",
        "ALTER TABLE family_grandchild RENAME TO harmless",
        "ALTER TABLE people_copy RENAME COLUMN ssn TO harmless",
        "ALTER MATERIALIZED VIEW people_copy RENAME TO harmless",
        "ALTER TABLE people ALTER COLUMN ssn TYPE varchar",
        'ALTER TABLE people ALTER ssn SET DATA TYPE text COLLATE "C"',
        "ALTER TYPE card RENAME ATTRIBUTE ssn TO harmless",
        "ALTER TABLE people INHERIT family",
        "ALTER TABLE scratch INHERIT people",
        "ALTER TABLE parts ATTACH PARTITION family DEFAULT",
        "DROP TABLE people CASCADE",
        "CREATE RULE r AS ON SELECT TO scratch DO INSTEAD SELECT 1, ssn, arr FROM people",
        "CREATE RULE r AS ON UPDATE TO scratch DO ALSO INSERT INTO scratch (what) SELECT ssn FROM people",
        "CREATE TRIGGER t BEFORE UPDATE ON people FOR EACH ROW EXECUTE FUNCTION shy_speaks()",
        "CREATE CAST (card AS text) WITH INOUT AS IMPLICIT",
        "ALTER DOMAIN ssn_text ADD CHECK (VALUE < '5')",
        "CREATE PUBLICATION p FOR TABLE people",
        "UPDATE pg_attribute SET attname = 'harmless' WHERE attname = 'ssn'",
    )
