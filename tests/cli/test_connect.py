"""`checkrein connect`: what it prints, and the local port that logs in with a fresh token, against real servers."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import psycopg
import pytest

from checkrein.cli.handover import Gateway, LocalPort
from checkrein.protocols import PROTOCOLS
from tests.support import gateway as gateways
from tests.support.postgres import PASSWORD, PASSWORD_USER, PostgresServer

T = TypeVar("T")
LOGIN = PROTOCOLS[0].token_login


def through(server: PostgresServer, token: Callable[[], str], use: Callable[[int], T], ca: str = "") -> T:
    """Serve a local port before a real server that asks for a cleartext password inside TLS; use it in a thread."""
    assert LOGIN is not None
    make = LOGIN

    async def main() -> T:
        local = LocalPort(Gateway(server.host, server.port, ca), lambda: make("postgres", PASSWORD_USER), token)
        listening = await local.listen(0)
        async with listening:
            return await asyncio.to_thread(use, listening.sockets[0].getsockname()[1])

    return asyncio.run(main())


def test_every_connection_logs_in_with_a_fresh_token(postgres: PostgresServer) -> None:
    """Two connections ask for two tokens; user and database of the client are replaced by profile and target."""
    asked: list[int] = []

    def token() -> str:
        asked.append(1)
        return PASSWORD

    def use(port: int) -> list[tuple[str, str]]:
        out = []
        for _ in range(2):
            dsn = f"host=127.0.0.1 port={port} user=anyone dbname=anything application_name=mine"
            with psycopg.connect(dsn) as connection:
                row = connection.execute("SELECT current_user, current_database()").fetchone()
                assert row is not None
                out.append(row)
                rows = connection.execute("SELECT repeat('x', 1000) FROM generate_series(1, 5000)").fetchall()
                assert len(rows) == 5000
        return out

    assert through(postgres, token, use, postgres.ca) == [(PASSWORD_USER, "postgres")] * 2
    assert len(asked) == 2


def test_a_wrong_token_is_told_natively(postgres: PostgresServer) -> None:
    """The far side's own error reaches the client."""

    def use(port: int) -> str:
        with pytest.raises(psycopg.OperationalError) as caught:
            psycopg.connect(f"host=127.0.0.1 port={port} user=x")
        return str(caught.value)

    assert "password authentication failed" in through(postgres, lambda: "wrong", use, postgres.ca)


def test_an_untrusted_gateway_gets_no_token(postgres: PostgresServer) -> None:
    """A certificate that nobody vouches for ends the log-in before a token is even asked for."""
    asked: list[int] = []

    def token() -> str:
        asked.append(1)
        return PASSWORD

    def use(port: int) -> str:
        with pytest.raises(psycopg.OperationalError) as caught:
            psycopg.connect(f"host=127.0.0.1 port={port} user=x")
        return str(caught.value)

    assert "certificate is not trusted" in through(postgres, token, use)
    assert asked == []


def test_a_token_that_cannot_be_had_is_told(postgres: PostgresServer) -> None:
    """When the issuer is away the client is told so in its own protocol."""

    def token() -> str:
        raise ConnectionError("the issuer cannot be reached")

    def use(port: int) -> str:
        with pytest.raises(psycopg.OperationalError) as caught:
            psycopg.connect(f"host=127.0.0.1 port={port} user=x")
        return str(caught.value)

    assert "the issuer cannot be reached" in through(postgres, token, use, postgres.ca)


def test_cancel_goes_through(postgres: PostgresServer) -> None:
    """A cancel request over the local port reaches the server and stops what runs."""

    def sleep(connection: psycopg.Connection[tuple[object, ...]]) -> None:
        with pytest.raises(psycopg.errors.QueryCanceled):
            connection.execute("SELECT pg_sleep(60)")

    def use(port: int) -> None:
        with (
            psycopg.connect(f"host=127.0.0.1 port={port} user=x", autocommit=True) as connection,
            ThreadPoolExecutor() as pool,
        ):
            sleeping = pool.submit(sleep, connection)
            wait_until_running(postgres)
            connection.cancel_safe(timeout=20)  # the plain one holds the GIL, and the port is served in this process
            sleeping.result(30)

    through(postgres, lambda: PASSWORD, use, postgres.ca)


def wait_until_running(postgres: PostgresServer) -> None:
    """Return once the sleeping statement is seen by the server."""
    query = f"SELECT 1 FROM pg_stat_activity WHERE usename = '{PASSWORD_USER}' AND wait_event = 'PgSleep'"
    while not postgres.rows("postgres", query):
        pass


@pytest.mark.parametrize(
    "start",
    [
        b"\x00\x00\x00\x04",
        b"\xff\xff\xff\xff\x00\x03\x00\x00",
        b"\x00\x00\x00\x09\x00\x03\x00\x00x",
        b"GET / HTTP/1.1\r\n\r\n" * 4,
    ],
)
def test_garbage_ends_the_connection(postgres: PostgresServer, start: bytes) -> None:
    """What is no start-up packet is answered with an error or a close, never carried on."""
    import socket

    def use(port: int) -> bytes:
        with socket.create_connection(("127.0.0.1", port), 20) as client:
            client.sendall(start + b"\0" * 16)
            client.shutdown(socket.SHUT_WR)
            out = b""
            while data := client.recv(4096):
                out += data
            return out

    answer = through(postgres, lambda: PASSWORD, use, postgres.ca)
    assert answer == b"" or answer[:1] == b"E"


@pytest.fixture(scope="module")
def running(postgres: PostgresServer) -> Iterator[gateways.Gateway]:
    """A whole gateway before a database of its own."""
    database = postgres.create_database("CREATE TABLE public.t (id int); INSERT INTO public.t VALUES (7)")
    target = gateways.Target(database)
    with gateways.running([target]) as gateway:
        yield gateway
    database.drop()


def test_connect_prints_a_dsn_that_works(running: gateways.Gateway) -> None:
    """The printed DSN, with the token as password, reaches the target over verified TLS."""
    printed = running.command("connect", "db", who="bot").stdout.strip()
    assert "sslmode=verify-full" in printed
    assert running.token("bot") not in printed
    with psycopg.connect(printed, password=running.token("bot")) as connection:
        assert connection.execute("SELECT id FROM public.t").fetchone() == (7,)


def test_connect_refuses_what_is_not_there(running: gateways.Gateway) -> None:
    """An unknown target is status 1 with its name."""
    done = running.command("connect", "nothing", who="bot")
    assert done.returncode == 1
    assert "nothing" in done.stderr


def test_connect_opens_a_local_port(running: gateways.Gateway) -> None:
    """`connect --listen` logs a client without any token in, and ends on SIGTERM."""
    process = subprocess.Popen(
        [sys.executable, "-m", "checkrein.cli", "connect", "db", "--listen", "0"],
        stdout=subprocess.PIPE,
        text=True,
        env={**running.environment("bot"), "PYTHONUNBUFFERED": "1"},
    )
    assert process.stdout is not None
    with process.stdout as output:
        line = output.readline()
        port = line.split("127.0.0.1:")[1].split()[0]
        with psycopg.connect(f"host=127.0.0.1 port={port} user=any dbname=any") as connection:
            assert connection.execute("SELECT id FROM public.t").fetchone() == (7,)
        process.terminate()
        process.wait(10)
