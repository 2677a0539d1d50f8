"""PG-B31 and PG-B32: a value is put where a later statement would show it, or a key is made to tell of it."""

from __future__ import annotations

import pytest

from tests.bypass.attack import query
from tests.bypass.leak import Leaks


@pytest.mark.parametrize(
    "text",
    [
        "INSERT INTO scratch (what) SELECT reader()",
        "INSERT INTO scratch (what) VALUES (reader()) RETURNING what",
        "INSERT INTO scratch (what) VALUES ((SELECT reader()))",
        "INSERT INTO scratch (what) SELECT r FROM reader() r",
        "INSERT INTO scratch (whats) SELECT ARRAY(SELECT s FROM table_reader() t (s))",
        "INSERT INTO scratch (id, what) VALUES (1, 'a') ON CONFLICT (id) DO UPDATE SET what = reader()",
        "WITH w AS (INSERT INTO scratch (what) SELECT reader() RETURNING what) SELECT * FROM w",
        "UPDATE scratch SET what = reader()",
        "UPDATE scratch SET whats[1] = reader() RETURNING whats",
        "EXPLAIN ANALYZE INSERT INTO scratch (what) SELECT reader()",
        "CREATE TABLE kept AS SELECT reader()",
        "SELECT reader() AS x INTO kept",
        "CREATE TABLE kept (i int, x text DEFAULT reader())",
        "CREATE TABLE kept (i int CHECK (shouting() = i))",
        "ALTER TABLE scratch ADD COLUMN x text DEFAULT reader()",
        "ALTER TABLE scratch ALTER COLUMN what TYPE text USING reader()",
        "ALTER TABLE scratch ALTER COLUMN what SET DEFAULT reader()",
        "CREATE POLICY kept ON scratch USING (shouting() = 1)",
        "SELECT set_config('a.b', reader(), false)",
        "SELECT setval('scratch_id_seq', length(reader()))",
    ],
)
def test_what_a_function_gave_is_not_kept(leaks: Leaks, text: str) -> None:
    """The result of a function that no rule clears is redacted where it is shown; written first, it would not be."""
    for words, _ in leaks.answers(text):
        assert "E42501" in words, (text, words)


def test_prepared_keeping(leaks: Leaks) -> None:
    """Neither does a prepared statement keep it."""
    with leaks.raw() as raw:
        raw.ask(query(b"PREPARE keeps AS INSERT INTO scratch (what) SELECT reader()"))
        assert "E42501" in raw.ask(query(b"EXECUTE keeps"))


@pytest.mark.parametrize("who", ["bot", "reader"])
def test_recursion_follows_functions_and_kinds(leaks: Leaks, who: str) -> None:
    """Columns that only hand a value on, one a round, are followed to where it comes from."""
    leaks.must_not_show(
        "WITH RECURSIVE r (n, s, t, u) AS (SELECT 1, 'a'::text, 'x'::text, reader() UNION ALL "
        "SELECT n + 1, t, u, u FROM r WHERE n < 4) SELECT s FROM r",
        "WITH RECURSIVE r (n, s, t, u, v) AS (SELECT 1, count(num), count(num), count(num), max(num) FROM people "
        "WHERE id = 1 UNION ALL SELECT n + 1, t, u, v, v FROM r WHERE n < 5) SELECT s FROM r",
        "WITH RECURSIVE r (n, s, t, u) AS (SELECT 1, count(num), count(num), num FROM people GROUP BY num UNION ALL "
        "SELECT n + 1, t, u, u FROM r WHERE n < 4) SELECT s FROM r",
        who=(who,),
    )


@pytest.mark.parametrize(
    "text",
    [
        "INSERT INTO people_view (id, name, shown) VALUES (50, 'x', '123-45-0003')",
        "UPDATE people_view SET shown = '123-45-0003' WHERE id = 4",
        "CREATE TABLE kept (x text REFERENCES people (ssn))",
        "CREATE TABLE kept (x text, FOREIGN KEY (x) REFERENCES people (ssn))",
        "ALTER TABLE scratch ADD FOREIGN KEY (what) REFERENCES people (ssn)",
        "ALTER TABLE scratch ADD COLUMN x text REFERENCES people (ssn)",
    ],
)
def test_keys_do_not_tell(leaks: Leaks, text: str) -> None:
    """A key on a masked column tells whether a value is there: through a view, and from a table made for it."""
    leaks.must_refuse(text)


def test_keys_of_others_do_not_tell(leaks: Leaks) -> None:
    """A column that is not masked itself, but refers to one that is, tells of it when it is written."""
    leaks.must_refuse(
        "INSERT INTO pointing VALUES (1, '123-45-0003')", "UPDATE pointing SET at = '123-45-0003' WHERE id = 1"
    )
    leaks.must_answer("INSERT INTO pointing (id) VALUES (1) RETURNING id", pieces=False)


def test_pg_b40_what_is_reached_only_where_a_value_is_null(leaks: Leaks) -> None:
    """COALESCE goes on where what stood before was NULL: what may fail, count or speak there tells of it."""
    leaks.must_refuse(
        "SELECT coalesce(gone, nextval('scratch_id_seq')::text) FROM people WHERE id = 2",
        "SELECT coalesce(gone, 'x', nextval('scratch_id_seq')::text) FROM people WHERE id = 2",
        "SELECT coalesce(gone, fails('x')) FROM people WHERE id = 2",
        "SELECT coalesce(gone, shouts('x')) FROM people WHERE id = 2",
        "SELECT coalesce(gone, (SELECT 'x' FROM numbers)) FROM people WHERE id = 2",
        "SELECT coalesce(gone, (SELECT name FROM people)) FROM people WHERE id = 2",
        "SELECT coalesce(gone, upper((SELECT name FROM people))) FROM people WHERE id = 2",
        "SELECT coalesce(upper(gone), pg_sleep(0)::text) FROM people WHERE id = 2",
        "SELECT coalesce(gone, 'soon'::text::timestamptz::text) FROM people WHERE id = 2",
        "SELECT coalesce(gone, current_setting('a.b')) FROM people WHERE id = 2",
        "SELECT s FROM (SELECT coalesce(gone, (1 / length(left(current_user, 0)))::text) AS s FROM people) x",
    )
    leaks.must_answer(
        "SELECT coalesce(gone, 'x'), coalesce(ssn, name, 'none'), coalesce(num, 0) FROM people ORDER BY id",
        "SELECT coalesce(gone, 'x'::text), coalesce(ssn, current_user), coalesce(upper(ssn), hashed) FROM people",
        "SELECT coalesce((SELECT ssn FROM people WHERE id = 1), 'none')",
    )


def test_pg_b41_what_is_checked_against_the_rows(leaks: Leaks) -> None:
    """A key, a foreign key or NOT NULL that is made over a masked column succeeds or fails by what stands there."""
    leaks.must_refuse(
        "ALTER TABLE people ADD UNIQUE (hashed)",
        "ALTER TABLE people ADD CONSTRAINT x UNIQUE (name, hashed) DEFERRABLE",
        "ALTER TABLE people ADD CONSTRAINT x EXCLUDE USING btree (hashed WITH =)",
        "CREATE UNIQUE INDEX ON people (hashed)",
        "CREATE UNIQUE INDEX ON people (id, hashed)",
        "CREATE UNIQUE INDEX ON people_copy (ssn)",
        "CREATE UNIQUE INDEX ON parts (id, day, ssn)",
        "CREATE UNIQUE INDEX ON family_child (ssn)",
        "ALTER TABLE people ALTER COLUMN gone SET NOT NULL",
        "ALTER TABLE people ALTER gone SET NOT NULL, ADD COLUMN more int",
        "ALTER TABLE people ADD FOREIGN KEY (num) REFERENCES notes (id)",
        "ALTER TABLE people ADD CONSTRAINT x FOREIGN KEY (num) REFERENCES notes",
        "CLUSTER people USING people_ssn_key",
        "CLUSTER people",
        "CLUSTER VERBOSE people USING people_pkey",
        "CLUSTER",
        "UPDATE people SET doc['ssn']['x'] = '1' WHERE id = 1",
        "UPDATE people SET arr[1][1] = 'y' WHERE id = 1",
        "INSERT INTO people (id) VALUES (1) ON CONFLICT (id) DO UPDATE SET arr[1][1] = 'y'",
    )
    for text in (
        "ALTER TABLE people ADD CONSTRAINT x UNIQUE (name)",
        "ALTER TABLE people ALTER COLUMN name SET NOT NULL",
        "ALTER TABLE people ADD FOREIGN KEY (age) REFERENCES people (id) NOT VALID",
        "CREATE UNIQUE INDEX ON people (name) INCLUDE (hashed)",
        "CREATE INDEX ON people (hashed)",
        "CLUSTER scratch USING scratch_pkey",
        "UPDATE people SET arr = ARRAY['x'], comp.holder = 'y' WHERE id = 40",
        "UPDATE scratch SET whats[1] = 'x'",
    ):
        for words, _ in leaks.answers(text):
            assert "E" not in words, (text, words)


def test_pg_b28_an_insert_writes_its_first_columns(leaks: Leaks) -> None:
    """Without a list of columns an INSERT writes as many as it has values, and stars stand for several."""
    for text in ("INSERT INTO people VALUES (99, 'x', 1)", "INSERT INTO people SELECT n + 100, 'x' FROM numbers"):
        for words, _ in leaks.answers(text):
            assert "E" not in words, (text, words)
    leaks.must_refuse(
        "INSERT INTO people VALUES (99, 'x', 1, 'y')",
        "INSERT INTO people VALUES (99, 'x'), (100, 'x', 1, 'y')",
        "INSERT INTO people SELECT 99, 'x', 1, 'y'",
        "INSERT INTO people SELECT n, 'x', 1, 'y' FROM numbers UNION ALL SELECT n, 'x', 1, 'z' FROM numbers",
        "INSERT INTO people VALUES (99, (ROW('x', 1, 'y')::people_view).*)",
        "INSERT INTO likes TABLE likes",
        "INSERT INTO likes SELECT v.* FROM (VALUES (1, 'x')) v",
    )
