"""PG-B: a masked column wrapped in what a SELECT offers, asked for in every way of sending and in both formats."""

from __future__ import annotations

from tests.bypass.leak import Leaks


def test_pg_b01_alias(leaks: Leaks) -> None:
    """Another name for a column, for its table, or for both does not unmask it."""
    leaks.must_answer(
        "SELECT ssn AS name FROM people",
        "SELECT ssn name FROM people",
        'SELECT p."ssn" AS "ssn " FROM public.people AS p',
        "SELECT x.b FROM people AS x (a, b0, c, b)",
        "SELECT a.ssn, b.ssn AS id FROM people a JOIN people b ON a.id = b.id",
        "SELECT count(*), count(id) FROM people",
        "SELECT hashed, gone, raw, arr, doc, num FROM people",
        "SELECT p.*, 1 FROM people p",
        "SELECT j.ssn FROM (people a CROSS JOIN numbers n) AS j",
        'SELECT U&"s\\0073n" FROM people',
    )
    with leaks.connect() as connection:
        assert connection.execute("SELECT ssn AS a FROM people WHERE id = 1").fetchone() == ("***-**-8264",)


def test_pg_b02_expressions(leaks: Leaks) -> None:
    """No function, operator, cast or construct gives a part or a digest of what is masked."""
    leaks.must_not_show(
        "SELECT ssn || '' FROM people",
        "SELECT '' || ssn || '' FROM people",
        "SELECT concat(ssn), concat_ws(',', id, ssn), format('%s', ssn) FROM people",
        "SELECT substr(ssn, 1, 6), substring(ssn from 1 for 6), left(ssn, 6), right(left(ssn, 7), 4) FROM people",
        "SELECT md5(ssn), sha256(ssn::bytea), encode(sha256(ssn::bytea), 'hex') FROM people",
        "SELECT ssn::varchar, ssn::char(20), CAST(ssn AS name), ssn::bytea, ssn::varchar(6) FROM people",
        "SELECT reverse(ssn), upper(ssn), initcap(ssn), translate(ssn, '-', ''), replace(ssn, '-', '') FROM people",
        "SELECT overlay(ssn placing '' from 1 for 0), trim(ssn), lpad(ssn, 30), repeat(ssn, 2) FROM people",
        "SELECT split_part(ssn, '-', 1), string_to_array(ssn, '-'), regexp_replace(ssn, '$', '') FROM people",
        "SELECT regexp_match(ssn, '(.*)-'), ascii(ssn), length(ssn), position('531' in ssn) FROM people",
        "SELECT encode(ssn::bytea, 'hex'), encode(convert_to(ssn, 'UTF8'), 'base64') FROM people",
        "SELECT coalesce(ssn, ''), nullif(ssn, ''), greatest(ssn, ''), least(ssn, 'z') FROM people",
        "SELECT CASE WHEN true THEN ssn END FROM people",
        "SELECT CASE id WHEN 1 THEN ssn ELSE name END FROM people",
        "SELECT ARRAY[ssn], ARRAY[[ssn]], ROW(ssn), (ssn), (ARRAY[ssn])[1] FROM people",
        "SELECT quote_literal(ssn), quote_ident(ssn), quote_nullable(ssn), to_json(ssn), to_jsonb(ssn) FROM people",
        'SELECT ssn COLLATE "C" FROM people',
        "SELECT num + 0, -num, num * 1, num::text, num::numeric, num % 1000000, to_char(num, "
        "'9999999999999') FROM people",
        "SELECT num::float8, num::bit(64), int8send(num), num >> 1, num & -1, abs(num), to_hex(num) FROM people",
        "SELECT ssn::xml FROM people WHERE id = 1",
        "SELECT xmlelement(name a, ssn), xmlforest(ssn), xmlelement(name a, xmlattributes(ssn)) FROM people",
        "SELECT pg_catalog.textcat(ssn, ''), ssn OPERATOR(pg_catalog.||) '' FROM people",
        "SELECT (SELECT ssn), (SELECT max(p.ssn) FROM people p), ARRAY(SELECT ssn FROM people) FROM people LIMIT 1",
        "SELECT to_tsvector(ssn), to_tsquery('simple', ssn), ssn::tsvector FROM people",
        "SELECT hashtext(ssn), hashtextextended(ssn, 0) FROM people",
        "SELECT ssn LIKE '531%', ssn ~ '^531', ssn = 'x', ssn < 'x', ssn IS NULL FROM people",
        "SELECT starts_with(ssn, '531'), ssn ^@ '531', ssn BETWEEN 'a' AND 'b', ssn IN ('a') FROM people",
        "SELECT bit_length(ssn), octet_length(ssn), pg_column_size(ssn), char_length(num::text) FROM people",
        "SELECT raw || ''::bytea, encode(raw, 'hex'), encode(raw, 'escape'), get_byte(raw, 0), raw::text FROM people",
        "SELECT convert_from(raw, 'UTF8'), substring(raw from 1 for 6), md5(raw) FROM people",
        "SELECT unnest(arr) FROM people",
        "SELECT regexp_split_to_table(ssn, '') FROM people",
        "SELECT generate_series(1, num) FROM people LIMIT 1",
    )


def test_pg_b02_bare_through_safe_functions(leaks: Leaks) -> None:
    """What cannot fail and gives one value a row may be called, and its output is fixed, not a part of the value."""
    with leaks.connect() as connection:
        found = connection.execute("SELECT upper(ssn), left(ssn, 7) FROM people WHERE id = 1").fetchone()
    assert found == ("[redacted]", "[redacted]")


def test_pg_b03_whole_rows(leaks: Leaks) -> None:
    """A row as a value holds its masked columns, wherever it came from."""
    leaks.must_refuse(
        "SELECT row_to_json(p) FROM people p",
        "SELECT to_jsonb(p), to_json(people) FROM people p, people",
        "SELECT p FROM people p",
        "SELECT people FROM people",
        "SELECT (p) FROM people p",
        "SELECT ROW(p.*) FROM people p",
        "SELECT (p.*)::text FROM people p",
        "SELECT p::text FROM people p",
        "SELECT (p.*) IS NULL FROM people p",
        "SELECT json_agg(p), jsonb_agg(p.*), array_agg(p) FROM people p",
        "SELECT x FROM (SELECT * FROM people) x",
        "SELECT row_to_json(x) FROM (SELECT id, ssn FROM people) x",
        "SELECT row_to_json(v) FROM people_view v",
        "WITH w AS (SELECT ssn FROM people) SELECT w FROM w",
        "WITH w AS (SELECT ssn FROM people) SELECT to_jsonb(w) FROM w",
        "SELECT jsonb_each(to_jsonb(p)) FROM people p",
        "SELECT * FROM people p, jsonb_each_text(to_jsonb(p))",
        "SELECT * FROM people p, LATERAL row_to_json(p)",
        "SELECT concat(p), format('%s', p), quote_literal(p) FROM people p",
        "SELECT (SELECT p) FROM people p",
        "SELECT (SELECT x FROM (SELECT p.ssn) x) FROM people p",
        "SELECT j FROM (people CROSS JOIN numbers) AS j",
        "SELECT json_build_object('a', p) FROM people p",
        "SELECT array(SELECT p FROM people p)",
        "SELECT jsonb_populate_record(p, '{}') FROM people p",
        "SELECT json_object_agg(id, p) FROM people p",
        "SELECT record_out(p), record_send(p), hash_record(p) FROM people p",
        "SELECT coalesce(p, p) FROM people p",
        "SELECT CASE WHEN true THEN p END FROM people p",
        "SELECT xmlforest(p) FROM people p",
        "SELECT max(p::text) FROM people p",
        "SELECT lag(p) OVER () FROM people p",
        "SELECT p FROM ONLY people p",
        "SELECT p FROM people p TABLESAMPLE system (100)",
        "SELECT (x.p).ssn FROM (SELECT p FROM people p) x",
        "SELECT (p).ssn || '' FROM people p",
        "SELECT (x.r).* FROM (SELECT p AS r FROM people p) x",
        "SELECT ((ROW(p.ssn)::record)::text) FROM people p",
        "SELECT p IS DISTINCT FROM NULL FROM people p",
        "SELECT f FROM family f",
        "SELECT * FROM json_to_recordset((SELECT json_agg(p) FROM people p)) AS x (ssn text)",
    )


def test_pg_b03_field_of_a_row(leaks: Leaks) -> None:
    """A field taken out of a row is the column, masked or refused."""
    leaks.must_not_show("SELECT (p).ssn FROM people p", "SELECT (people).ssn FROM people", "SELECT (p).* FROM people p")


def test_pg_b04_bare_through_queries(leaks: Leaks) -> None:
    """A column keeps its mask through subqueries, WITH, views and UNION ALL, and stays usable there."""
    leaks.must_answer(
        "SELECT s FROM (SELECT ssn AS s FROM people) x",
        "SELECT * FROM (SELECT * FROM (SELECT * FROM people) a) b",
        "SELECT x.* FROM (SELECT id, ssn FROM people) AS x (a, b)",
        "WITH w AS (SELECT ssn FROM people) SELECT * FROM w",
        "WITH w (renamed) AS MATERIALIZED (SELECT ssn FROM people) SELECT renamed FROM w",
        "WITH a AS (SELECT ssn FROM people), b AS (SELECT ssn AS t FROM a) SELECT t FROM b",
        "SELECT * FROM people_view",
        "SELECT again FROM people_twice",
        "SELECT ssn FROM people UNION ALL SELECT name FROM people",
        "SELECT name FROM people UNION ALL SELECT ssn FROM people",
        "SELECT s FROM (SELECT name AS s FROM people UNION ALL SELECT ssn FROM people) x",
        "SELECT ssn FROM people WHERE id = 1 ORDER BY id",
        "SELECT p.ssn FROM people p JOIN notes n ON n.person = p.id",
        "SELECT l.ssn FROM numbers n, LATERAL (SELECT ssn FROM people p WHERE p.id = n.n) l",
        "SELECT p.ssn FROM numbers n LEFT JOIN people p ON p.id = n.n",
        "VALUES (1), (2)",
    )


def test_pg_b04_derived_through_queries(leaks: Leaks) -> None:
    """What a view, a subquery or a set operation derived from the column is no clearer for it."""
    leaks.must_not_show(
        "SELECT * FROM people_derived",
        "SELECT derived FROM people_derived",
        "SELECT * FROM people_counted",
        "SELECT s FROM (SELECT ssn || 'x' AS s FROM people) x",
        "SELECT substr(s, 1, 6) FROM (SELECT ssn AS s FROM people) x",
        "SELECT substr(again, 1, 6) FROM people_twice",
        "WITH w AS (SELECT substr(ssn, 1, 6) AS a FROM people) SELECT * FROM w",
        "SELECT ssn FROM people UNION SELECT name FROM people",
        "SELECT name FROM people UNION SELECT ssn FROM people",
        "SELECT ssn FROM people EXCEPT SELECT 'x'",
        "SELECT ssn FROM people INTERSECT SELECT ssn FROM people",
        "SELECT name FROM people UNION ALL (SELECT 'x' UNION SELECT ssn || '' FROM people)",
        "WITH RECURSIVE r (n, s) AS (SELECT 1, ssn FROM people UNION ALL SELECT n + 1, s FROM r WHERE n < 3) "
        "SELECT s FROM r",
        "WITH RECURSIVE r (s, t) AS (SELECT name, ssn FROM people UNION ALL SELECT t, t FROM r WHERE s <> t) "
        "SELECT s FROM r",
        "SELECT (SELECT ssn FROM people WHERE id = 1)",
        "SELECT (SELECT s FROM (SELECT ssn AS s FROM people LIMIT 1) x) || ''",
        "SELECT (ARRAY(SELECT ssn FROM people))[1]",
        "SELECT * FROM unnest(ARRAY(SELECT ssn FROM people))",
        "SELECT * FROM ROWS FROM (unnest((SELECT array_agg(ssn) FROM people)))",
        "VALUES ((SELECT ssn FROM people WHERE id = 1))",
        "SELECT * FROM (VALUES ((SELECT ssn FROM people WHERE id = 1))) v",
        "SELECT * FROM people FULL JOIN likes USING (ssn)",
        "SELECT ssn FROM people LEFT JOIN likes USING (ssn)",
        "SELECT * FROM people NATURAL JOIN likes",
        "SELECT n FROM numbers ORDER BY (SELECT ssn FROM people WHERE id = n)",
        "SELECT * FROM xmltable('/a' PASSING xmlelement(name a, (SELECT ssn FROM people LIMIT 1)) "
        "COLUMNS b text PATH '.')",
        "SELECT * FROM json_each_text((SELECT json_build_object('a', ssn) FROM people LIMIT 1))",
        "SELECT DISTINCT ssn FROM people",
        "SELECT DISTINCT ON (ssn) id FROM people",
        "SELECT set_config('my.var', ssn, false) FROM people WHERE id = 1",
        "SELECT set_config('application_name', (SELECT ssn FROM people LIMIT 1), false)",
    )


def test_pg_b17_table(leaks: Leaks) -> None:
    """TABLE t is SELECT * FROM t, wherever a query may stand."""
    leaks.must_answer(
        "TABLE people",
        "TABLE ONLY people",
        "TABLE people_view",
        "(TABLE people)",
        "TABLE people LIMIT 1",
        "WITH w AS (TABLE people) TABLE w",
        "SELECT ssn FROM (TABLE people) x",
        "TABLE likes UNION ALL SELECT id, ssn FROM people",
    )
    leaks.must_not_show("TABLE people ORDER BY ssn", "SELECT x FROM (TABLE people) x", "SELECT ARRAY(TABLE likes)")


def test_pg_b22_function_style_access(leaks: Leaks) -> None:
    """`ssn(p)` and `p.ssn` are the same to the server, and so is `(p).name` a call when there is no such column."""
    leaks.must_not_show(
        "SELECT ssn(p) FROM people p",
        "SELECT p.ssn, ssn(people) FROM people p, people",
        "SELECT ssn((SELECT p FROM people p LIMIT 1))",
        "SELECT ssn(x) FROM (SELECT * FROM people) x",
        "SELECT shown(v) FROM people_view v",
        "SELECT s(x) FROM (SELECT ssn AS s FROM people) x",
        "SELECT public.ssn(p) FROM people p",
        "SELECT (p).row_to_json FROM people p",
        "SELECT p.row_to_json FROM people p",
        "SELECT p.to_jsonb FROM people p",
        "SELECT p.text FROM people p",
        "SELECT text(p) FROM people p",
        "SELECT p.concat FROM people p",
        "SELECT (ssn).upper FROM people",
        "SELECT p.ssn.reverse FROM people p",
        "SELECT (p.ssn).md5 FROM people p",
        "SELECT (comp).ssn, ssn(comp), (comp).* FROM people",
        "SELECT (comps[1]).ssn, comps[1] FROM people",
    )


def test_pg_b25_partitions_children_and_copies(leaks: Leaks) -> None:
    """Parents, partitions, children and materialised views hold the same column."""
    leaks.must_answer(
        "SELECT ssn FROM parts",
        "SELECT ssn FROM parts_1",
        "SELECT * FROM parts_2",
        "SELECT * FROM parts_2_1",
        "SELECT ssn FROM family",
        "SELECT ssn FROM ONLY family",
        "SELECT * FROM family_child",
        "TABLE family_grandchild",
        "SELECT * FROM people_copy",
        "SELECT tableoid, ssn FROM parts",
        "SELECT ssn FROM parts UNION ALL SELECT ssn FROM family_child UNION ALL SELECT ssn FROM people_copy",
    )
    leaks.must_not_show(
        "SELECT * FROM people_copy_derived",
        "SELECT back FROM people_copy_derived",
        "SELECT reverse(ssn) FROM people_copy",
        "SELECT ssn || '' FROM parts_2_1",
        "SELECT p FROM parts_1 p",
        "SELECT substr(ssn, 1, 6) FROM family_grandchild",
        "REFRESH MATERIALIZED VIEW people_copy",
        "CREATE TABLE my_part PARTITION OF parts FOR VALUES FROM (20) TO (30)",
        "CREATE TABLE my_child () INHERITS (people)",
        "CREATE TABLE mine (LIKE people INCLUDING ALL)",
        "ALTER TABLE parts DETACH PARTITION parts_1",
        "ALTER TABLE family_child NO INHERIT family",
    )
