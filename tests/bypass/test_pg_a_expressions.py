"""PG-A: forbidden reads and calls in every place where an expression may stand, and names that mean something else."""

from __future__ import annotations

import pytest

from tests.bypass.attack import World, bind, describe, execute, parse, query

STOLEN = "(SELECT key FROM secret_keys LIMIT 1)"
NUMBER = "(SELECT n FROM secret_keys LIMIT 1)"

PLACES = [
    "SELECT {0}",
    "SELECT 1 WHERE {0} IS NOT NULL",
    "SELECT name FROM open_items ORDER BY {0}",
    "SELECT count(*) FROM open_items GROUP BY {0}",
    "SELECT count(*) FROM open_items GROUP BY ROLLUP (({0}), id)",
    "SELECT count(*) FROM open_items GROUP BY GROUPING SETS ((), ({0}))",
    "SELECT count(*) FROM open_items HAVING {0} IS NULL",
    "SELECT count(*) FILTER (WHERE {0} IS NULL) FROM open_items",
    "SELECT string_agg(name, {0}) FROM open_items",
    "SELECT string_agg(name, ',' ORDER BY {0}) FROM open_items",
    "SELECT row_number() OVER (PARTITION BY {0}) FROM open_items",
    "SELECT row_number() OVER w FROM open_items WINDOW w AS (ORDER BY {0})",
    "SELECT DISTINCT ON ({0}) id FROM open_items",
    "VALUES (1, {0})",
    "SELECT * FROM (VALUES ({0})) v",
    "SELECT ARRAY[{0}]",
    "SELECT ARRAY(SELECT key FROM secret_keys)",
    "SELECT ROW({0}, 1)",
    "SELECT (ROW({0}, 1)).f1",
    "SELECT CASE WHEN {0} = 'x' THEN 1 END",
    "SELECT CASE {0} WHEN 'x' THEN 1 ELSE 2 END",
    "SELECT COALESCE({0}, 'x'), NULLIF({0}, 'x'), GREATEST({0}, 'x')",
    'SELECT {0} COLLATE "C"',
    "SELECT {0}::text",
    "SELECT CAST({0} AS bytea)",
    "SELECT {0} IS DISTINCT FROM 'x'",
    "SELECT 'x' LIKE {0} ESCAPE '!'",
    "SELECT 'x' SIMILAR TO {0}",
    "SELECT 'x' BETWEEN {0} AND {0}",
    "SELECT 'x' IN ({0})",
    "SELECT 'x' = ANY (SELECT key FROM secret_keys)",
    "SELECT ('x', 1) = ALL (SELECT key, id FROM secret_keys)",
    "SELECT ('x', 1) < (SELECT key, id FROM secret_keys LIMIT 1)",
    "SELECT EXISTS (SELECT FROM secret_keys)",
    "SELECT NOT EXISTS (TABLE secret_keys)",
    "SELECT xmlelement(name a, {0})",
    "SELECT xmlelement(name a, xmlattributes({0} AS b))",
    "SELECT xmlforest({0} AS a)",
    "SELECT xmlconcat({0}::xml)",
    "SELECT xmlpi(name a, {0})",
    "SELECT xmlserialize(content {0}::xml AS text)",
    "SELECT xmlparse(content {0})",
    "SELECT {0}::xml IS DOCUMENT",
    "SELECT concat_ws({0}, 'a', 'b')",
    "SELECT overlay('abc' PLACING {0} FROM 1)",
    "SELECT position({0} IN 'abc')",
    "SELECT extract(day FROM {0}::timestamp)",
    "SELECT 'now'::timestamp AT TIME ZONE {0}",
    "SELECT trim(BOTH {0} FROM 'x')",
    "SELECT VARIADIC_TEST.* FROM (SELECT concat(VARIADIC ARRAY[{0}])) VARIADIC_TEST",
    "SELECT * FROM unnest(ARRAY[{0}]) WITH ORDINALITY",
    "SELECT * FROM ROWS FROM (unnest(ARRAY[{0}]), generate_series(1, 2))",
    "SELECT * FROM open_items JOIN open_parent p ON {0} IS NOT NULL",
    "SELECT * FROM open_items, LATERAL (SELECT {0}) s",
    "SELECT * FROM json_to_recordset('[]') AS x(a text) WHERE {0} = a",
    "INSERT INTO open_queue (what) VALUES ({0})",
    "INSERT INTO open_queue (what) SELECT {0}",
    "INSERT INTO open_queue (what) VALUES ('x') RETURNING {0}",
    "INSERT INTO open_items (id) VALUES (1) ON CONFLICT (id) DO UPDATE SET name = {0}",
    "INSERT INTO open_items (id) VALUES (1) ON CONFLICT (id) DO UPDATE SET name = 'x' WHERE {0} IS NULL",
    "UPDATE open_items SET name = {0} WHERE id = 1",
    "UPDATE open_items SET (name, n) = (SELECT key, n FROM secret_keys LIMIT 1) WHERE id = 1",
    "UPDATE open_items SET (name, n) = ({0}, 1) WHERE id = 1",
    "UPDATE open_items SET tags[1] = {0} WHERE id = 1",
    "UPDATE open_items SET name = 'x' WHERE id = 1 RETURNING {0}",
    "DELETE FROM open_items WHERE id = 1 AND {0} IS NOT NULL",
    "DELETE FROM open_items WHERE id = 1 RETURNING {0}",
    "EXECUTE nothing({0})",
    "CREATE TABLE open_new (a text DEFAULT {0})",
    "CREATE VIEW open_new AS SELECT {0}",
    "CREATE INDEX open_new ON open_items ((name || {0}))",
    "CALL open_procedure({0})",
    "SELECT set_config('my.x', {0}, false)",
    "DECLARE c CURSOR FOR SELECT {0}",
    "COPY (SELECT {0}) TO STDOUT",
    "SELECT name FROM open_items UNION SELECT {0}",
]

NUMBERS = [
    "SELECT name FROM open_items LIMIT {0}",
    "SELECT name FROM open_items OFFSET {0}",
    "SELECT name FROM open_items FETCH FIRST ({0}) ROWS ONLY",
    "SELECT name FROM open_items ORDER BY id FETCH FIRST {0} ROWS WITH TIES",
    "SELECT tags[{0}] FROM open_items",
    "SELECT tags[{0}:2] FROM open_items",
    "SELECT (ARRAY[1,2])[{0}]",
    "SELECT doc -> {0} FROM open_items",
    "SELECT sum(n) OVER (ORDER BY id ROWS BETWEEN {0} PRECEDING AND CURRENT ROW) FROM open_items",
    "SELECT * FROM open_items TABLESAMPLE bernoulli ({0})",
    "SELECT * FROM open_items TABLESAMPLE system (100) REPEATABLE ({0})",
    "SELECT * FROM generate_series(1, {0})",
    "SELECT percentile_disc({0}) WITHIN GROUP (ORDER BY n) FROM open_items",
    "SELECT substring('abc' FROM {0} FOR 1)",
    "SELECT make_interval(days => {0})",
    "SELECT repeat('x', {0})",
    "INSERT INTO open_items (id) VALUES ({0})",
    "UPDATE open_items SET n = n + {0} WHERE id = 1",
    "UPDATE open_items SET tags[{0}] = 'x' WHERE id = 1",
]


@pytest.mark.parametrize("part", range(4))
def test_pg_a24_sub_selects_everywhere(world: World, part: int) -> None:
    """A sub-select on a protected table is seen wherever an expression may stand."""
    texts = [place.format(STOLEN) for place in PLACES] + [place.format(NUMBER) for place in NUMBERS]
    world.must_refuse(*texts[part::4])


CALLED = [
    'SELECT {0} COLLATE "C"',
    "SELECT (ARRAY['a'])[length({0})]",
    "SELECT row_number() OVER (ORDER BY {0})",
    "SELECT first_value({0}) OVER (ROWS length({0}) PRECEDING)",
    "SELECT xmlelement(name a, xmlattributes({0} AS b), 'x')",
    "SELECT xmlforest({0} AS a)",
    "SELECT xmlroot(xmlparse(content {0}), version {0})",
    "SELECT count(*) FROM open_items GROUP BY GROUPING SETS (({0}), ())",
    "SELECT count(*) FROM open_items GROUP BY CUBE (({0}))",
    "SELECT * FROM ROWS FROM (open_rows(), generate_series(1, 2)) AS x",
    "SELECT * FROM ROWS FROM (open_reader() AS (a text))",
    "SELECT * FROM open_rows() r",
    "SELECT * FROM open_items, open_rows()",
    "SELECT (open_rows()).key",
    "SELECT (open_rows()).*",
    "SELECT key(r) FROM open_rows() r",
    "SELECT open_agg(name) FROM open_items",
    "SELECT open_agg(name) OVER () FROM open_items",
    "SELECT open_agg(DISTINCT name) FILTER (WHERE true) FROM open_items",
    "SELECT 1 LIMIT length({0})",
    "SELECT * FROM open_items TABLESAMPLE system (length({0}))",
    "SELECT CASE WHEN true THEN {0} END",
    "SELECT public.open_reader()",
    'SELECT "open_reader"()',
    "SELECT COALESCE(NULL, {0})",
    "SELECT 'a' === 'b'",
    "SELECT 'a' OPERATOR(public.===) 'b'",
    "SELECT 'a' === ANY (ARRAY['b'])",
    "SELECT name FROM open_items WHERE name === 'x'",
    "SELECT name FROM open_items ORDER BY name USING OPERATOR(public.===)",
    "INSERT INTO open_queue (what) VALUES ({0})",
    "UPDATE open_items SET name = {0} WHERE id = 1",
    "DELETE FROM open_items WHERE id = open_wiper()",
    "VALUES ({0})",
    "SELECT open_wiper(VARIADIC ARRAY[1])",
    "SELECT open_wiper(1), 1",
    "CALL open_procedure()",
    "EXPLAIN ANALYZE SELECT open_wiper()",
    "DO 'BEGIN PERFORM open_wiper(); END'",
    "CREATE INDEX open_new ON open_items (open_reader())",
    "ALTER TABLE open_items ADD COLUMN x text DEFAULT {0}",
    "SELECT * FROM xmltable('/a' PASSING '<a/>'::xml COLUMNS b text DEFAULT {0})",
    "DECLARE c CURSOR FOR SELECT {0}",
    "SELECT array(SELECT {0})",
    "SELECT (SELECT {0})",
]


def test_pg_a25_hidden_calls(world: World) -> None:
    """A call of a user's function is an effect of its own, wherever it stands; no rule allows it."""
    world.must_refuse(*[place.format("open_reader()") for place in CALLED])


def test_pg_a26_functions_that_shadow(world: World) -> None:
    """`public.upper(varchar)` captures calls that look like the built-in's: where it may be meant, it is not let by."""
    world.must_refuse(
        "SELECT upper('x'::varchar)",
        "SELECT upper('x')",
        "SELECT public.upper('x')",
        "SELECT upper(coalesce(name::varchar, $$x$$)) FROM open_items",
        "SELECT upper(name::varchar(3)) FROM open_items",
        "SELECT vault.reverse('x')",
    )
    # of a column that is text only the built-in can be meant: its argument types are exactly these
    world.must_allow("SELECT pg_catalog.upper('x')", "SELECT lower('X')", "SELECT upper(name) FROM open_items")
    with world.raw() as raw, world.unchanged():
        assert raw.ask(query(b"SET search_path = vault, pg_catalog")) == "C ZI"
        assert raw.ask(query(b"SELECT reverse('x')")) == "E42501 ZI"
        assert b"TOP-SECRET" not in raw.seen


SEARCH_PATHS = [
    "SET search_path = vault",
    "SET search_path TO 'vault', public",
    "SET SESSION search_path = vault, public",
    "SELECT set_config('search_path', 'vault', false)",
    "SELECT set_config('search_path', 'va' || 'ult', false)",
    "SELECT set_config('search' || '_path', 'vault', false)",
    "SELECT set_config(name, 'vault', false) FROM pg_settings WHERE name = 'search_path'",
    "SELECT set_config(lower('SEARCH_PATH'), 'vault', false)",
    "WITH x AS (SELECT set_config('search_path', 'vault', false)) SELECT * FROM x",
    "UPDATE pg_settings SET setting = 'vault' WHERE name = 'search_path'",
    "UPDATE pg_catalog.pg_settings SET setting = 'vault' WHERE name LIKE 'search%'",
    "SELECT open_set_path()",
    "DO $$BEGIN PERFORM set_config('search_path', 'vault', false); END$$",
    "BEGIN; SET LOCAL search_path = vault",
    "EXPLAIN ANALYZE SELECT set_config('search_path', 'vault', false)",
    "COPY (SELECT set_config('search_path', 'vault', false)) TO STDOUT",
    "PREPARE path AS SELECT set_config('search_path', 'vault', false); EXECUTE path",
    "DECLARE c CURSOR WITH HOLD FOR SELECT set_config('search_path', 'vault', false)",
    "ALTER ROLE CURRENT_USER SET search_path = vault",
    "CREATE SCHEMA open_evil CREATE VIEW open_items AS SELECT * FROM vault.open_items",
]


@pytest.mark.parametrize("how", SEARCH_PATHS)
def test_pg_a27_search_path(world: World, how: str) -> None:
    """However the search path is moved, `open_items` is the table that the server takes, or nothing is sent."""
    with world.raw() as raw, world.unchanged():
        for text in (
            how.encode(),
            b"SELECT name FROM open_items",
            b"SELECT * FROM items",
            b"DELETE FROM open_items WHERE id = 1 AND name = 'x'",
        ):
            raw.send(query(text))
            raw.until(b"Z")
        raw.send(query(b"ROLLBACK"))
        raw.until(b"Z")
        assert b"TOP-SECRET" not in raw.seen
    for pipelined in (True, False):
        with world.raw() as raw, world.unchanged():
            way = query if pipelined else _whole
            raw.send(way(how.encode()) + way(b"SELECT name FROM open_items") + way(b"SELECT name FROM items"))
            raw.until(b"Z", 3)
            assert b"TOP-SECRET" not in raw.seen
    with world.raw() as raw, world.unchanged():
        raw.send(query(how.encode() + b"; SELECT name FROM open_items; SELECT name FROM items"))
        raw.until(b"Z")
        assert b"TOP-SECRET" not in raw.seen


def _whole(text: bytes) -> bytes:
    return parse(b"", text) + bind() + describe(b"P") + execute() + b"S\0\0\0\4"


def test_pg_a27_search_path_in_a_block(world: World) -> None:
    """A path set in a block, taken back by ROLLBACK or ROLLBACK TO, is followed in both directions."""
    with world.raw() as raw, world.unchanged():
        for text, wanted in (
            (b"BEGIN", "C ZT"),
            (b"SELECT name FROM open_items WHERE id = 1", "T D C ZT"),
            (b"SAVEPOINT a", "C ZT"),
            (b"SET LOCAL search_path = vault", "C ZT"),
        ):
            assert raw.ask(query(text)) == wanted, text
        assert raw.ask(query(b"SELECT name FROM open_items WHERE id = 1")).startswith("E42501")
        assert raw.ask(query(b"ROLLBACK TO a")) == "C ZT"
        assert "E" in raw.ask(query(b"SELECT name FROM items"))
        assert raw.ask(query(b"ROLLBACK")) == "C ZI"
        assert raw.ask(query(b"SELECT name FROM open_items WHERE id = 1")) == "T D C ZI"
        assert raw.ask(query(b"SET search_path = vault")) == "C ZI"
        assert raw.ask(query(b"SELECT name FROM open_items")).startswith("E42501")
        assert raw.ask(query(b"BEGIN; SET search_path = public; COMMIT")) in ("C C C ZI",)
        assert raw.ask(query(b"SELECT name FROM open_items WHERE id = 1")) == "T D C ZI"
        assert b"TOP-SECRET" not in raw.seen


def test_pg_a28_words_of_other_versions(world: World) -> None:
    """A word that the grammar knows and the server does not (or the other way) concedes; it is never guessed."""
    world.must_refuse(
        "SELECT system_user FROM open_items",
        "SELECT json_value FROM secret_keys",
        "SELECT JSON_VALUE(doc, '$.k') FROM secret_keys",
        "SELECT JSON_EXISTS(doc, '$.k') FROM open_items, secret_keys",
        "SELECT JSON_QUERY((SELECT key FROM secret_keys)::jsonb, '$')",
        "SELECT * FROM JSON_TABLE((SELECT key FROM secret_keys)::jsonb, '$' COLUMNS (a text PATH '$'))",
        "SELECT JSON_OBJECT('a': (SELECT key FROM secret_keys LIMIT 1))",
        "SELECT JSON_ARRAY(SELECT key FROM secret_keys)",
        "SELECT JSON_ARRAYAGG(key) FROM secret_keys",
        "SELECT JSON_SERIALIZE((SELECT key FROM secret_keys)::json)",
        "MERGE INTO open_items o USING open_parent p ON o.id = p.id WHEN NOT MATCHED BY SOURCE THEN DELETE",
        "MERGE INTO open_items o USING open_parent p ON o.id = p.id WHEN MATCHED THEN DELETE RETURNING merge_action()",
        "SELECT any_value(key) FROM secret_keys",
        "SELECT graph_table FROM secret_keys",
    )
