"""What must never be stopped: drivers' and tools' own statements read completely, and need no rule."""

from __future__ import annotations

import os
import re
import subprocess

import pytest
import sqlalchemy

from checkrein.core.statement import Statement
from tests.protocols.postgres.reading.shop import Shop, shop
from tests.support.postgres import PASSWORD, SUPERUSER, PostgresServer

__all__ = ["shop"]


def _calm(statement: Statement) -> bool:
    return statement.complete and all(effect.housekeeping for effect in statement.effects)


@pytest.mark.parametrize(
    "text",
    [
        "SELECT 1", "VALUES (1)", "SHOW server_version", "EXPLAIN SELECT 1", "select version()",
        "SELECT current_schema()",
        "select pg_is_in_recovery()", "SELECT 'DROP TABLE x'", "select has_table_privilege('customers', 'DELETE')",
        "with \"select\" as (select 1) select * from \"select\"", "BEGIN", "COMMIT", "ROLLBACK",
        "SET extra_float_digits = 3",
        "SET application_name = 'x'", "select set_config('search_path', '', false)", "SET client_encoding TO 'UTF8'",
        "BEGIN READ ONLY", "CLOSE ALL", "UNLISTEN *", "RESET ALL",
        "DISCARD ALL", "DEALLOCATE ALL", "select current_database(), session_user, inet_server_addr()",
        "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY", "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ",
        "SELECT typname, oid, typarray FROM pg_type WHERE typname = any($1)", "SHOW TRANSACTION ISOLATION LEVEL",
        "select t.oid, t.typname from pg_catalog.pg_type t left join pg_catalog.pg_class c on t.typrelid = c.oid",
        "SELECT name, setting FROM pg_settings", "select * from information_schema.columns", "SET timezone TO 'UTC'",
    ],
)  # fmt: skip
def test_what_clients_send(shop: Shop, text: str) -> None:
    """Statements of drivers, pools and metadata browsers need no rule."""
    for reading in shop.readings(text):
        assert _calm(reading.statement), (reading.statement.conceded, reading.statement.effects)


PSQL = r"\d+|\d customers|\d+ v_cust|\d+ part|\d ser_id_seq|\dt+|\dv+|\dm+|\di+|\ds+|\df+|\du+|\dn+|\l+|\dT+|\dp"
PSQL += r"|\dx+|\dD+|\dC+|\do+|\da|\dF+|\dFd+|\dFp+|\dFt+|\db+|\dc+|\dd|\ddp|\des+|\dew+|\det+|\dL+|\dO+|\dP+"
PSQL += r"|\drds|\dRp+|\dRs|\dy+|\dA+|\dAc+|\dAf+|\dAo+|\dAp+|\dE+|\sf f|\sv v_cust|\z|\d hascomp|\dS+"


def _psql(postgres: PostgresServer, shop: Shop) -> list[str]:
    """Return the statements that psql's commands send."""
    info = shop.connection.info
    script = "\n".join(PSQL.split("|"))
    done = subprocess.run(
        ["psql", "-X", "-E", "-h", "127.0.0.1", "-p", str(info.port), "-U", SUPERUSER, "-d", info.dbname],
        input=script, capture_output=True, text=True, timeout=60, env={"PGPASSWORD": PASSWORD, "PATH": _path(postgres)},
    )  # fmt: skip
    return re.findall(r"\*{9} QUERY \*{10}\n(.*?)\n\*{26}", done.stdout, re.S)


def _path(postgres: PostgresServer) -> str:
    return os.environ["PATH"] + ":/usr/lib/postgresql/15/bin"


def test_psql_describes(postgres: PostgresServer, shop: Shop) -> None:
    """psql's \\d family reads completely, needs no rule, and is predicted as the server describes it."""
    queries = _psql(postgres, shop)
    assert len(queries) > 60
    for query in dict.fromkeys(queries):
        for reading in shop.readings(query):
            assert _calm(reading.statement), (reading.statement.conceded, reading.statement.effects, query)
            outputs = [(output.name, output.witness) for output in reading.statement.outputs or ()]
            assert outputs == shop.described(query), query


def test_sqlalchemy_reflects(shop: Shop) -> None:
    """SQLAlchemy's reflection of tables, views, keys, types and comments likewise."""
    info = shop.connection.info
    url = sqlalchemy.URL.create(
        "postgresql+psycopg2", SUPERUSER, PASSWORD, "127.0.0.1", info.port, info.dbname
    )  # fmt: skip
    engine = sqlalchemy.create_engine(url)
    sent: list[str] = []

    @sqlalchemy.event.listens_for(engine, "before_cursor_execute")
    def _note(connection: object, cursor: object, statement: str, parameters: object, *rest: object) -> None:
        text = cursor.mogrify(statement, parameters) if parameters else statement  # type: ignore[attr-defined]
        sent.append(text.decode() if isinstance(text, bytes) else text)

    inspector = sqlalchemy.inspect(engine)
    for table in ("customers", "orders", "accounts"):
        inspector.get_columns(table)
        inspector.get_indexes(table)
        inspector.get_foreign_keys(table)
        inspector.get_check_constraints(table)
        inspector.get_unique_constraints(table)
        inspector.get_pk_constraint(table)
        inspector.get_table_comment(table)
    inspector.get_view_definition("v_cust")
    inspector.get_enums()
    inspector.get_sequence_names()
    inspector.get_schema_names()
    engine.dispose()
    assert len(sent) > 20
    for text in sent:
        for reading in shop.readings(text):
            assert _calm(reading.statement), (reading.statement.conceded, reading.statement.effects, text)
