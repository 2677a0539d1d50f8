"""What may be set, by SET and by start-up parameters alike."""

from __future__ import annotations

import pytest

from checkrein.protocols.postgres.settings import (
    FREE,
    LOCAL,
    REFUSED,
    REFUSED_SETTINGS,
    parse_options,
    refusal_reason,
    setting_class,
    startup_parameters,
)
from tests.support.postgres import PostgresServer

# What the drivers and tools named are known to send; the client tests run them.
SENT = [
    ("statement_timeout", "0"),  # pg_dump
    ("lock_timeout", "0"),
    ("idle_in_transaction_session_timeout", "0"),
    ("transaction_timeout", "0"),
    ("client_encoding", "UTF8"),
    ("client_encoding", "SQL_ASCII"),
    ("standard_conforming_strings", "on"),
    ("synchronize_seqscans", "off"),
    ("row_security", "off"),
    ("quote_all_identifiers", "true"),
    ("xmloption", "content"),
    ("check_function_bodies", "false"),
    ("default_tablespace", ""),
    ("default_table_access_method", "heap"),
    ("DATESTYLE", "ISO"),
    ("INTERVALSTYLE", "POSTGRES"),
    ("extra_float_digits", "3"),  # pgjdbc
    ("TimeZone", "Europe/Berlin"),
    ("TIME ZONE", "UTC"),
    ("search_path", ""),
    ("jit", "off"),  # asyncpg
    ("client_min_messages", "warning"),
    ("SESSION CHARACTERISTICS", None),
    ("default_transaction_isolation", "read committed"),  # SQLAlchemy
    ("datestyle", "ISO, MDY"),  # Npgsql, node-postgres
    ("NAMES", "utf-8"),
    ("app.user_id", "17"),
]


@pytest.mark.parametrize(("name", "value"), SENT)
def test_what_drivers_send_is_free(name: str, value: str | None) -> None:
    """Settings that real drivers and tools send pass, in whatever case."""
    assert setting_class(name, value) == FREE


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("role", "postgres"),
        ("SESSION_AUTHORIZATION", "postgres"),
        ("standard_conforming_strings", "off"),
        ("standard_conforming_strings", None),
        ("client_encoding", "SJIS"),
        ("client_encoding", "GBK"),
        ("client_encoding", "BIG5"),
        ("client_encoding", None),
        ("NAMES", "sjis"),
        ("session_replication_role", "replica"),
        ("log_statement", "none"),
        ("log_min_duration_statement", "-1"),
        ("backslash_quote", "on"),
        ("transform_null_equals", "on"),
        ("local_preload_libraries", "x"),
        ("bytea_output", "escape"),
        ("lc_messages", "de_DE"),
        ("pgaudit.log", "none"),
        ("auto_explain.log_min_duration", "0"),
        ("anon.transparent_dynamic_masking", "off"),
        ("something_new", "1"),
        ("app.", "1"),
        (".x", "1"),
    ],
)
def test_what_alters_reading_roles_or_logs_is_refused(name: str, value: str | None) -> None:
    """A setting that alters how a text is read, who runs it or what is logged is refused; an unknown one too."""
    assert setting_class(name, value) == REFUSED
    assert refusal_reason(name).isprintable()


def test_application_name_is_the_gateways() -> None:
    """application_name is answered by the gateway: on the target it carries the principal."""
    assert setting_class("Application_Name", "psql") == LOCAL


def test_startup_parameters_are_judged_as_set_is() -> None:
    """options are taken apart; free ones are forwarded, the rest refused by name."""
    given = {
        "user": "u",
        "database": "d",
        "application_name": "psql",
        "client_encoding": "UTF8",
        "_pq_.feature": "1",
        "options": r"-c statement_timeout=5s --search-path=a\ b -csession_replication_role=replica",
    }
    sorted_out = startup_parameters(given)
    assert sorted_out.forward | {"session_replication_role": ""} == {
        "client_encoding": "UTF8",
        "statement_timeout": "5s",
        "search_path": "a b",
        "session_replication_role": "",
    }
    assert sorted_out.application == "psql"
    assert len(sorted_out.refused) == 1 and "session_replication_role" in sorted_out.refused[0]


@pytest.mark.parametrize(
    "given",
    [
        {"replication": "database"},
        {"replication": "true"},
        {"options": "-d 5"},
        {"options": "-c"},
        {"options": "-c standard_conforming_strings=off"},
        {"options": "--role=postgres"},
        {"options": "-c client-encoding=SJIS"},
        {"client_encoding": "SJIS"},
        {"Role": "postgres"},
        {"options": "-c application_name=x -c ROLE=postgres"},
    ],
)
def test_startup_refuses(given: dict[str, str]) -> None:
    """Replication, other switches of the server, and refused settings in any guise are refused."""
    assert startup_parameters(given).refused


def test_no_replication_is_fine() -> None:
    """replication=false is what some pools send."""
    assert startup_parameters({"user": "u", "replication": "false"}).refused == ()


@pytest.mark.parametrize("text", ["-c a=b", "--a=b", "-ca=b", r"-c a=b\ c", r"-c a=\\", "-c\ta=b\n", ""])
def test_options_are_split_as_the_server_splits_them(text: str, postgres: PostgresServer) -> None:
    """What is parsed here is what the real server makes of the same options (with x.a for a)."""
    import psycopg

    text = text.replace("a=", "x.a=")
    parsed = parse_options(text)
    assert parsed is not None
    with psycopg.connect(postgres.dsn(options=text)) as connection:
        found = connection.execute("SELECT current_setting('x.a', true)").fetchone()
    assert found is not None
    assert dict(parsed).get("x.a") == found[0]


def test_refused_names_are_real_settings(postgres: PostgresServer) -> None:
    """Names with a reason of their own exist on the server, but for those of other versions: no misspelt guard."""
    real = {name for (name,) in postgres.rows("postgres", "SELECT name FROM pg_settings")}
    assert set(REFUSED_SETTINGS) - real <= {
        "role",
        "session_authorization",
        "operator_precedence_warning",
        "lo_compat_privileges",
    }
