"""PG-A: settings, roles, doors and names of other objects that lead past the tables."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest

from checkrein.core.framing import frame
from tests.bypass.attack import SECRET, SYNC, World, bind, describe, execute, extended, parse, query


def test_pg_a07_standard_conforming_strings(world: World) -> None:
    """The setting that changes how a quote ends stays on: by SET, set_config, a role's setting or at start-up."""
    world.must_refuse(
        "SET standard_conforming_strings = off",
        "SET STANDARD_CONFORMING_STRINGS TO 'off'",
        "SET LOCAL standard_conforming_strings = 0",
        "SET \"standard_conforming_strings\" = 'of'",
        "SET standard_conforming_strings = default; SET standard_conforming_strings = false",
        "SELECT set_config('standard_conforming_strings', 'off', false)",
        "SELECT pg_catalog.set_config('Standard_Conforming_Strings', 'no', true)",
        "SELECT set_config(U&'standard_conforming_string\\0073', 'off', false)",
        "SELECT set_config('standard_conforming_' || 'strings', 'off', false)",
        "SELECT set_config('standard_conforming_strings', lower('OFF'), false)",
        "UPDATE pg_settings SET setting = 'off' WHERE name = 'standard_conforming_strings'",
        "ALTER ROLE postgres SET standard_conforming_strings = off",
        "ALTER ROLE ALL SET standard_conforming_strings = off",
        "ALTER USER CURRENT_USER SET standard_conforming_strings TO off",
        "ALTER ROLE ALL IN DATABASE postgres SET standard_conforming_strings = off",
        "ALTER DATABASE postgres SET standard_conforming_strings = off",
        "ALTER SYSTEM SET standard_conforming_strings = off",
        "ALTER FUNCTION open_reader() SET standard_conforming_strings = off",
        "CREATE FUNCTION open_f() RETURNS int LANGUAGE sql SET standard_conforming_strings = off AS 'SELECT 1'",
        "SET backslash_quote = on",
        "SET escape_string_warning = off",
        "SET transform_null_equals = on",
        "SET array_nulls = off",
    )


@pytest.mark.parametrize(
    "parameters",
    [
        {"standard_conforming_strings": "off"},
        {"Standard_Conforming_Strings": "off"},
        {"options": "-c standard_conforming_strings=off"},
        {"options": "-cstandard_conforming_strings=off"},
        {"options": "--standard-conforming-strings=off"},
        {"options": "-c search_path=public -c standard_conforming_strings=0"},
        {"options": "-c\\ standard_conforming_strings=off"},
        {"options": "-c role=postgres"},
        {"options": "-c session_preload_libraries=auto_explain"},
        {"options": "-O"},
        {"options": "-d 5"},
        {"role": "postgres"},
        {"session_authorization": "postgres"},
        {"client_encoding": "SJIS"},
        {"options": "-c client_encoding=GBK"},
    ],
)
def test_pg_a07_settings_at_start_up(world: World, parameters: dict[str, str]) -> None:
    """The start-up packet and its options set nothing that SET may not."""
    with world.raw(**parameters) as raw:
        kind, payload = raw.greeting[-1]
        assert kind == b"E", raw.greeting
        assert b"FATAL" in payload
        assert raw.over()


def test_pg_a07_a_role_that_has_it_off(world: World) -> None:
    """Where the login role's own setting is off, the gateway's login still has it on, RESET and DISCARD included."""
    role = f"ALTER ROLE postgres IN DATABASE {world.database.name}"
    world.database.run(f"{role} SET standard_conforming_strings = off")
    try:
        with world.raw() as raw:
            for text in (b"SELECT 1", b"RESET standard_conforming_strings", b"RESET ALL", b"DISCARD ALL"):
                raw.ask(query(text))
                raw.ask(query(b"SHOW standard_conforming_strings"))
                assert b"\0\x02on" in raw.seen
                assert b"\0\x03off" not in raw.seen
                with world.unchanged():
                    assert raw.ask(query(rb"SELECT '\', key FROM secret_keys --'")) == "E42501 ZI"
    finally:
        world.database.run(f"{role} RESET standard_conforming_strings")


def test_pg_a16_views_and_functions_over_protected_tables(world: World) -> None:
    """A view, a copy or a function with an open name opens nothing."""
    world.must_refuse(
        "SELECT * FROM open_view",
        "SELECT key FROM open_view_twice",
        "SELECT count(*) FROM open_view",
        "INSERT INTO open_view VALUES (9, 'x')",
        "UPDATE open_view SET key = '' WHERE id = 1",
        "DELETE FROM open_view WHERE id = 1",
        "SELECT * FROM open_view v, open_items",
        "TABLE open_view",
        "COPY (TABLE open_view) TO STDOUT",
        "SELECT * FROM open_copy",
        "SELECT open_reader()",
        "SELECT * FROM open_rows()",
        "SELECT * FROM vault.open_items",
        'SELECT * FROM "vault"."open_items"',
        "CREATE VIEW open_mine AS SELECT * FROM secret_keys",
        "CREATE TEMP VIEW mine AS SELECT * FROM secret_keys",
        "CREATE OR REPLACE VIEW open_view AS SELECT id, key FROM secret_keys",
        "CREATE RULE r AS ON INSERT TO open_items DO ALSO DELETE FROM secret_keys",
        "CREATE TRIGGER t BEFORE INSERT ON open_items EXECUTE FUNCTION open_reader()",
        "CREATE FUNCTION open_f() RETURNS text LANGUAGE sql AS 'SELECT key FROM secret_keys'",
        "CREATE TABLE open_child2 () INHERITS (secret_keys)",
        "CREATE TABLE open_like (LIKE secret_keys INCLUDING ALL)",
        "ALTER TABLE secret_keys RENAME TO open_renamed",
        "ALTER TABLE vault.items SET SCHEMA public",
        "ALTER SCHEMA vault RENAME TO open_vault",
        "ALTER TABLE secret_keys RENAME COLUMN key TO k",
        "ALTER TABLE secret_keys OWNER TO CURRENT_USER",
        "GRANT ALL ON secret_keys TO PUBLIC",
        "ALTER TABLE open_items INHERIT secret_keys",
        "CREATE TABLE open_part PARTITION OF secret_keys DEFAULT",
        "CREATE TABLE open_ref (id int REFERENCES secret_keys)",
        "CREATE TABLE open_ref (id int, FOREIGN KEY (id) REFERENCES public.secret_keys (id))",
        "ALTER TABLE open_items ADD CONSTRAINT fk FOREIGN KEY (n) REFERENCES secret_keys (id)",
        "CREATE STATISTICS open_stats (mcv) ON id, key FROM secret_keys",
        "CREATE SCHEMA open_schema CREATE TRIGGER t BEFORE INSERT ON public.open_items EXECUTE FUNCTION open_reader()",
        "CREATE SCHEMA open_schema GRANT ALL ON public.secret_keys TO PUBLIC",
        "CREATE SCHEMA open_schema CREATE INDEX i ON public.secret_keys (key)",
        "CREATE SCHEMA open_schema CREATE VIEW v AS SELECT * FROM public.secret_keys",
        "COMMENT ON COLUMN secret_keys.key IS 'x'",
        "COMMENT ON COLUMN public.secret_keys.key IS 'x'",
        "COMMENT ON TABLE secret_keys IS 'x'",
        "COMMENT ON CONSTRAINT secret_keys_pkey ON secret_keys IS 'x'",
        "DROP TRIGGER t ON secret_keys",
        "DROP POLICY p ON public.secret_keys",
        "DROP RULE r ON secret_keys",
        "CREATE POLICY p ON secret_keys USING (true)",
        "SELECT * FROM ONLY open_view",
    )


def test_pg_a16_whole_schemas(world: World) -> None:
    """What is done to a schema is done to the tables in it, and what to a part of a table, to the table."""
    with world.broad():
        world.must_refuse(
            "ALTER SCHEMA vault RENAME TO open_vault",
            "ALTER SCHEMA vault OWNER TO CURRENT_USER",
            "GRANT SELECT ON ALL TABLES IN SCHEMA public TO PUBLIC",
            "GRANT ALL ON ALL TABLES IN SCHEMA open_none, vault TO PUBLIC",
            "REVOKE ALL ON ALL TABLES IN SCHEMA public FROM PUBLIC",
            "GRANT USAGE ON SCHEMA vault TO PUBLIC",
            "COMMENT ON COLUMN vault.items.name IS 'x'",
            "COMMENT ON COLUMN secret_keys.key IS 'x'",
            "COMMENT ON TABLE vault.items IS 'x'",
            "COMMENT ON CONSTRAINT secret_keys_pkey ON secret_keys IS 'x'",
            "SECURITY LABEL ON COLUMN secret_keys.key IS 'x'",
            "DROP TRIGGER t ON vault.items",
            who=("bot",),
            code="42501",
        )


def test_pg_a17_doors(world: World) -> None:
    """Files, programs, other databases, texts that run as SQL, settings of the server: shut."""
    marker = Path("/tmp/checkrein-pg-a17")
    marker.unlink(missing_ok=True)
    world.must_refuse(
        "SELECT lo_export(1, '/tmp/checkrein-pg-a17')",
        "SELECT lo_import('/etc/passwd')",
        "SELECT lo_from_bytea(0, 'x')",
        "SELECT lo_creat(-1)",
        "SELECT lo_get(1)",
        "SELECT loread(1, 1)",
        "SELECT pg_read_file('/etc/passwd')",
        "SELECT pg_catalog.pg_read_file('PG_VERSION', 0, 10)",
        "SELECT * FROM pg_read_binary_file('PG_VERSION')",
        "SELECT pg_ls_dir('.')",
        "SELECT * FROM pg_stat_file('PG_VERSION')",
        "SELECT query_to_xml('SELECT key FROM secret_keys', true, true, '')",
        "SELECT query_to_xml_and_xmlschema('DELETE FROM secret_keys', true, true, '')",
        "SELECT table_to_xml('secret_keys', true, true, '')",
        "SELECT schema_to_xml('vault', true, true, '')",
        "SELECT database_to_xml(true, true, '')",
        "SELECT cursor_to_xml('c', 1, true, true, '')",
        "SELECT ts_stat('SELECT key::tsvector FROM secret_keys')",
        "SELECT ts_rewrite('a'::tsquery, 'SELECT key::tsquery, key::tsquery FROM secret_keys')",
        "SELECT dblink('dbname=postgres', 'SELECT 1')",
        "SELECT dblink_exec('dbname=postgres', 'DROP TABLE open_items')",
        "SELECT pg_terminate_backend(1)",
        "SELECT pg_cancel_backend(pid) FROM pg_stat_activity",
        "SELECT pg_reload_conf()",
        "SELECT pg_switch_wal()",
        "SELECT pg_create_restore_point('x')",
        "SELECT pg_logical_emit_message(true, 'x', 'y')",
        "SELECT * FROM pg_logical_slot_get_changes('x', NULL, NULL)",
        "SELECT pg_create_logical_replication_slot('x', 'test_decoding')",
        "SELECT pg_rotate_logfile()",
        "SELECT pg_sleep_until(now()), pg_promote()",
        "SELECT passwd FROM pg_shadow",
        "SELECT rolpassword FROM pg_authid",
        "SELECT * FROM pg_user_mapping",
        "SELECT most_common_vals FROM pg_stats",
        "SELECT * FROM pg_statistic",
        "SELECT query FROM pg_stat_activity",
        "SELECT * FROM pg_hba_file_rules",
        "SELECT * FROM pg_largeobject",
        "SELECT * FROM pg_stat_activity",
        "UPDATE pg_class SET relname = 'open_stolen' WHERE relname = 'secret_keys'",
        "DELETE FROM pg_class WHERE oid = 1",
        "SELECT pg_get_viewdef('open_view'), pg_read_file('PG_VERSION')",
        "SELECT brin_summarize_new_values('open_items')",
        "SELECT currval('open_numbers'), setval('secret_seq', 1)",
        "SELECT pg_notify('x', key) FROM secret_keys",
        "NOTIFY x, 'y'",
        "LISTEN x",
        "LOAD 'auto_explain'",
        "CREATE EXTENSION dblink",
        "CREATE EXTENSION file_fdw",
        "CREATE LANGUAGE plpython3u",
        "CREATE SERVER s FOREIGN DATA WRAPPER postgres_fdw",
        "CREATE FOREIGN TABLE open_f (a int) SERVER s",
        "IMPORT FOREIGN SCHEMA public FROM SERVER s INTO public",
        "CREATE SUBSCRIPTION s CONNECTION 'dbname=postgres' PUBLICATION p",
        "CREATE PUBLICATION p FOR TABLE secret_keys",
        "CREATE DATABASE open_db",
        "CREATE TABLESPACE t LOCATION '/tmp'",
        "CREATE ROLE r SUPERUSER LOGIN PASSWORD 'x'",
        "ALTER ROLE postgres PASSWORD 'x'",
        "CREATE OPERATOR ==== (leftarg = int, rightarg = int, function = int4eq)",
        "CREATE CAST (int AS text) WITHOUT FUNCTION",
        "CREATE DOMAIN open_d AS text CHECK (open_wiper() > 0)",
        "CREATE EVENT TRIGGER t ON ddl_command_start EXECUTE FUNCTION open_reader()",
        "SECURITY LABEL ON TABLE secret_keys IS 'x'",
        "REASSIGN OWNED BY postgres TO postgres",
        "DROP OWNED BY postgres",
        "CHECKPOINT",
        "PREPARE TRANSACTION 'x'",
        "COMMIT PREPARED 'x'",
        "EXPLAIN (ANALYZE) SELECT pg_read_file('PG_VERSION')",
        "SELECT txid_current(), pg_export_snapshot(), pg_read_file('PG_VERSION')",
        "SELECT pg_advisory_lock(1), lo_create(0)",
        "SELECT has_table_privilege('secret_keys', 'select'), pg_relation_filepath('secret_keys'), lo_create(0)",
    )
    assert not marker.exists()


def test_pg_a17_function_call(world: World) -> None:
    """FunctionCall names a function by number: refused, and the session goes on."""
    oid = int(world.database.rows("SELECT 'open_wiper()'::regprocedure::oid::int")[0][0])
    message = frame(b"F", oid.to_bytes(4, "big") + b"\0\0\0\0\0\0")
    with world.raw() as raw, world.unchanged():
        for _ in range(3):
            assert raw.ask(message) == "E42501 ZI"
            assert raw.ask(query(b"SELECT 1")) == "T D C ZI"
        assert raw.ask(query(b"BEGIN")) == "C ZT"
        assert raw.ask(message) == "E42501 ZE"
        assert raw.ask(query(b"COMMIT")) == "C ZI"
        assert raw.ask(extended(b"SELECT 1")) == "1 2 T D C ZI"


def test_pg_a18_values_in_bind(world: World) -> None:
    """A rule on parameters sees what Bind carries, in text and in binary, each time."""
    with world.raw() as raw, world.unchanged():
        assert raw.ask(parse(b"s", b"SELECT name FROM open_items WHERE name = $1") + SYNC) == "1 ZI"
        for values, binary in (((b"odin",), False), ((b"x odin y",), True)):
            sent = bind(b"", b"s", values, binary) + describe(b"P") + execute() + SYNC
            assert raw.ask(sent) == "2 T E42501 ZI"
        assert raw.ask(bind(b"", b"s", (b"item 1",)) + execute() + SYNC) == "2 D C ZI"
        assert (
            raw.ask(
                bind(b"p", b"s", (b"item 1",)) + bind(b"q", b"s", (b"odin",)) + execute(b"p") + execute(b"q") + SYNC
            )
            == "2 2 D C E42501 ZI"
        )
        for types, binary in (((25,), False), ((1043,), True), ((), True), ((0,), True), ((705,), True)):
            sent = parse(b"", b"SELECT name FROM open_items WHERE name = $1", types) + bind(
                values=(b"odin",), binary=binary
            )
            assert raw.ask(sent + execute() + SYNC) == "1 2 E42501 ZI"
        assert (
            raw.ask(parse(b"t", b"SELECT name FROM open_items WHERE name = $1") + describe(b"S", b"t") + SYNC)
            == "1 t T ZI"
        )
        assert raw.ask(bind(b"", b"t", (b"item 1",), True) + execute() + SYNC) == "2 D C ZI"
        assert raw.ask(bind(b"", b"t", (b"odin",), True) + execute() + SYNC) == "2 E42501 ZI"
    with world.connect() as connection:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("SELECT name FROM open_items WHERE name = %s", ["odin"])
        assert connection.execute("SELECT name FROM open_items WHERE name = %s", ["item 1"]).fetchall() == [("item 1",)]


def test_pg_a22_roles(world: World) -> None:
    """The session keeps the role of its profile."""
    world.must_refuse(
        "SET ROLE postgres",
        "SET LOCAL ROLE postgres",
        "SET SESSION ROLE 'postgres'",
        "SET SESSION AUTHORIZATION postgres",
        "SET LOCAL SESSION AUTHORIZATION 'postgres'",
        "SET role = 'postgres'",
        "SET session_authorization = 'postgres'",
        "SELECT set_config('role', 'postgres', false)",
        "SELECT set_config('ROLE', 'postgres', true)",
        "SELECT set_config('session_authorization', 'postgres', false)",
        "UPDATE pg_settings SET setting = 'postgres' WHERE name = 'role'",
        "ALTER ROLE postgres SET role = 'postgres'",
        "SET is_superuser = on",
        "SET session_replication_role = replica",
        "BEGIN; SET ROLE postgres; COMMIT",
    )


def test_pg_a30_encodings_with_traps(world: World) -> None:
    """An encoding in which a second byte may be a quote or backslash is never the session's."""
    world.must_refuse(
        "SET client_encoding = 'SJIS'",
        "SET NAMES 'GBK'",
        "SET NAMES 'sjis'",
        "SET client_encoding TO 'BIG5'",
        "SET CLIENT_ENCODING = GB18030",
        "SELECT set_config('client_encoding', 'UHC', false)",
        "SELECT set_config('client_encoding', 'SHIFT_JIS_2004', true)",
        "UPDATE pg_settings SET setting = 'JOHAB' WHERE name = 'client_encoding'",
        "ALTER ROLE postgres SET client_encoding = 'SJIS'",
        "SET client_encoding = 'EUC_JP'",
        "SET client_encoding = 'MULE_INTERNAL'",
    )


def test_pg_a43_backslashes_in_every_encoding(world: World) -> None:
    r"""Bytes that are a character of SJIS, valid UTF-8 or neither, before a quote: the quote is a quote."""
    for encoding in ("UTF8", "LATIN1", "SQL_ASCII"):
        with world.raw(client_encoding=encoding) as raw, world.unchanged():
            for text in (
                b"SELECT '\x83\\', key FROM secret_keys --'",
                b"SELECT '\xc2\xa5\\', key FROM secret_keys --'",
                b"SELECT '\xe8\xa1\xa8\\', key FROM secret_keys --'",
                b"SELECT E'\xc2\xa5\\'', key FROM secret_keys --'",
                b"SELECT E'\xe3\x81\x82\\\\', key FROM secret_keys --'",
                b"SELECT '\xff\\', key FROM secret_keys --'",
                b'SELECT "\xe3\x81" , key FROM secret_keys',
                b"SELECT 'a\\'; DELETE FROM secret_keys; --'",
            ):
                raw.send(query(text))
                answers = raw.until(b"Z")
                if answers[-1][0] != b"Z":
                    break
                assert answers[0][0] == b"E", (encoding, text, answers)
                assert raw.ask(query(b"SELECT 1")) == "T D C ZI"
            assert SECRET.encode() not in raw.seen


@pytest.mark.parametrize(
    "text",
    [
        b"SELECT '\xff'",
        b"SELECT 'a\xc3'",
        b"SELECT '\xed\xa0\x80'",
        b"SELECT '\xc0\xaf'",
        b"SELECT '\xf8\x88\x80\x80\x80'",
    ],
)
def test_pg_a40_text_that_is_not_utf8(world: World, text: bytes) -> None:
    """Bytes that are not UTF-8 get the server's own error code, nothing of them is forwarded; the session goes on."""
    for way in (query, extended):
        with world.raw() as raw, world.unchanged():
            for before, status in ((b"SELECT 1", b"I"), (b"BEGIN", b"E")):
                raw.ask(query(before))
                raw.send(way(text + b"; DELETE FROM secret_keys"))
                answers = raw.until(b"Z")
                assert [kind for kind, _ in answers] == [b"E", b"Z"]
                assert b"C22021\0" in answers[0][1]
                assert answers[1][1] == status
            raw.ask(query(b"ROLLBACK"))
            assert raw.ask(query(b"SELECT 1")) == "T D C ZI"


def test_pg_a40_nul_inside_a_query(world: World) -> None:
    """What stands behind a NUL is no part of the text; such a message is a protocol error."""
    for way in (
        frame(b"Q", b"SELECT 1\0DELETE FROM secret_keys\0"),
        frame(b"Q", b"SELECT 1"),
        frame(b"P", b"\0SELECT 1\0x\0\0\0"),
    ):
        with world.raw() as raw, world.unchanged():
            raw.send(way)
            answers = raw.until(b"Z")
            assert answers[0][0] == b"E"
            assert b"C08P01\0" in answers[0][1]
