"""PG-B: what a masked column holds, asked for one bit at a time. The agent is refused; who may infer sees no value."""

from __future__ import annotations

from tests.bypass.attack import query
from tests.bypass.leak import SSN, Leaks


def test_pg_b11_probing(leaks: Leaks) -> None:
    """Every clause that looks at the column tells something of it."""
    leaks.must_refuse(
        f"SELECT id FROM people WHERE ssn = '{SSN}x'",
        "SELECT 1 FROM people WHERE ssn LIKE '5%'",
        "SELECT count(*) FROM people WHERE ssn > '5'",
        "SELECT id FROM people WHERE ssn IS NOT NULL",
        "SELECT id FROM people WHERE NOT (ssn IN ('a', 'b'))",
        "SELECT id FROM people WHERE ssn BETWEEN 'a' AND 'b'",
        "SELECT id FROM people WHERE ssn SIMILAR TO '5%'",
        "SELECT id FROM people WHERE ssn ~ '^5'",
        "SELECT id FROM people WHERE ssn = ANY (ARRAY['a'])",
        "SELECT id FROM people WHERE (id, ssn) = (1, 'x')",
        "SELECT id FROM people WHERE num & 1 = 1",
        "SELECT id FROM people WHERE doc ->> 'ssn' LIKE '5%'",
        "SELECT id FROM people WHERE doc @? '$.ssn ? (@ starts with \"5\")'",
        "SELECT id FROM people WHERE arr @> ARRAY['x']",
        "SELECT id FROM people WHERE arr[1] = 'x'",
        "SELECT id FROM people WHERE (comp).ssn = 'x'",
        "SELECT id FROM people WHERE get_byte(raw, 0) = 53",
        "SELECT id FROM people WHERE CASE WHEN ssn < '5' THEN 1 / 0 = 1 ELSE true END",
        "SELECT id FROM people ORDER BY ssn",
        "SELECT id FROM people ORDER BY length(ssn) DESC",
        "SELECT id FROM people ORDER BY ssn = 'x', id",
        "SELECT id, ssn FROM people ORDER BY 2",
        "SELECT id, ssn AS s FROM people ORDER BY s",
        "SELECT id FROM people ORDER BY ssn USING <",
        "SELECT count(*) FROM people GROUP BY ssn",
        "SELECT count(*), left(ssn, 3) FROM people GROUP BY 2",
        "SELECT count(*) FROM people GROUP BY GROUPING SETS ((ssn), ())",
        "SELECT count(*) FROM people GROUP BY ROLLUP (ssn)",
        "SELECT 1 FROM people GROUP BY id HAVING max(ssn) > '5'",
        "SELECT 1 FROM people HAVING count(ssn) > 3",
        "SELECT CASE WHEN ssn < '5' THEN 1 ELSE 2 END FROM people",
        "SELECT CASE ssn WHEN 'x' THEN 1 END FROM people",
        "SELECT ssn = 'x' FROM people",
        "SELECT ssn IS NULL FROM people",
        "SELECT ssn IS DOCUMENT FROM people",
        "SELECT ssn::boolean FROM people",
        "SELECT (ssn > 'a')::int FROM people",
        "SELECT coalesce(ssn, 'none') = 'none' FROM people",
        "SELECT id FROM people p JOIN numbers n ON p.ssn > 'x'",
        "SELECT id FROM people p LEFT JOIN numbers n ON left(p.ssn, 1)::int = n.n",
        "SELECT id FROM people_view WHERE shown = 'x'",
        "SELECT again FROM people_twice WHERE again LIKE '5%'",
        "SELECT * FROM (SELECT id, ssn AS s FROM people) x WHERE s = 'y'",
        "WITH w (s) AS (SELECT ssn FROM people) SELECT 1 FROM w WHERE s = 'y'",
        "SELECT 1 WHERE (SELECT ssn FROM people WHERE id = 1) LIKE '5%'",
        "SELECT 1 WHERE EXISTS (SELECT FROM people WHERE ssn = 'x')",
        "SELECT n FROM numbers WHERE n::text IN (SELECT left(ssn, 1) FROM people)",
        "SELECT id FROM parts_1 WHERE ssn = 'x'",
        "SELECT id FROM family_child WHERE ssn = 'x'",
        "SELECT id FROM people_copy WHERE ssn = 'x'",
        "SELECT id FROM people_copy_derived WHERE back = 'x'",
        "DELETE FROM scratch WHERE what IN (SELECT ssn FROM people)",
        "UPDATE scratch SET what = 'x' FROM people p WHERE p.ssn = 'y'",
        "UPDATE people SET name = 'x' WHERE ssn = 'y'",
        "DELETE FROM people WHERE ssn = 'y'",
        "SELECT id FROM people WHERE ssn = 'y' FOR UPDATE",
        "SELECT EXISTS (SELECT ssn FROM people p WHERE p.ssn = 'x')",
        "SELECT num_nonnulls(ssn), num_nulls(ssn) FROM people",
        "SELECT id FROM people WHERE current_setting('a.b' || ssn, true) IS NULL",
        "SELECT nextval('scratch_id_seq') FROM people WHERE ssn > '5'",
        "SELECT pg_sleep(0) FROM people WHERE ssn = 'x'",
        "MERGE INTO scratch s USING people p ON p.ssn = s.what WHEN MATCHED THEN DELETE",
    )


def test_pg_b12_aggregates_and_windows(leaks: Leaks) -> None:
    """An aggregate of one row is its value, and a window is an aggregate."""
    leaks.must_refuse(
        "SELECT min(ssn), max(ssn) FROM people",
        "SELECT string_agg(ssn, ','), array_agg(ssn) FROM people",
        "SELECT json_agg(ssn), jsonb_agg(ssn), jsonb_object_agg(id, ssn) FROM people",
        "SELECT jsonb_object_agg(ssn, id) FROM people WHERE id = 1",
        "SELECT string_agg(ssn, '' ORDER BY id) FROM people",
        "SELECT string_agg(name, '' ORDER BY ssn) FROM people",
        "SELECT string_agg('', ssn) FROM people",
        "SELECT count(ssn) FROM people",
        "SELECT count(DISTINCT ssn) FROM people",
        "SELECT count(*) FILTER (WHERE ssn > '5') FROM people",
        "SELECT sum(num), avg(num), stddev(num), bit_and(num), bit_or(num) FROM people",
        "SELECT bool_or(ssn > '5'), every(ssn > '5') FROM people",
        "SELECT mode() WITHIN GROUP (ORDER BY ssn) FROM people",
        "SELECT percentile_disc(0) WITHIN GROUP (ORDER BY ssn) FROM people",
        "SELECT rank('5') WITHIN GROUP (ORDER BY ssn) FROM people",
        "SELECT first_value(ssn) OVER (), last_value(ssn) OVER (), nth_value(ssn, 2) OVER () FROM people",
        "SELECT lag(ssn) OVER (ORDER BY id), lead(ssn) OVER (ORDER BY id) FROM people",
        "SELECT lag(name, 1, ssn) OVER (ORDER BY id) FROM people",
        "SELECT row_number() OVER (ORDER BY ssn) FROM people",
        "SELECT count(*) OVER (PARTITION BY ssn) FROM people",
        "SELECT ntile(3) OVER w FROM people WINDOW w AS (ORDER BY ssn)",
        "SELECT sum(1) OVER (ORDER BY num RANGE BETWEEN 5 PRECEDING AND 5 FOLLOWING) FROM people",
        "SELECT max(ssn) OVER (PARTITION BY id) FROM people",
        "SELECT max(s) FROM (SELECT ssn AS s FROM people) x",
        "SELECT max(again) FROM people_twice",
        "SELECT min(derived) FROM people_derived",
        "SELECT xmlagg(xmlelement(name a, ssn)) FROM people",
        "SELECT array_agg(raw), string_agg(raw, ''::bytea) FROM people",
        "SELECT range_agg(int8range(num, num + 1)) FROM people",
        "SELECT regr_count(num, 1), corr(num, 1) FROM people",
        'SELECT max(ssn COLLATE "C") FROM people',
        "SELECT max(ssn) FROM parts",
        "SELECT array_agg(comp) FROM people",
        "SELECT GROUPING(ssn) FROM people GROUP BY ssn",
    )
    leaks.must_answer("SELECT count(*), max(id), string_agg(name, ',') FROM people", "SELECT count(1) FROM people")


def test_pg_b21_row_counts(leaks: Leaks) -> None:
    """How many rows come is an answer too."""
    leaks.must_refuse(
        "SELECT 1 FROM people p, generate_series(1, ascii(p.ssn)) WHERE p.id = 1",
        "SELECT 1 FROM numbers LIMIT (SELECT ascii(ssn) - 48 FROM people WHERE id = 1)",
        "SELECT 1 FROM numbers OFFSET (SELECT left(ssn, 1)::int FROM people WHERE id = 1)",
        "SELECT 1 FROM numbers FETCH FIRST (SELECT left(ssn, 1)::int FROM people WHERE id = 1) ROWS ONLY",
        "SELECT generate_series(1, left(ssn, 1)::int) FROM people WHERE id = 1",
        "SELECT 1 FROM people p, unnest(p.arr)",
        "SELECT unnest(string_to_array(ssn, '7')) FROM people",
        "SELECT 1 FROM people p, regexp_matches(p.ssn, '7', 'g')",
        "SELECT 1 FROM people p, LATERAL (SELECT 1 FROM numbers LIMIT left(p.ssn, 1)::int) x",
        "SELECT 1 FROM people p CROSS JOIN LATERAL jsonb_array_elements(p.doc -> 'deep')",
        "SELECT 1 FROM people p, jsonb_object_keys(p.doc)",
        "SELECT 1 FROM numbers TABLESAMPLE system ((SELECT left(ssn, 1)::int FROM people WHERE id = 1))",
        "SELECT 1 FROM (SELECT DISTINCT ssn FROM people) x",
        "SELECT 1 FROM (SELECT ssn FROM people UNION SELECT 'x') x",
        "SELECT count(*) FROM (SELECT left(ssn, 3) FROM people GROUP BY 1) x",
        "INSERT INTO scratch (what) SELECT 'x' FROM people WHERE ssn > '5'",
        "SELECT FROM people p WHERE p.ssn > '5'",
        "SELECT count(*) FROM people_counted",
    )


def test_pg_b27_comparisons(leaks: Leaks) -> None:
    """Joins, set operations and comparisons of rows and documents compare the column without naming it in WHERE."""
    leaks.must_refuse(
        "SELECT 1 FROM people NATURAL JOIN likes",
        "SELECT 1 FROM people JOIN likes USING (ssn)",
        "SELECT 1 FROM people JOIN (VALUES ('x')) v (ssn) USING (ssn)",
        "SELECT 1 FROM people NATURAL JOIN (VALUES (1, 'x')) v (id, ssn)",
        "SELECT 1 FROM people NATURAL LEFT JOIN family",
        "SELECT 1 FROM people FULL JOIN likes USING (ssn)",
        "SELECT 1 FROM people p JOIN likes l ON p.ssn = l.ssn",
        "SELECT 1 FROM people WHERE ssn IN (SELECT what FROM scratch)",
        "SELECT 1 WHERE 'x' IN (SELECT ssn FROM people)",
        "SELECT 1 WHERE 'x' = ANY (SELECT ssn FROM people)",
        "SELECT 1 WHERE 'x' < ALL (SELECT ssn FROM people)",
        "SELECT 1 WHERE ARRAY(SELECT ssn FROM people) @> ARRAY['x']",
        "SELECT 1 FROM people p WHERE EXISTS (SELECT 1 FROM likes l WHERE l.ssn = p.ssn)",
        "SELECT DISTINCT ssn FROM people",
        "SELECT DISTINCT * FROM people_view",
        "SELECT DISTINCT ON (ssn) id FROM people",
        "SELECT ssn FROM people INTERSECT SELECT 'x'",
        "SELECT 'x' INTERSECT SELECT ssn FROM people",
        "SELECT 'x' EXCEPT SELECT ssn FROM people",
        "SELECT * FROM likes EXCEPT ALL VALUES (1, 'x')",
        "SELECT ssn IS DISTINCT FROM 'x' FROM people",
        "SELECT ssn IS NOT DISTINCT FROM 'x' FROM people",
        "SELECT 1 FROM people WHERE (id, ssn) < (1, 'x')",
        "SELECT 1 FROM people WHERE (id, ssn) IN (VALUES (1, 'x'))",
        "SELECT 1 FROM people WHERE ROW(id, ssn) IS NOT DISTINCT FROM ROW(1, 'x')",
        "SELECT 1 FROM likes l WHERE l = ROW(1, 'x')::likes",
        "SELECT 1 FROM likes l WHERE l *= ROW(1, 'x')::likes",
        "SELECT 1 FROM likes l WHERE l IN (SELECT l2 FROM likes l2)",
        "SELECT 1 FROM likes l WHERE l IS NULL",
        "SELECT l = k FROM likes l, likes k",
        'SELECT 1 FROM people WHERE doc @> \'{"ssn": "x"}\'',
        "SELECT 1 FROM people WHERE doc ? 'ssn'",
        "SELECT doc = '{}' FROM people",
        "SELECT 1 FROM people p ORDER BY p",
        "SELECT count(DISTINCT p) FROM people p",
        "SELECT 1 FROM people p GROUP BY p.ssn, p.id",
        "SELECT 1 FROM people p GROUP BY p",
        "SELECT NULLIF(ssn, 'x') IS NULL FROM people",
        "SELECT GREATEST(ssn, 'x') = 'x' FROM people",
        "SELECT 1 FROM people a JOIN people b ON a.ssn = b.ssn",
        "WITH RECURSIVE r AS (SELECT ssn FROM people UNION SELECT 'x' FROM r) SELECT 1 FROM r",
        "WITH RECURSIVE r AS (SELECT id, ssn FROM people UNION ALL SELECT id + 1, ssn FROM r WHERE id < 2) "
        "CYCLE ssn SET looped USING path SELECT 1 FROM r",
        "WITH RECURSIVE r AS (SELECT id, ssn FROM people UNION ALL SELECT id + 1, ssn FROM r WHERE id < 2) "
        "SEARCH DEPTH FIRST BY ssn SET o SELECT o FROM r",
    )


def test_pg_b28_keys(leaks: Leaks) -> None:
    """A unique or foreign key over the column answers whether a value exists; so do its conflict clauses."""
    with leaks.unchanged("people", "likes", "scratch"):
        leaks.must_refuse(
            f"INSERT INTO people (id, ssn) VALUES (99, '{SSN}')",
            f"INSERT INTO people (id, ssn) VALUES (99, '{SSN}') ON CONFLICT DO NOTHING",
            f"INSERT INTO people (id, ssn) VALUES (99, '{SSN}') ON CONFLICT (ssn) DO NOTHING",
            f"INSERT INTO people (id, ssn) VALUES (99, '{SSN}') ON CONFLICT (ssn) DO UPDATE SET name = 'x'",
            f"INSERT INTO people (id, ssn) VALUES (99, '{SSN}') ON CONFLICT ON CONSTRAINT people_ssn_key DO NOTHING",
            "INSERT INTO people (id, name) VALUES (1, 'x') ON CONFLICT (id) DO UPDATE SET name = people.ssn",
            "INSERT INTO people (id, name) VALUES (1, 'x') ON CONFLICT (id) DO UPDATE SET name = 'y' "
            "WHERE people.ssn > '5'",
            f"UPDATE people SET ssn = '{SSN}' WHERE id = 2",
            "UPDATE people SET (name, ssn) = ('x', '999-99-9999') WHERE id = 2",
            "UPDATE people SET ssn = DEFAULT WHERE id = 2",
            f"INSERT INTO likes VALUES (1, '{SSN}')",
            f"INSERT INTO likes (ssn, id) VALUES ('{SSN}', 1) ON CONFLICT DO NOTHING",
            f"INSERT INTO deferred VALUES (9, '{SSN}')",
            f"INSERT INTO people VALUES (99, 'x', 1, '{SSN}')",
            f"MERGE INTO people p USING numbers n ON p.id = 99 WHEN NOT MATCHED THEN INSERT (id, ssn) "
            f"VALUES (n.n + 100, '{SSN}')",
        )
        with leaks.raw() as raw:
            for text in (b"COPY people (id, ssn) FROM STDIN", b"COPY likes FROM STDIN", b"COPY deferred FROM STDIN"):
                assert raw.ask(query(text)) == "E42501 ZI"
