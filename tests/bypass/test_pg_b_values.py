"""PG-B: values of every type, statistics about them, functions that read them; and what detectors alone can do."""

from __future__ import annotations

from tests.bypass.attack import query
from tests.bypass.leak import Leaks, leaked


def test_pg_b13_statistics(leaks: Leaks) -> None:
    """The planner's statistics hold the commonest values of every column, in clear."""
    leaks.must_refuse(
        "SELECT most_common_vals, histogram_bounds FROM pg_stats WHERE tablename = 'people'",
        "SELECT * FROM pg_stats",
        "SELECT * FROM pg_statistic",
        "SELECT stavalues1::text FROM pg_catalog.pg_statistic",
        "SELECT * FROM pg_stats_ext",
        "SELECT * FROM pg_stats_ext_exprs",
        "SELECT * FROM pg_statistic_ext_data",
        "SELECT s FROM pg_stats s",
        "TABLE pg_stats",
        "SELECT (SELECT most_common_vals::text FROM pg_stats LIMIT 1)",
        "COPY pg_statistic TO STDOUT",
        "COPY (SELECT * FROM pg_stats) TO STDOUT",
        "CREATE TABLE stolen AS SELECT * FROM pg_stats",
        "INSERT INTO scratch (what) SELECT histogram_bounds::text FROM pg_stats",
        "SELECT query FROM pg_stat_activity",
        "SELECT pg_stat_get_activity(NULL)",
        "SELECT pg_mcv_list_items(NULL)",
    )


def test_pg_b13_values_of_added_columns(leaks: Leaks) -> None:
    """The system catalog keeps the value that older rows have in an added column: it is shown redacted, as pg_dump
    reads it, and used for nothing else; what tools read of columns and defaults is shown as it is."""
    with leaks.database.connect() as direct:
        assert "531-77-8264" in str(direct.execute("SELECT was FROM missing").fetchall())
    leaks.must_answer(
        "SELECT attname, attmissingval FROM pg_attribute WHERE atthasmissing",
        "SELECT * FROM pg_attribute WHERE attrelid = 'added'::regclass",
        "SELECT CASE WHEN a.atthasmissing AND NOT a.attisdropped THEN a.attmissingval ELSE null END AS attmissingval "
        "FROM pg_catalog.pg_attribute a WHERE a.attrelid = 'added'::regclass",
        "SELECT attmissingval::text FROM pg_attribute WHERE atthasmissing",
        "SELECT was FROM missing",
        "SELECT attname, pg_get_expr(adbin, adrelid) FROM pg_attribute JOIN pg_attrdef ON adrelid = attrelid "
        "AND adnum = attnum",
        "SELECT column_name, column_default FROM information_schema.columns WHERE table_name = 'scratch'",
    )
    leaks.must_not_show(
        "COPY pg_catalog.pg_attribute (attrelid, attmissingval) TO STDOUT",
        "COPY pg_catalog.pg_attribute (attrelid, attmissingval) TO STDOUT (FORMAT binary)",
        "COPY (SELECT attmissingval FROM pg_attribute) TO STDOUT",
        "SELECT a FROM pg_attribute a WHERE atthasmissing",
        "SELECT attmissingval FROM pg_attribute UNION ALL SELECT attmissingval FROM pg_attribute",
        "WITH w AS (SELECT attmissingval AS v FROM pg_attribute WHERE atthasmissing) SELECT v FROM w",
        "SELECT (SELECT attmissingval FROM pg_attribute WHERE atthasmissing LIMIT 1)",
        "SELECT v.attmissingval FROM (SELECT * FROM pg_attribute) v WHERE v.atthasmissing",
    )
    leaks.must_refuse(
        "SELECT array_to_string(attmissingval, ',') FROM pg_attribute",
        "SELECT attmissingval::text::text[] FROM pg_attribute",
        "SELECT (attmissingval::text::text[])[1] FROM pg_attribute",
        "SELECT row_to_json(a) FROM pg_attribute a",
        "SELECT attname FROM pg_attribute WHERE attmissingval::text LIKE '{x%'",
        "SELECT attname FROM pg_attribute WHERE CASE attmissingval WHEN '{x}' THEN true END",
        "SELECT attname FROM pg_attribute ORDER BY attmissingval",
        "SELECT DISTINCT attmissingval FROM pg_attribute",
        "SELECT max(attmissingval) FROM pg_attribute",
        "SELECT 1 FROM missing WHERE was::text LIKE '{x%'",
        "INSERT INTO scratch (what) SELECT attmissingval::text FROM pg_attribute",
        "CREATE TABLE stolen AS SELECT attmissingval::text FROM pg_attribute",
    )


def test_pg_b16_functions_that_read(leaks: Leaks) -> None:
    """What a function answers that nobody vouches for is hidden, since it may be the column."""
    leaks.must_not_show(
        "SELECT reader()",
        "SELECT * FROM reader()",
        "SELECT reader() || '', upper(reader()), reader() AS id",
        "SELECT * FROM readers()",
        "SELECT ssn, name FROM readers()",
        "SELECT readers()",
        "SELECT (readers()).ssn, (readers()).*",
        "SELECT r FROM readers() r",
        "SELECT row_to_json(r) FROM readers() r",
        "SELECT * FROM table_reader()",
        "SELECT s FROM table_reader() AS t (s)",
        "SELECT * FROM ROWS FROM (reader(), table_reader())",
        "SELECT max(s) FROM table_reader() t",
        "SELECT array_agg(reader())",
        "SELECT id, reader() FROM numbers, people",
        "SELECT * FROM numbers, LATERAL reader() r",
        "SELECT name FROM people WHERE id = 1 UNION ALL SELECT reader()",
        "WITH w AS (SELECT reader() AS r) SELECT r FROM w",
        "SELECT (SELECT reader())",
        "VALUES (reader())",
        "COPY (SELECT reader()) TO STDOUT",
        "COPY (SELECT * FROM table_reader()) TO STDOUT (FORMAT binary)",
        "SELECT CASE WHEN true THEN reader() END",
        "SELECT query_to_xml('SELECT ssn FROM people', true, true, '')",
        "SELECT table_to_xml('people', true, true, ''), schema_to_xml('public', true, true, '')",
        "SELECT database_to_xml(true, true, '')",
        "SELECT r.s FROM people p, coalesce(ROW(p.id, p.ssn)) AS r (i int, s text)",
        "SELECT s FROM people p, coalesce(ROW(p.ssn), NULL) AS r (s text)",
        "SELECT ts_stat('SELECT to_tsvector(ssn) FROM people')",
        "SELECT * FROM crosstab('SELECT id, name, ssn FROM people') AS x (a int, b text)",
        "SELECT pg_read_file('/etc/passwd')",
        "SELECT * FROM heap_page_items(get_raw_page('people', 0))",
        "SELECT get_raw_page('people', 0)",
        "SELECT currtid2('people', '(0,1)')",
        "CALL nothing()",
    )
    with leaks.connect() as connection:
        assert connection.execute("SELECT reader()").fetchone() == ("[redacted]",)


def test_pg_b18_documents(leaks: Leaks) -> None:
    """A masked document shows none of its parts, by any operator or function."""
    leaks.must_answer("SELECT doc, doc_j FROM people", "SELECT doc AS d FROM people UNION ALL SELECT doc FROM people")
    leaks.must_not_show(
        "SELECT doc -> 'ssn', doc ->> 'ssn', doc #> '{deep,0}', doc #>> '{deep,0}' FROM people",
        "SELECT doc['ssn'], doc['deep'][0] FROM people",
        "SELECT jsonb_extract_path(doc, 'ssn'), jsonb_extract_path_text(doc, 'ssn') FROM people",
        "SELECT jsonb_path_query(doc, '$.ssn'), jsonb_path_query_array(doc, '$.*') FROM people",
        "SELECT jsonb_pretty(doc), doc::text, doc::json FROM people",
        "SELECT doc || '{}', doc - 'x', '{}' || doc FROM people",
        "SELECT jsonb_set(doc, '{x}', '1'), jsonb_insert(doc, '{x}', '1'), jsonb_strip_nulls(doc) FROM people",
        "SELECT * FROM people p, jsonb_each_text(p.doc)",
        "SELECT * FROM people p, jsonb_to_record(p.doc) AS r (ssn text)",
        "SELECT jsonb_object_keys(doc), jsonb_array_elements_text(doc -> 'deep') FROM people",
        "SELECT jsonb_build_object('a', doc), jsonb_build_array(doc), to_jsonb(doc) FROM people",
        "SELECT doc_j -> 'ssn', doc_j ->> 'ssn', json_typeof(doc_j), doc_j::jsonb FROM people",
        "SELECT jsonb_agg(doc), json_object_agg(id, doc) FROM people",
        "SELECT (doc ->> 'ssn')::varchar FROM people",
    )


def test_pg_b19_types(leaks: Leaks) -> None:
    """Domains, arrays, composites and byte strings are masked whole, and element by element refused or hidden."""
    leaks.must_answer("SELECT dom, arr, comp, comps, raw FROM people")
    leaks.must_not_show(
        "SELECT arr[1], arr[1:1], arr[:], array_to_string(arr, ','), arr::text FROM people",
        "SELECT (comp).ssn, (comp).*, comp::text, (comps[1]).ssn, comps[1] FROM people",
        "SELECT unnest(arr), unnest(comps) FROM people",
        "SELECT * FROM people p, unnest(p.comps)",
        "SELECT array_append(arr, 'x'), arr || ARRAY['x'], array_cat(arr, arr), array_remove(arr, 'x') FROM people",
        "SELECT dom::text, dom || '', upper(dom), dom::ssn_text, VALUE FROM (SELECT dom AS value "
        "FROM people) x, people",
        "SELECT encode(raw, 'hex'), raw::text, substring(raw, 1, 6), get_byte(raw, 0), raw || ''::bytea FROM people",
        "SELECT to_json(arr), array_to_json(arr), to_jsonb(comp), row_to_json(comp) FROM people",
        "SELECT ROW(arr, comp), ARRAY[arr], ARRAY[comp] FROM people",
    )


def test_pg_b19_detectors(detecting: Leaks) -> None:
    """Detectors find a value in text, documents, arrays, composites, domains, XML and byte strings, in both formats."""
    columns = ("body", "doc", "doc_j", "arr", "arrs", "comp", "raw", "dom", "vc", "ch", "xm", "hs")
    texts = [f"SELECT id, {column} FROM plain" for column in columns]
    texts += [f"COPY plain ({column}) TO STDOUT{form}" for column in columns for form in ("", " (FORMAT csv)")]
    texts += [
        "SELECT * FROM plain",
        "SELECT p FROM plain p",
        "SELECT row_to_json(x) FROM (SELECT body, arr, comp, hs FROM plain) x",
        "SELECT to_jsonb(p) - 'raw' FROM plain p",
        "SELECT body || ' and ' || vc FROM plain",
        "SELECT array_agg(body), string_agg(vc, ','), json_agg(doc) FROM plain",
        "SELECT max(vc), min(dom) FROM plain",
        "SELECT * FROM plain p, unnest(p.arr)",
        "SELECT * FROM plain p, jsonb_each_text(p.hs)",
        "SELECT ssn FROM people",
        "SELECT reader()",
        "SELECT shouting()",
        "SELECT failing()",
        "SELECT shouts(vc), vc::int FROM plain",
        "SELECT vc::int FROM plain",
        "SELECT doc::text::int FROM plain",
        "UPDATE plain SET id = 2 RETURNING *",
        "COPY plain TO STDOUT (FORMAT binary)",
        "COPY (SELECT body, arr FROM plain) TO STDOUT",
        "EXPLAIN ANALYZE SELECT * FROM plain",
        "WITH w AS (SELECT * FROM plain) TABLE w",
        "SELECT most_common_vals FROM pg_stats WHERE tablename = 'parts'",
        "DO $$ BEGIN RAISE NOTICE '%', (SELECT vc FROM plain); END $$",
    ]
    detecting.must_not_show(*texts, who=("bot",))
    with detecting.connect() as connection:
        assert connection.execute("SELECT body FROM plain").fetchone() == ("my ssn is [redacted] ok",)


def test_pg_b19_detectors_and_cursors(detecting: Leaks) -> None:
    """What a cursor answers passes the detectors too."""
    with detecting.raw() as raw:
        read = (b"DECLARE c CURSOR FOR SELECT * FROM plain", b"FETCH ALL c", b"SELECT body FROM plain; TABLE plain")
        for text in (b"BEGIN", *read, b"ROLLBACK", b"PREPARE q AS SELECT body FROM plain", b"EXECUTE q"):
            raw.ask(query(text))
        assert not leaked(raw.seen)
    detecting.nothing_kept()
