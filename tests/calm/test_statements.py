"""What must never be stopped, through a real gateway under an ordinary policy with masks and detectors.

Every statement answers what it answers directly, as simple and as extended query, on a plain database and on one with
citext, hstore and pg_trgm in public.
"""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from tests.support.shop import Shop

PLAIN = [
    "SELECT 1", "VALUES (1, 'a'), (2, 'b')", "SHOW server_version", "SHOW search_path", "SHOW ALL",
    "EXPLAIN SELECT 1", "EXPLAIN SELECT id FROM orders", "EXPLAIN (COSTS off, FORMAT json) SELECT id FROM orders",
    "SELECT version()", "SELECT current_schema()", "SELECT pg_is_in_recovery()", "SELECT current_database() <> ''",
    "SELECT 'DROP TABLE x'", "SELECT 'DELETE FROM orders; -- no' AS \"TRUNCATE\"", "SELECT /* DROP TABLE orders */ 1",
    'SELECT "delete" FROM orders WHERE id = 1', 'SELECT o."delete" AS "update" FROM orders AS o ORDER BY id LIMIT 1',
    "SELECT has_table_privilege('orders', 'DELETE')", "SELECT has_column_privilege('orders', 'id', 'UPDATE')",
    'WITH "select" AS (SELECT 1 AS "from") SELECT "from" FROM "select"',
    'WITH "delete" AS (SELECT id FROM orders), "drop" AS (SELECT 2) SELECT count(*) FROM "delete", "drop"',
    "WITH RECURSIVE t(n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM t WHERE n < 100) SELECT sum(n) FROM t",
    "SELECT count(*) FROM orders", "SELECT status, sum(amount) FROM orders GROUP BY ROLLUP (status) ORDER BY 1",
    "SELECT id, lag(amount) OVER (ORDER BY id), rank() OVER (ORDER BY status) FROM orders ORDER BY id LIMIT 5",
    "SELECT o.id, c.name FROM orders o JOIN customers c ON c.id = o.customer_id ORDER BY 1 LIMIT 5",
    "SELECT o.id, c.name FROM orders o LEFT JOIN LATERAL (SELECT name FROM customers WHERE id = o.id) c ON true "
    "ORDER BY 1 LIMIT 5",
    "SELECT id FROM orders WHERE customer_id IN (SELECT id FROM customers WHERE name LIKE 'customer 1%') ORDER BY 1",
    "SELECT DISTINCT ON (status) status, id FROM orders ORDER BY status, id DESC", "TABLE open_orders LIMIT 0",
    "SELECT * FROM open_orders ORDER BY id LIMIT 3", "SELECT * FROM totals ORDER BY 1 LIMIT 3", "TABLE days_2024",
    "SELECT id FROM orders ORDER BY id FETCH FIRST 2 ROWS WITH TIES", "SELECT 1 WHERE false", "SELECT NULL, '', 0",
    "SELECT ARRAY[1, 2, 3], ARRAY[[1], [2]], '{a,b}'::text[], ROW(1, 'a'), (1, 2)::spot",
    "SELECT s, (s).x, m, sh, jb -> 'b', jb @> '{}', ia[1], r @> 3, iv + interval '1 day', tz AT TIME ZONE 'UTC' "
    "FROM kinds",
    "SELECT jsonb_build_object('a', 1), jsonb_agg(id), string_agg(t, ','), array_agg(id) FROM kinds",
    "SELECT * FROM jsonb_each('{\"a\": 1}'), generate_series(1, 2), unnest(ARRAY[1], ARRAY['x']) AS u(a, b)",
    "SELECT to_char(placed, 'YYYY'), date_trunc('day', placed), extract(epoch FROM placed) FROM orders LIMIT 1",
    "SELECT lower('A') || upper('b'), 'abc' ~ 'b', 'abc' ILIKE 'A%', regexp_replace('aa', 'a', 'b', 'g'), md5('x')",
    "SELECT 'it''s', E'tab\\there', $$dollar$$, $tag$it's$tag$, U&'\\0041', B'101', X'1F', 1e3, 1.5, .5, -1",
    "SELECT coalesce(NULL, 1), nullif(1, 1), greatest(1, 2), CASE WHEN true THEN 1 ELSE 2 END, 1 BETWEEN 0 AND 2",
    "SELECT twice(21)", "SELECT pg_typeof(1), pg_size_pretty(1024::bigint), txid_current() > 0, pg_backend_pid() > 0",
    "SELECT obj_description('orders'::regclass), format_type(23, -1), 'orders'::regclass, 'int4'::regtype",
    "SELECT pg_get_viewdef('open_orders'), pg_get_indexdef('orders_status'::regclass), pg_get_constraintdef(oid) "
    "FROM pg_constraint WHERE conrelid = 'orders'::regclass ORDER BY conname",
    "SELECT name FROM customers WHERE id = 1",
    "SELECT grouping(status), count(*) FROM orders GROUP BY GROUPING SETS ((status), ()) ORDER BY 2",
    "SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY amount), count(*) FILTER (WHERE id > 5) FROM orders",
    "SELECT x FROM (VALUES (1), (2)) AS v(x) EXCEPT SELECT 1 UNION SELECT 3 INTERSECT SELECT 3 ORDER BY 1",
    "SELECT pg_advisory_unlock_all()", "SELECT current_setting('server_version_num')::int > 0",
    "SELECT set_config('work_mem', '8MB', false)", "SELECT now() > '2020-01-01', localtimestamp IS NOT NULL",
    "SELECT typname, oid, typarray FROM pg_type WHERE typname = 'int4'", "SELECT inet '10.0.0.1' << inet '10.0.0.0/8'",
    "SELECT name FROM pg_settings WHERE name = 'TimeZone'", "SELECT xmin IS NULL, ctid FROM orders WHERE id = 1",
]  # fmt: skip

TOOLS = [
    # pgjdbc and tools over it (DBeaver, DataGrip, Metabase): connection, schemas, tables, columns, keys, indexes
    "SET extra_float_digits = 3", "SET application_name = 'DBeaver 24.1 - Main'", "SELECT current_catalog IS NOT NULL",
    "SELECT current_schema(), session_user = current_user",
    "SELECT db.datname IS NULL FROM pg_catalog.pg_database db WHERE NOT datistemplate AND datallowconn LIMIT 1",
    "SELECT n.oid, n.*, d.description FROM pg_catalog.pg_namespace n LEFT OUTER JOIN pg_catalog.pg_description d "
    "ON d.objoid = n.oid AND d.objsubid = 0 AND d.classoid = 'pg_namespace'::regclass "
    "WHERE nspname = 'public' ORDER BY nspname",
    "SELECT typcategory, count(*) FROM pg_catalog.pg_type GROUP BY 1 ORDER BY 1",
    "SELECT c.oid, c.*, d.description, pg_catalog.pg_get_expr(c.relpartbound, c.oid) AS partition_expr, "
    "pg_catalog.pg_get_partkeydef(c.oid) AS partition_key FROM pg_catalog.pg_class c LEFT OUTER JOIN "
    "pg_catalog.pg_description d ON d.objoid = c.oid AND d.objsubid = 0 AND d.classoid = 'pg_class'::regclass "
    "WHERE c.relnamespace = 'public'::regnamespace AND c.relkind NOT IN ('i', 'I', 'c') ORDER BY c.oid",
    "SELECT c.relname, a.*, pg_catalog.pg_get_expr(ad.adbin, ad.adrelid, true) AS def_value, dsc.description "
    "FROM pg_catalog.pg_attribute a INNER JOIN pg_catalog.pg_class c ON (a.attrelid = c.oid) LEFT OUTER JOIN "
    "pg_catalog.pg_attrdef ad ON (a.attrelid = ad.adrelid AND a.attnum = ad.adnum) LEFT OUTER JOIN "
    "pg_catalog.pg_description dsc ON (c.oid = dsc.objoid AND a.attnum = dsc.objsubid) "
    "WHERE NOT a.attisdropped AND c.relname = 'orders' ORDER BY a.attnum",
    "SELECT i.*, i.indkey AS keys, c.relname, c.relnamespace, c.relam, c.reltablespace, tc.relname AS tabrelname, "
    "dsc.description, pg_catalog.pg_get_expr(i.indpred, i.indrelid) AS pred_expr FROM pg_catalog.pg_index i "
    "INNER JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid INNER JOIN pg_catalog.pg_class tc ON tc.oid = i.indrelid "
    "LEFT OUTER JOIN pg_catalog.pg_description dsc ON i.indexrelid = dsc.objoid WHERE i.indrelid = 'orders'::regclass "
    "ORDER BY tabrelname, c.relname",
    "SELECT NULL AS TABLE_CAT, n.nspname AS TABLE_SCHEM, ct.relname AS TABLE_NAME, a.attname AS COLUMN_NAME, "
    "(information_schema._pg_expandarray(i.indkey)).n AS KEY_SEQ, ci.relname AS PK_NAME FROM pg_catalog.pg_class ct "
    "JOIN pg_catalog.pg_attribute a ON (ct.oid = a.attrelid) JOIN pg_catalog.pg_namespace n ON "
    "(ct.relnamespace = n.oid) JOIN pg_catalog.pg_index i ON (a.attrelid = i.indrelid) JOIN pg_catalog.pg_class ci ON "
    "(ci.oid = i.indexrelid) WHERE i.indisprimary AND ct.relname = 'orders' ORDER BY 4, 5",
    "SELECT pg_catalog.pg_get_functiondef(p.oid), p.proargnames, pg_catalog.pg_get_function_identity_arguments(p.oid) "
    "FROM pg_catalog.pg_proc p WHERE p.proname = 'twice'",
    "SELECT e.enumlabel FROM pg_catalog.pg_enum e JOIN pg_catalog.pg_type t ON t.oid = e.enumtypid "
    "WHERE t.typname = 'mood' ORDER BY e.enumsortorder",
    "SELECT extname, extversion FROM pg_catalog.pg_extension ORDER BY 1",
    "SELECT tablename, hasindexes FROM pg_catalog.pg_tables WHERE schemaname = 'public' ORDER BY 1",
    "SELECT relname, n_live_tup >= 0 FROM pg_stat_user_tables ORDER BY 1",
    "SELECT pid > 0, state FROM pg_stat_activity WHERE pid = pg_backend_pid()",
    "SELECT locktype FROM pg_locks WHERE pid = pg_backend_pid() AND relation = 0",
    "SELECT rolname FROM pg_roles LIMIT 0",
    "SELECT pg_total_relation_size('orders') > 0, pg_database_size(current_database()) > 0",
    "SELECT table_name, privilege_type FROM information_schema.table_privileges "
    "WHERE table_name = 'orders' ORDER BY 1, 2",
    "SELECT column_name, data_type, is_nullable, column_default FROM information_schema.columns "
    "WHERE table_schema = 'public' ORDER BY table_name, ordinal_position",
    "SELECT tc.constraint_name, kcu.column_name, ccu.table_name FROM information_schema.table_constraints tc JOIN "
    "information_schema.key_column_usage kcu USING (constraint_schema, constraint_name) JOIN "
    "information_schema.constraint_column_usage ccu USING (constraint_schema, constraint_name) "
    "WHERE tc.constraint_type = 'FOREIGN KEY' ORDER BY 1, 2",
    "SELECT routine_name FROM information_schema.routines WHERE routine_schema = 'public' AND routine_name = 'twice'",
    "SELECT a.attname, t.typname, a.attlen, a.atttypmod FROM pg_attribute a, pg_type t WHERE a.atttypid = t.oid "
    "AND a.attrelid = to_regclass('public.orders') AND a.attnum > 0 ORDER BY a.attnum",
    # node-postgres, Npgsql (its type loading), Prisma, Rails, pgAdmin
    "SELECT ns.nspname, t.oid, t.typname, t.typtype, t.typnotnull, t.elemtypoid FROM (SELECT typ.oid, "
    "typ.typnamespace, "
    "typ.typname, typ.typtype, typ.typrelid, typ.typnotnull, typ.relkind, elemtyp.oid AS elemtypoid FROM ("
    "SELECT typ.oid, "
    "typnamespace, typname, typrelid, typnotnull, relkind, typelem AS elemoid, CASE WHEN proc.proname = 'array_recv' "
    "THEN 'a' ELSE typ.typtype END AS typtype FROM pg_type AS typ LEFT JOIN pg_class AS cls "
    "ON (cls.oid = typ.typrelid) "
    "LEFT JOIN pg_proc AS proc ON proc.oid = typ.typreceive) AS typ LEFT JOIN pg_type AS elemtyp ON "
    "elemtyp.oid = typ.elemoid) AS t JOIN pg_namespace AS ns ON (ns.oid = typnamespace) ORDER BY t.oid",
    "SET client_min_messages TO 'warning'", "SET standard_conforming_strings = on", "SET SESSION timezone TO 'UTC'",
    "SELECT t.oid, t.typname, t.typelem, t.typdelim, t.typinput, r.rngsubtype, t.typtype, t.typbasetype FROM pg_type t "
    "LEFT JOIN pg_range r ON t.oid = r.rngtypid WHERE t.typname IN ('int2', 'int4', 'hstore') ORDER BY 1",
    "SELECT DISTINCT i.relname, d.indisunique, d.indkey, pg_get_indexdef(d.indexrelid), t.oid FROM pg_class t "
    "INNER JOIN "
    "pg_index d ON t.oid = d.indrelid INNER JOIN pg_class i ON d.indexrelid = i.oid LEFT JOIN pg_namespace n ON "
    "n.oid = t.relnamespace WHERE i.relkind IN ('i', 'I') AND t.relname = 'orders' "
    "AND n.nspname = ANY (current_schemas(false)) ORDER BY i.relname",
    "SELECT roles.oid > 0 AS id, roles.rolsuper, CASE WHEN roles.rolsuper THEN true ELSE roles.rolcreaterole END "
    "FROM pg_catalog.pg_roles AS roles WHERE rolname = current_user",
    "SELECT usesuper FROM pg_user WHERE usename = current_user", "SELECT datname IS NULL FROM pg_database LIMIT 1",
    "BEGIN", "SAVEPOINT a", "RELEASE a", "COMMIT", "START TRANSACTION READ ONLY", "ROLLBACK", "RESET ALL", "CLOSE ALL",
    "UNLISTEN *", "DISCARD PLANS", "DEALLOCATE ALL", "SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE", "",
    ";", "-- only a comment", "DISCARD ALL",
]  # fmt: skip

EXTENDED = [
    "SELECT 'A'::citext = 'a'", "SELECT max('a'::citext)", "SELECT 'a=>1'::hstore -> 'a'",
    "SELECT similarity('a', 'a')",
    "SELECT 'word' % 'words'", "SELECT hstore(o) -> 'id' FROM orders o WHERE false", "SELECT lower('A'::citext)",
]  # fmt: skip


def _answer(connection: psycopg.Connection[Any], text: str, extended: bool) -> Any:
    if extended:
        result = connection.pgconn.exec_params(text.encode(), [], result_format=0)
    else:
        result = connection.pgconn.exec_(text.encode())
    rows = [[result.get_value(row, column) for column in range(result.nfields)] for row in range(result.ntuples)]
    names = [result.fname(column) for column in range(result.nfields)]
    return result.status, result.error_message, result.command_status, names, rows


def _differences(shop: Shop, target: str, texts: list[str], extended: bool) -> list[str]:
    wrong = []
    dsns = (shop.gateway.dsn(target=target), shop.dsn(target))
    with psycopg.connect(dsns[0], autocommit=True) as through, psycopg.connect(dsns[1], autocommit=True) as direct:
        for text in texts:
            found, wanted = _answer(through, text, extended), _answer(direct, text, extended)
            if text == "SHOW ALL":
                found, wanted = found[0], wanted[0]  # application_name is the principal's
            if found != wanted:
                wrong.append(f"{text}: {found[:3]} {str(found[3:])[:200]} != {str(wanted[3:])[:200]}")
    return wrong


@pytest.mark.parametrize("extended", [False, True], ids=["simple", "extended"])
def test_statements(served: Shop, target: str, extended: bool) -> None:
    """Ordinary SQL, and names and constants that look like something else."""
    assert _differences(served, target, PLAIN, extended) == []


@pytest.mark.parametrize("extended", [False, True], ids=["simple", "extended"])
def test_tools(served: Shop, target: str, extended: bool) -> None:
    """What DBeaver, DataGrip, Metabase, Npgsql, Rails, pgAdmin and pools send, in the shape that they send it."""
    assert _differences(served, target, TOOLS, extended) == []


def test_extensions(served: Shop) -> None:
    """Functions, operators and casts of citext, hstore and pg_trgm."""
    assert _differences(served, "ext", EXTENDED, False) == []


SIZES = {
    "1,000 branches of UNION ALL": " UNION ALL ".join(f"SELECT {number}" for number in range(1000)),
    "500 chained ||": "SELECT " + " || ".join(["'a'"] * 501),
    "an IN list of 5,000": f"SELECT count(*) FROM orders WHERE id IN ({', '.join(map(str, range(5000)))})",
    "200 nested parentheses": "SELECT " + "(" * 200 + "1" + ")" * 200,
    "300 joined CTEs": "WITH "
    + ", ".join(f"c{number} AS (SELECT {number} AS n)" for number in range(300))
    + " SELECT count(*) FROM c0, c1, c299",
    "100 statements": "; ".join(f"SELECT {number}" for number in range(100)),
    "a literal of 200,000 bytes": "SELECT length('" + "x" * 200_000 + "')",
    "a comment of 100,000 bytes": "SELECT 1 /* " + "x" * 100_000 + " */",
}


@pytest.mark.parametrize("name", SIZES)
def test_sizes(served: Shop, target: str, name: str) -> None:
    """Long statements answer as directly."""
    assert _differences(served, target, [SIZES[name]], False) == []


def test_large_results(served: Shop, target: str) -> None:
    """A result of 300,000 rows arrives whole, in one piece and row by row."""
    query = "SELECT n, 'row ' || n FROM generate_series(1, 300000) AS n"
    with psycopg.connect(served.gateway.dsn(target=target), autocommit=True) as connection:
        rows = connection.execute(query).fetchall()
        assert (len(rows), rows[-1]) == (300_000, (300_000, "row 300000"))
        assert sum(row[0] for row in connection.cursor().stream(query, size=1000)) == 300_000 * 300_001 // 2


def test_long_prepared_statements(served: Shop, target: str) -> None:
    """A prepared statement of 20 KB with 1,000 parameters, run many times."""
    columns = ", ".join(f"${number}::int" for number in range(1, 1001))
    with psycopg.connect(served.gateway.dsn(target=target), autocommit=True) as connection:
        prepared = connection.pgconn.prepare(b"long", f"SELECT {columns}".encode())
        assert prepared.status == psycopg.pq.ExecStatus.COMMAND_OK, prepared.error_message
        for round_number in range(5):
            values = [str(number + round_number).encode() for number in range(1000)]
            result = connection.pgconn.exec_prepared(b"long", values)
            assert [result.get_value(0, column) for column in range(1000)] == values
