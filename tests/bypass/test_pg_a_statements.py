"""PG-A: texts of which each hides a forbidden effect from a reader of SQL, driven through a real gateway."""

# ruff: noqa: RUF001 - characters that look like others are the point here

from __future__ import annotations

from tests.bypass.attack import World


def test_pg_a04_dollar_quotes_with_tags(world: World) -> None:
    """A tag may hold digits; what stands behind its end is a statement."""
    world.must_refuse(
        "SELECT $a1$ x $a1$; DROP TABLE open_items --$a1$",
        "SELECT $a1$ $a$ $a1$; DELETE FROM secret_keys --$a1$",
        "SELECT $$ $a$ $$; DELETE FROM secret_keys; SELECT $$ $$",
        "SELECT $_$ ' $_$; TRUNCATE open_items; SELECT $_$ ' $_$",
        "SELECT $é$ -- $é$; DELETE FROM secret_keys --$é$",
        "SELECT $A$ $a$ $A$, key FROM secret_keys --$a$ $A$",
        "DO $do$ BEGIN DELETE FROM secret_keys; END $do$",
    )
    world.must_allow("SELECT $a1$; DROP TABLE open_items; $a1$", "SELECT $$DELETE FROM secret_keys$$")


def test_pg_a05_dollar_inside_names(world: World) -> None:
    """`gr$x$ab` is one name, not the start of a quote."""
    world.must_refuse(
        "SELECT key FROM secret_gr$x$ab",
        "SELECT 1 AS a$b$; DELETE FROM secret_keys; SELECT 2 AS c$b$",
        "SELECT 1 a$$; DROP TABLE open_items; SELECT 2 b$$",
        "SELECT id AS é$q$ FROM secret_keys AS é$q$",
    )
    world.must_allow("SELECT 1 AS a$b$, 2 AS c$b$")


def test_pg_a06_line_comments_end_at_carriage_return(world: World) -> None:
    """A lone CR ends `--`; other line separators of Unicode do not."""
    world.must_refuse(
        "SELECT 1 -- x\r; DROP TABLE open_items",
        "SELECT 1 --\r FROM secret_keys",
        "SELECT 1; -- x\rDELETE FROM secret_keys",
        "-- x\r\nDELETE FROM secret_keys",
        "SELECT --\u2028\n key FROM secret_keys",
        "SELECT 1 --\v\f\r, key FROM secret_keys",
        "SELECT '--' , key FROM secret_keys -- '",
    )
    world.must_allow("SELECT 1 --\u2028, key FROM secret_keys", "SELECT 1 -- \x0b, key FROM secret_keys")


def test_pg_a08_writes_inside_with(world: World) -> None:
    """A data-modifying WITH runs whether or not anybody reads it."""
    world.must_refuse(
        "WITH x AS MATERIALIZED (DELETE FROM secret_keys RETURNING id) SELECT 1",
        "WITH x AS NOT MATERIALIZED (SELECT 1), y AS (DELETE FROM secret_keys) SELECT 1",
        "WITH RECURSIVE x AS (UPDATE secret_keys SET key = '' WHERE id = 1 RETURNING id) SELECT * FROM x",
        "WITH x AS (INSERT INTO secret_keys VALUES (9, 'x') RETURNING 1) TABLE x",
        "WITH a AS (SELECT 1), b AS (WITH c AS (SELECT 2) SELECT key FROM secret_keys) SELECT 1 FROM a",
        "WITH x AS (DELETE FROM open_items RETURNING id) SELECT 1",
        "WITH x AS (UPDATE open_items SET n = 9 RETURNING id) SELECT count(*) FROM x",
        "INSERT INTO open_queue (what) WITH x AS (SELECT key FROM secret_keys) SELECT key FROM x",
        "WITH x AS (DELETE FROM secret_keys) INSERT INTO open_queue (what) VALUES ('x')",
        "WITH x AS (MERGE INTO secret_keys USING open_items o ON true WHEN MATCHED THEN DELETE) SELECT 1",
        "SELECT * FROM (WITH x AS (SELECT key FROM secret_keys) SELECT * FROM x) y",
        "CREATE TABLE open_new AS WITH x AS (DELETE FROM secret_keys RETURNING *) SELECT * FROM x",
    )


def test_pg_a09_select_into(world: World) -> None:
    """SELECT INTO creates a table, and reads what it is made from."""
    world.must_refuse(
        "SELECT * INTO open_stolen FROM secret_keys",
        "SELECT key INTO TEMP stolen FROM secret_keys",
        "SELECT key INTO UNLOGGED open_stolen FROM secret_keys",
        "SELECT 1 AS a INTO secret_new",
        "WITH x AS (SELECT key FROM secret_keys) SELECT * INTO TABLE open_stolen FROM x",
        "SELECT 1 AS id INTO open_stolen UNION SELECT id FROM secret_keys",
        "CREATE TABLE secret_new AS SELECT 1",
        "CREATE TABLE IF NOT EXISTS open_items AS SELECT key FROM secret_keys",
        "CREATE MATERIALIZED VIEW open_mine AS SELECT key FROM secret_keys",
        "EXPLAIN ANALYZE SELECT key INTO open_stolen FROM secret_keys",
        "PREPARE p9 AS SELECT key INTO open_stolen FROM secret_keys",
    )
    world.must_refuse("SELECT 1 AS a INTO open_stolen", "CREATE TEMP TABLE mine AS SELECT 1 AS a", who=("reader",))


def test_pg_a10_every_item_of_from(world: World) -> None:
    """Every item of FROM is read, whatever stands before it."""
    world.must_refuse(
        "SELECT key FROM open_items o, secret_keys",
        "SELECT key FROM open_items AS o (a, b), secret_keys s",
        "SELECT s.key FROM open_items o, LATERAL (SELECT key FROM secret_keys) s",
        "SELECT s.key FROM (open_items o CROSS JOIN secret_keys s) AS j",
        "SELECT key FROM ONLY (secret_keys)",
        "SELECT key FROM secret_keys *",
        "SELECT key FROM open_items o LEFT JOIN (open_parent p JOIN secret_keys s ON true) ON true",
        "SELECT 1 FROM open_items NATURAL JOIN secret_keys",
        "SELECT 1 FROM open_items JOIN secret_keys USING (id)",
        "SELECT j FROM (open_items JOIN secret_keys USING (id)) AS j",
        "TABLE secret_keys",
        "TABLE ONLY secret_keys",
        "SELECT * FROM ROWS FROM (open_rows(), generate_series(1, 2))",
        "SELECT id FROM open_items UNION ALL (TABLE open_parent EXCEPT SELECT id FROM secret_keys)",
        "DELETE FROM open_items USING secret_keys s WHERE open_items.id = 1 AND s.id = 1",
        "UPDATE open_items SET name = s.key FROM secret_keys s WHERE open_items.id = 1",
        "SELECT * FROM secret_keys TABLESAMPLE system (100)",
        "SELECT * FROM xmltable('/a' PASSING (SELECT key FROM secret_keys LIMIT 1)::xml COLUMNS a text)",
    )


def test_pg_a11_names_that_shadow(world: World) -> None:
    """A WITH name hides a table only where its scope reaches; a qualified name is always the table."""
    world.must_refuse(
        "WITH secret_keys AS (SELECT 1 AS id) SELECT key FROM public.secret_keys",
        "WITH secret_keys AS (SELECT key FROM secret_keys) SELECT * FROM secret_keys",
        "WITH a AS (SELECT key FROM secret_keys), secret_keys AS (SELECT 1) SELECT * FROM a",
        "SELECT * FROM (WITH secret_keys AS (SELECT 1 AS key) SELECT 1) x, secret_keys",
        "WITH secret_keys AS (SELECT 1 AS id) DELETE FROM secret_keys WHERE id = 1",
        "WITH secret_keys AS (SELECT 9 AS id, 'x' AS key) INSERT INTO secret_keys SELECT id, key FROM secret_keys",
        "WITH secret_keys AS (SELECT 1 AS id) UPDATE secret_keys SET key = '' WHERE id = 1",
        "WITH x AS (SELECT 1), y AS (SELECT key FROM secret_keys) SELECT * FROM y AS x",
        "SELECT (SELECT key FROM secret_keys LIMIT 1) FROM (VALUES (1)) AS secret_keys",
        "WITH RECURSIVE x AS (SELECT id FROM open_items UNION SELECT s.id FROM secret_keys s, x) TABLE x",
        "WITH x AS (WITH secret_keys AS (SELECT 1) SELECT 1) SELECT key FROM secret_keys",
    )
    world.must_allow(
        "WITH secret_keys AS (SELECT 1 AS key) SELECT key FROM secret_keys",
        "WITH RECURSIVE secret_keys AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM secret_keys WHERE n < 3) "
        "SELECT * FROM secret_keys",
    )


def test_pg_a12_unicode_escapes(world: World) -> None:
    """U& names and UESCAPE are read as the server reads them."""
    world.must_refuse(
        r"""SELECT key FROM U&"\0073ecret_keys" """,
        r"""SELECT U&"\006bey" FROM U&"secret\005fkeys" """,
        r"""SELECT key FROM U&"!0073ecret_keys" UESCAPE '!'""",
        r"""SELECT key FROM u&"secret_\+00006beys" """,
        r"""SELECT key FROM U&"d!0061ta" UESCAPE '!', public.U&"\0073ecret_keys" """,
        r"""DELETE FROM U&"\0073ecret_keys" """,
        r"""DROP TABLE U&"open\005Fitems" """,
        r"""SELECT U&'\0027; --' , key FROM secret_keys --'""",
        r"""SELECT U&'x' UESCAPE '!' , key FROM secret_keys""",
        r"""SELECT * FROM U&"vault".items""",
    )
    world.must_allow(r"""SELECT name FROM U&"\006fpen_items" """)


def test_pg_a13_copy(world: World) -> None:
    """COPY in every form: binary, of a query, a write, files and programs."""
    world.must_refuse(
        "COPY secret_keys TO STDOUT",
        "COPY secret_keys TO STDOUT (FORMAT binary)",
        "COPY secret_keys TO STDOUT WITH BINARY",
        "COPY BINARY secret_keys TO STDOUT",
        "COPY (SELECT key FROM secret_keys) TO STDOUT",
        "COPY (TABLE secret_keys) TO STDOUT CSV HEADER",
        "COPY (DELETE FROM secret_keys RETURNING key) TO STDOUT",
        "COPY (WITH x AS (DELETE FROM secret_keys RETURNING key) SELECT * FROM x) TO STDOUT",
        "COPY (DELETE FROM open_items RETURNING id) TO STDOUT",
        "COPY open_items TO PROGRAM 'cat > /tmp/checkrein-pg-a13'",
        "COPY open_items FROM PROGRAM 'echo 7'",
        "COPY (SELECT 1) TO PROGRAM 'id'",
        "COPY open_items TO '/tmp/checkrein-pg-a13'",
        "COPY open_items FROM '/etc/passwd'",
        "COPY secret_keys FROM STDIN",
        "COPY secret_keys (id, key) FROM STDIN (FORMAT binary)",
        "COPY open_view FROM STDIN",
        "COPY vault.items TO STDOUT",
        "COPY open_items FROM STDIN WHERE (SELECT count(*) FROM secret_keys) > 0",
        "COPY open_queue (what) TO STDOUT (ENCODING 'UTF8'); COPY secret_keys TO STDOUT",
    )
    world.must_refuse("COPY open_items FROM STDIN", who=("reader",))


def test_pg_a14_explain_analyze(world: World) -> None:
    """EXPLAIN ANALYZE runs; without it what is explained is judged all the same."""
    world.must_refuse(
        "EXPLAIN ANALYZE DELETE FROM secret_keys",
        "EXPLAIN (ANALYZE) DELETE FROM secret_keys",
        "EXPLAIN (VERBOSE, COSTS off, ANALYZE true) DELETE FROM secret_keys",
        "EXPLAIN (ANALYZE off, ANALYZE on) DELETE FROM secret_keys",
        "EXPLAIN (ANALYZE 1, FORMAT json) DELETE FROM open_items",
        "EXPLAIN (\"analyze\" 'on') DELETE FROM secret_keys",
        'EXPLAIN ("ANALYZE" on) DELETE FROM secret_keys',
        "EXPLAIN ANALYZE VERBOSE UPDATE open_items SET n = 99",
        "EXPLAIN SELECT * FROM secret_keys",
        "EXPLAIN (ANALYZE) CREATE TABLE open_stolen AS SELECT * FROM secret_keys",
        "EXPLAIN ANALYZE WITH x AS (DELETE FROM secret_keys) SELECT 1",
        "EXPLAIN (ANALYZE, GENERIC_PLAN off) SELECT open_wiper()",
    )
    world.must_refuse("EXPLAIN ANALYZE INSERT INTO open_queue (what) VALUES ('x')", who=("reader",))
    world.must_allow("EXPLAIN SELECT * FROM open_items", "EXPLAIN (ANALYZE) SELECT * FROM open_items")


def test_pg_a15_quoted_names(world: World) -> None:
    """Quoted names keep their case, others are folded."""
    world.must_refuse(
        'SELECT * FROM "secret_Mixed"',
        'SELECT "Key" FROM public."secret_Mixed" AS "open_items"',
        'DELETE FROM "secret_Mixed" WHERE "Id" = 1',
        'SELECT key FROM "secret_keys"',
        "SELECT KEY FROM SECRET_KEYS",
        "SELECT key FROM PUBLIC.Secret_Keys",
        'SELECT * FROM "public"."secret_keys"',
        f'SELECT * FROM "{"x" * 70}", secret_keys',
        'SELECT * FROM "open_items" "secret", "secret_keys" "open_items"',
        'SELECT * FROM "secret_keys""x"',
    )


def test_pg_a37_merge(world: World) -> None:
    """Every branch of MERGE counts."""
    world.must_refuse(
        "MERGE INTO secret_keys s USING open_items o ON s.id = o.id WHEN MATCHED THEN DELETE",
        "MERGE INTO open_items o USING secret_keys s ON s.id = o.id WHEN MATCHED THEN UPDATE SET name = s.key",
        "MERGE INTO open_items o USING open_parent p ON o.id = p.id WHEN MATCHED THEN DELETE",
        "MERGE INTO open_items o USING open_parent p ON o.id = p.id WHEN NOT MATCHED THEN INSERT (id, name) VALUES "
        "(p.id, (SELECT key FROM secret_keys LIMIT 1))",
        "MERGE INTO open_items o USING open_parent p ON o.id = p.id WHEN MATCHED AND EXISTS (SELECT FROM secret_keys) "
        "THEN DO NOTHING",
        "WITH x AS (SELECT key FROM secret_keys) MERGE INTO open_items o USING x ON false WHEN NOT MATCHED THEN INSERT "
        "(id, name) VALUES (9, x.key)",
        "MERGE INTO ONLY secret_keys USING (VALUES (1)) v(id) ON true WHEN MATCHED THEN UPDATE SET key = ''",
    )


def test_pg_a38_nested_comments(world: World) -> None:
    """Comments nest; where they end, text begins."""
    world.must_refuse(
        "SELECT 1 /* a /* b */ */ , key FROM secret_keys",
        "/* /* */ SELECT 1; */ DELETE FROM secret_keys",
        "SELECT 1 /* ' */ ; DELETE FROM secret_keys /* ' */",
        "SELECT 1 /* -- */ , key FROM secret_keys",
        "SELECT 1 /*/**/*/ , key FROM secret_keys",
        "SELECT/**/key/**/FROM/**/secret_keys",
        "DELETE/* WHERE id = 1 */FROM open_items",
        "SELECT 1 /* $$ */ , key FROM secret_keys /* $$ */",
        "/*+ hint */ DELETE FROM open_items -- WHERE id = 1",
        "/*!50000 DELETE */ SELECT key FROM secret_keys",
        "SELECT 1 " + "/*" * 500 + "*/" * 500 + ", key FROM secret_keys",
    )
    world.must_allow("SELECT 1 /* /* */ , key FROM secret_keys */", "/* DROP TABLE open_items; */ SELECT 1")


def test_pg_a39_escape_strings(world: World) -> None:
    r"""`\'` ends nothing in an E string and everything in a plain one."""
    world.must_refuse(
        r"SELECT E'\''; DELETE FROM secret_keys --'",
        r"SELECT '\'; DELETE FROM secret_keys --'",
        r"SELECT '\', key FROM secret_keys --'",
        r"SELECT e'\\', key FROM secret_keys --'",
        r"SELECT E'\x27', key FROM secret_keys --'",
        r"SELECT E'\47', key FROM secret_keys --'",
        "SELECT E'a'\n'\\'', key FROM secret_keys --'",
        "SELECT 'a'\n'\\', key FROM secret_keys --'",
        r"SELECT B'0', key FROM secret_keys --'",
        r"SELECT N'\', key FROM secret_keys --'",
        "SELECT '' '', key FROM secret_keys",
        "SELECT 'a' --\n'b\\', key FROM secret_keys --'",
    )
    world.must_allow(r"SELECT E'\'; DELETE FROM secret_keys --'", "SELECT '''; DELETE FROM secret_keys --'")


def test_pg_a40_bytes_and_look_alikes(world: World) -> None:
    """NUL, broken UTF-8, invisible and full-width characters are never taken for something they are not."""
    world.must_refuse(
        "DELETE\u00a0FROM secret_keys",
        "DELETE FROM\u00a0secret_keys",
        "SELECT key\u200bFROM secret_keys",
        "SELECT key FROM ｓecret_keys",
        "SELECT key FROM ѕecret_keys",
        "\ufeffDELETE FROM secret_keys",
        "SELECT key FROM secret_keys\u200b",
        "ＤＥＬＥＴＥ FROM secret_keys",
        "SELECT 1\u037e DELETE FROM secret_keys",
        "SELECT ＇x＇, key FROM secret_keys",
        "SELECT \u2018x\u2019, key FROM secret_keys",
        "SELECT key FROM secret_keys\u202e",
        "SELECT key FROM secret\u00adkeys",
        "SELECT key FROM SECRET_\u212aEYS",
        "SELECT key FROM \u017fecret_keys",
    )
    world.must_allow("SELECT '\u00a0\u200b\ufeffＤＲＯＰ TABLE open_items'")
