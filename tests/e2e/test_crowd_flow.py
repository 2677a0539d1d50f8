"""Clients that do nothing, or stop reading: they cost the others nothing."""

from __future__ import annotations

import contextlib
import resource
import socket
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from checkrein.core.limits import LOGIN_SECONDS, SESSION_FILES, SPARE_FILES
from checkrein.dataplane.listener import raise_files
from tests.support.gateway import Gateway, Target, running
from tests.support.postgres import PostgresServer

IDLE = 3000
FILES = 400
"""Open files that a small machine lets the gateway have: (400 - SPARE_FILES) // SESSION_FILES connections."""
GROWTH = 96 * 1024 * 1024
"""What a reader that stalls may cost: write and read buffers of both sides, and what the allocator keeps."""


@pytest.fixture(scope="module")
def gateway(postgres: PostgresServer) -> Iterator[Gateway]:
    """A gateway that lets loopback clients do without TLS, before a database of its own."""
    database = postgres.create_database()
    with running([Target(database)], config="tls: {loopback_plaintext: true}") as made:
        yield made
    database.drop()


def resident(gateway: Gateway) -> int:
    """Return the gateway's resident memory in bytes."""
    status = Path(f"/proc/{gateway.process.pid}/status").read_text()
    return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmRSS"))


def test_gw_1_clients_that_say_nothing(gateway: Gateway) -> None:
    """A client that says nothing, or half a start-up packet, is hung up on in time; others work meanwhile."""
    silent = socket.create_connection(("127.0.0.1", gateway.port))
    halfway = socket.create_connection(("127.0.0.1", gateway.port))
    with contextlib.closing(silent), contextlib.closing(halfway):
        halfway.sendall(struct.pack("!i", 100) + b"\0\3")
        for sock in (silent, halfway):
            sock.settimeout(LOGIN_SECONDS + 10)
        with gateway.connect() as working:
            assert working.execute("SELECT 1").fetchone() == (1,)
        assert silent.recv(1) == b""
        assert halfway.recv(1) == b""


def test_gw_2_a_client_that_stops_reading(gateway: Gateway) -> None:
    """A result of 200 MB to a client that reads nothing stays at the target; the gateway's memory stays bounded."""
    with gateway.connect() as warm:
        warm.execute("SELECT repeat('x', 1000) FROM generate_series(1, 2000)").fetchall()
    before = resident(gateway)
    stalled = gateway.connect()
    stalled.pgconn.send_query(b"SELECT repeat('x', 100000) FROM generate_series(1, 2000)")
    stalled.pgconn.flush()
    with gateway.connect() as other:
        for _ in range(200):
            assert other.execute("SELECT repeat('y', 1000)").fetchone() is not None
    assert resident(gateway) - before < GROWTH
    stalled.close()


def test_gw_3_a_crowd_that_idles(gateway: Gateway) -> None:
    """Thousands of connections that do nothing do not keep one that works from working."""
    raise_files()
    with contextlib.ExitStack() as crowd:
        for _ in range(IDLE):
            crowd.enter_context(contextlib.closing(socket.create_connection(("127.0.0.1", gateway.port))))
        with gateway.connect() as working:
            assert working.execute("SELECT 2").fetchone() == (2,)


def test_gw_32_a_crowd_takes_no_file_that_the_gateway_needs(postgres: PostgresServer) -> None:
    """Where few files may be open, connections too many are closed at once; control, journals and sessions work on."""
    database = postgres.create_database()
    most = (FILES - SPARE_FILES) // SESSION_FILES
    with running([Target(database)]) as gateway, contextlib.ExitStack() as crowd:
        resource.prlimit(gateway.process.pid, resource.RLIMIT_NOFILE, (FILES, FILES))
        working = crowd.enter_context(gateway.connect())
        sockets = [socket.create_connection(("127.0.0.1", gateway.port)) for _ in range(FILES)]
        for sock in sockets:
            crowd.enter_context(contextlib.closing(sock))
            sock.settimeout(LOGIN_SECONDS)
        for sock in sockets[most - 1 :]:
            with contextlib.suppress(ConnectionResetError):
                assert sock.recv(1) == b""
        assert working.execute("SELECT 3").fetchone() == (3,)
        assert [one["target"] for one in gateway.sessions()] == ["db"]
    database.drop()
