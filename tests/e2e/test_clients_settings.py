"""The settings that real clients set, captured on the wire before a real server: none of them is stopped."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pg8000.native
import psycopg
import psycopg2.extensions
import pytest
import sqlalchemy
from sqlalchemy.ext.asyncio import create_async_engine

from checkrein.protocols.postgres import parser
from checkrein.protocols.postgres.settings import FREE, LOCAL, normalise, setting_class, startup_parameters
from tests.e2e.test_clients_go import program
from tests.support.postgres import PASSWORD, Database
from tests.support.proxy import Proxy

__all__ = ["program"]

Setting = tuple[str, str | None]


class Captured:
    """What one client sent: start-up parameters, and texts of statements."""

    def __init__(self, proxy: Proxy, port: int, database: str) -> None:
        self.port = port
        self.database = database
        self._proxy = proxy

    @property
    def environment(self) -> dict[str, str]:
        """Return libpq's variables for the way through the proxy."""
        found = {key: value for key, value in os.environ.items() if not key.startswith("PG")}
        own = {"PGHOST": "127.0.0.1", "PGPORT": str(self.port), "PGDATABASE": self.database, "PGUSER": "postgres"}
        return {**found, **own, "PGPASSWORD": PASSWORD, "PGSSLMODE": "disable", "PGGSSENCMODE": "disable"}

    def url(self, driver: str) -> sqlalchemy.URL:
        """Return SQLAlchemy's address of it."""
        return sqlalchemy.URL.create(driver, "postgres", PASSWORD, "127.0.0.1", self.port, self.database)

    def dsn(self) -> str:
        """Return libpq's connection string of it."""
        return psycopg.conninfo.make_conninfo(
            "", host="127.0.0.1", port=self.port, dbname=self.database, user="postgres", password=PASSWORD,
            sslmode="disable",
        )  # fmt: skip

    def run(self, *command: str, **env: str) -> None:
        """Run a program with it."""
        subprocess.run(command, env={**self.environment, **env}, check=True, capture_output=True, timeout=90)

    def startups(self) -> list[dict[str, str]]:
        """Return the parameters of every start-up message."""
        found = []
        for one in self._proxy.connections:
            size = int.from_bytes(one.up[:4], "big")
            words = bytes(one.up[8:size]).rstrip(b"\0").split(b"\0")
            found.append({k.decode(): v.decode() for k, v in zip(words[::2], words[1::2], strict=False)})
        return [one for one in found if one]

    def texts(self) -> list[str]:
        """Return the text of every Query and Parse."""
        found = []
        for one in self._proxy.connections:
            at = int.from_bytes(one.up[:4], "big")
            while at + 5 <= len(one.up):
                kind, size = one.up[at : at + 1], int.from_bytes(one.up[at + 1 : at + 5], "big")
                payload = bytes(one.up[at + 5 : at + 1 + size])
                at += 1 + size
                if kind in (b"Q", b"P"):
                    found.append(payload.split(b"\0")[1 if kind == b"P" else 0].decode())
        return found

    def settings(self) -> set[Setting]:
        """Return every setting that the texts set or reset, with its value where that is a constant."""
        return {found for text in self.texts() for found in settings_of(text)}


def settings_of(text: str) -> Iterator[Setting]:
    """Find SET, RESET and set_config in a text."""
    tree = parser.parse_json(text)
    if not isinstance(tree, parser.SyntaxProblem):
        pinned = re.search(r"FROM pg_settings WHERE name = '(\w+)'", text)
        yield from _in(parser.decode(tree), pinned[1] if pinned else None)


def _in(node: Any, pinned: str | None) -> Iterator[Setting]:
    if isinstance(node, list):
        for item in node:
            yield from _in(item, pinned)
    elif isinstance(node, dict):
        for key, inner in node.items():
            if key == "VariableSetStmt" and inner["kind"] != "VAR_RESET_ALL":
                yield normalise(inner["name"]), _constant(inner.get("args", [{}])[0])
            if key == "FuncCall" and inner["funcname"][-1]["String"]["sval"] == "set_config":
                name = _constant(inner["args"][0]) or pinned  # pg_dump takes it from pg_settings, where it is there
                assert name is not None, "a computed name"
                yield normalise(name), _constant(inner["args"][1])
            yield from _in(inner, pinned)


def _constant(node: Any) -> str | None:
    value = node.get("A_Const", {})
    for field, word in (("sval", "sval"), ("ival", "ival"), ("boolval", "boolval")):
        if field in value:
            return str(value[field].get(word, 0))
    return None


@contextlib.contextmanager
def capturing(database: Database) -> Iterator[Captured]:
    """Carry clients to the server and keep what they say."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    proxy = Proxy(database.server.host, database.server.port)
    try:
        _, port = asyncio.run_coroutine_threadsafe(proxy.start(), loop).result(10)
        yield Captured(proxy, port, database.name)
    finally:
        asyncio.run_coroutine_threadsafe(proxy.stop(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


# --- the clients -------------------------------------------------------------------------------


def psql(captured: Captured) -> None:
    """psql, with what libpq takes from its environment."""
    captured.run("psql", "-c", r"\d", "-c", r"\encoding UTF8", "-c", "SELECT 1")
    captured.run("psql", "-c", "SELECT 1", PGTZ="UTC", PGDATESTYLE="ISO", PGGEQO="on", PGCLIENTENCODING="UTF8")
    captured.run("psql", "-c", "SELECT 1", PGAPPNAME="x", PGOPTIONS="-c statement_timeout=5s --work_mem=8MB")


def pg_dump(captured: Captured) -> None:
    """pg_dump, by a schema and with data."""
    captured.run("pg_dump", "--lock-wait-timeout=5s", "--inserts", "-n", "public")
    captured.run("pg_dump", "--serializable-deferrable", "--quote-all-identifiers", "--enable-row-security")


def pgbench(captured: Captured) -> None:
    """pgbench, set up and run."""
    captured.run("pgbench", "-i", "-s", "1")
    captured.run("pgbench", "-t", "2", "-M", "prepared")


def psycopg_(captured: Captured) -> None:
    """psycopg 3 with the transaction's characteristics that it offers."""
    with psycopg.connect(captured.dsn(), client_encoding="utf8", options="-c lock_timeout=1s") as connection:
        connection.isolation_level = psycopg.IsolationLevel.SERIALIZABLE
        connection.read_only = connection.deferrable = True
        connection.execute("SELECT now(), '{a}'::text[]")


def psycopg2_(captured: Captured) -> None:
    """psycopg2: session characteristics, and encodings that it sets itself."""
    connection = psycopg2.connect(captured.dsn(), client_encoding="utf8", options="-c lock_timeout=1000")
    connection.set_session("SERIALIZABLE", readonly=True, deferrable=True, autocommit=True)
    connection.cursor().execute("SELECT 1")
    connection.set_session("READ COMMITTED", readonly=False, deferrable=False, autocommit=False)
    connection.cursor().execute("SELECT 1")
    connection.rollback()
    connection.set_client_encoding("UTF8")
    connection.close()


def asyncpg_(captured: Captured) -> None:
    """asyncpg: a pool, which resets its connections, transactions, types that it looks up."""

    async def main() -> None:
        url = captured.url("postgresql").render_as_string(False)
        more = {"search_path": "public", "statement_timeout": "5000"}
        async with asyncpg.create_pool(url, ssl=False, min_size=1, max_size=1, server_settings=more) as pool:
            async with pool.acquire() as one, one.transaction(isolation="serializable", readonly=True):
                await one.fetch("SELECT ARRAY[ROW(1, 'a')::public.pair], 'a'::public.mood")
            async with pool.acquire() as one:
                await one.set_type_codec("json", encoder=json.dumps, decoder=json.loads, schema="pg_catalog")

    asyncio.run(main())


def pg8000_(captured: Captured) -> None:
    """pg8000, by its own interface."""
    connection = pg8000.native.Connection(
        "postgres", "127.0.0.1", captured.database, captured.port, PASSWORD, application_name="x", ssl_context=False
    )
    connection.run("SELECT 1")
    connection.close()


def alchemy(captured: Captured) -> None:
    """SQLAlchemy over each driver, in every isolation level, with reflection."""
    for driver in ("postgresql+psycopg", "postgresql+psycopg2", "postgresql+pg8000"):
        plain: dict[str, Any] = {"ssl_context": False} if driver.endswith("pg8000") else {"sslmode": "disable"}
        engine = sqlalchemy.create_engine(captured.url(driver), connect_args=plain)
        for level in ("SERIALIZABLE", "REPEATABLE READ", "READ COMMITTED", "READ UNCOMMITTED", "AUTOCOMMIT"):
            with engine.connect().execution_options(isolation_level=level) as connection:
                connection.execute(sqlalchemy.text("SELECT 1"))
        options = {"isolation_level": "SERIALIZABLE", "postgresql_readonly": True, "postgresql_deferrable": True}
        with engine.connect().execution_options(**options) as connection:
            sqlalchemy.MetaData().reflect(connection)
        engine.dispose()

    async def main() -> None:
        engine = create_async_engine(captured.url("postgresql+asyncpg"), connect_args={"ssl": False})
        async with engine.connect() as connection:
            await connection.run_sync(lambda sync: sqlalchemy.MetaData().reflect(sync))
        await engine.dispose()

    asyncio.run(main())


DJANGO = """
import os
from django.conf import settings
own = {"ENGINE": "django.db.backends.postgresql", "NAME": os.environ["PGDATABASE"], "USER": "postgres"}
own |= {"HOST": "127.0.0.1", "PORT": os.environ["PGPORT"], "PASSWORD": os.environ["PGPASSWORD"]}
own |= {"OPTIONS": {"assume_role": None, "isolation_level": 3}, "TIME_ZONE": "Europe/Paris"}
settings.configure(DATABASES={"default": own}, USE_TZ=True, TIME_ZONE="UTC")
from django.db import connection, transaction
with transaction.atomic(), connection.cursor() as cursor:
    cursor.execute("SELECT 1")
    print(connection.introspection.table_names(cursor))
"""


def django(captured: Captured) -> None:
    """Django, with a time zone of its own."""
    captured.run(sys.executable, "-c", DJANGO)


CLIENTS = [psql, pg_dump, pgbench, psycopg_, psycopg2_, asyncpg_, pg8000_, alchemy, django]
SENT = {
    "psql": {"application_name", "client_encoding", "timezone", "datestyle", "geqo", "statement_timeout", "work_mem"},
    "pg_dump": {"datestyle", "extra_float_digits", "search_path", "lock_timeout", "row_security", "statement_timeout"},
    "psycopg_": {"client_encoding", "lock_timeout"},
    "psycopg2_": {"client_encoding", "lock_timeout", "default_transaction_isolation"},
    "asyncpg_": {"client_encoding", "search_path", "jit"},
    "pg8000_": {"application_name"},
    "alchemy": {"session characteristics"},
    "django": {"timezone"},
}
"""Some that each is known to send: the capture sees them."""


def check(captured: Captured) -> set[str]:
    """Assert that everything captured may be set; return the names."""
    starts = captured.startups()
    assert starts
    names: set[str] = set()
    for given in starts:
        sorted_out = startup_parameters(given)
        assert sorted_out.refused == (), given
        names |= sorted_out.forward.keys() | ({"application_name"} if sorted_out.application else set())
    for name, value in captured.settings():
        assert setting_class(name, value) in (FREE, LOCAL), (name, value)
        names.add(name)
    return names


@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.__name__.rstrip("_"))
def test_what_clients_set_is_free(database: Database, client: Callable[[Captured], None]) -> None:
    """Start-up parameters, SET, RESET and set_config of each client are free, or kept by the gateway."""
    program_name = client.__name__ if client in (psql, pg_dump, pgbench) else ""
    if program_name and shutil.which(program_name) is None:
        pytest.skip(f"no {program_name}")
    database.run("CREATE TYPE mood AS ENUM ('a'); CREATE TYPE pair AS (n int, t text); CREATE TABLE t (id int)")
    with capturing(database) as captured:
        client(captured)
        names = check(captured)
    print(client.__name__, *sorted(names))
    assert SENT.get(client.__name__, set()) <= names, names


GO_SCHEMA = "CREATE TABLE orders (id int, amount numeric); CREATE TABLE scratch (id int, label text)"


@pytest.mark.timeout(300)
def test_what_pgx_sets_is_free(database: Database, program: Path) -> None:
    """The same of Go's pgx, as far as its program gets in an almost empty database."""
    database.run(GO_SCHEMA)
    with capturing(database) as captured:
        subprocess.run([program], env=captured.environment, check=False, capture_output=True, timeout=90)
        names = check(captured)
    print("pgx", *sorted(names))
    assert captured.texts()


def test_the_capture_finds_settings() -> None:
    """SET in its forms, RESET and set_config are found wherever they stand."""
    text = "SET TIME ZONE 'UTC'; SELECT set_config('jit', 'off', false) FROM (SELECT set_config('role', $1, true)) x"
    assert set(settings_of(text)) == {("timezone", "UTC"), ("jit", "off"), ("role", None)}
    assert set(settings_of("RESET ALL; RESET work_mem")) == {("work_mem", None)}
    assert set(settings_of("SET NAMES 'LATIN1'; SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY")) == {
        ("client_encoding", "LATIN1"),
        ("session characteristics", None),
    }
