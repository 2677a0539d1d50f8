"""PG-A: what a client can say before it is let in, cancels, and start-ups that never end."""

from __future__ import annotations

import contextlib
import selectors
import socket
import ssl
import struct
import time
from collections.abc import Callable

import psycopg
import pytest

from checkrein.core.framing import frame
from checkrein.core.limits import LOGIN_SECONDS
from tests.bypass.attack import SECRET, World, dial, execute, parse, query, startup

CANCEL = 80877102
SSL_REQUEST = struct.pack(">II", 8, 80877103)
GSS_REQUEST = struct.pack(">II", 8, 80877104)


def _plain(world: World) -> socket.socket:
    return socket.create_connection(("127.0.0.1", world.gateway.port), timeout=30)


def _rest(wire: socket.socket) -> bytes:
    """Return everything until the gateway closes the connection."""
    data = b""
    with contextlib.suppress(ConnectionError, ssl.SSLError):
        while piece := wire.recv(65536):
            data += piece
    return data


def _alive(world: World) -> None:
    with world.raw() as raw:
        assert raw.ask(query(b"SELECT 1")) == "T D C ZI"


def test_pg_a03_tls_without_asking(world: World) -> None:
    """A TLS handshake without SSLRequest is closed, not taken for a start-up packet."""
    context = ssl.create_default_context(cafile=str(world.gateway.ca))
    context.set_alpn_protocols(["postgresql"])
    with _plain(world) as plain, pytest.raises((ssl.SSLError, ConnectionError)):
        context.wrap_socket(plain, server_hostname="127.0.0.1")
    _alive(world)


def test_pg_a03_bytes_smuggled_before_tls(world: World) -> None:
    """What arrives together with an SSLRequest was not encrypted: the connection is closed, nothing of it is used."""
    inside = startup({"user": "default", "database": "db"}) + frame(b"p", world.gateway.token("bot").encode() + b"\0")
    with _plain(world) as wire, world.unchanged():
        wire.sendall(SSL_REQUEST + inside + query(b"DROP TABLE open_items"))
        assert _rest(wire)[:1] in (b"", b"E", b"S")
    with _plain(world) as wire:
        wire.sendall(SSL_REQUEST + SSL_REQUEST)
        assert len(_rest(wire)) < 200
    _alive(world)


def test_pg_a03_asking_again_and_gss(world: World) -> None:
    """GSSENCRequest is answered N; a second SSLRequest, inside TLS, is an error, as the server has it."""
    with _plain(world) as wire:
        wire.sendall(GSS_REQUEST)
        assert wire.recv(1) == b"N"
        wire.sendall(SSL_REQUEST)
        assert wire.recv(1) == b"S"
    with dial(world.gateway) as wire:
        wire.sendall(SSL_REQUEST)
        assert _rest(wire)[:1] == b"E"


STARTUPS = [
    struct.pack(">I", 4),
    struct.pack(">I", 0),
    struct.pack(">I", 7) + b"\0\0\0",
    struct.pack(">I", 0xFFFFFFFF),
    struct.pack(">I", 0x80000000),
    struct.pack(">II", 8, 3 << 16),
    struct.pack(">II", 9, 3 << 16) + b"\0",
    struct.pack(">II", 13, 3 << 16) + b"user\0",
    struct.pack(">II", 14, 3 << 16) + b"user\0\0",
    struct.pack(">II", 15, 3 << 16) + b"user\0a\0",
    struct.pack(">II", 14, 3 << 16) + b"user\0a",
    struct.pack(">II", 16, 3 << 16) + b"\0user\0a\0",
    struct.pack(">II", 19, 3 << 16) + b"user\0a\0\0abc",
    struct.pack(">II", 23, 3 << 16) + b"user\0a\0user\0b\0\0"[:15],
    struct.pack(">II", 24, 3 << 16) + b"user\0a\0user\0b\0\0\0",
    struct.pack(">II", 20, 2 << 16) + b"user\0a\0\0\0\0\0\0",
    struct.pack(">II", 16, 4 << 16) + b"user\0a\0\0",
    struct.pack(">II", 16, 0) + b"user\0a\0\0",
    struct.pack(">II", 12, CANCEL) + b"\0\0\0\1",
    struct.pack(">II", 8, CANCEL),
    struct.pack(">II", 8 + 300, CANCEL) + b"x" * 300,
    struct.pack(">II", 10001, 3 << 16) + b"user\0a\0" + b"x" * 9986,
    struct.pack(">II", 16, 3 << 16) + b"user\0\xff\0\0",
    startup({"user": "default", "database": "db", "user ": "x"}) + b"trailing",
    startup({"user": "nobody", "database": "db"}),
    b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01",
    b"\0" * 64,
]


@pytest.mark.parametrize("packet", STARTUPS, ids=range(len(STARTUPS)))
def test_pg_a31_malformed_start_up(world: World, packet: bytes) -> None:
    """A start-up packet of any shape ends in an error or a close, inside TLS and without; nobody else notices."""
    for connect in (_plain, lambda world: dial(world.gateway)):
        with connect(world) as wire:
            wire.sendall(packet)
            with contextlib.suppress(OSError):
                wire.shutdown(socket.SHUT_WR) if not isinstance(wire, ssl.SSLSocket) else wire.sendall(b"p\0\0\0\5\0")
            answer = _rest(wire)
            assert answer[:1] in (b"", b"E", b"R"), answer
            assert b"Z\0\0\0\5" not in answer
            assert SECRET.encode() not in answer
    _alive(world)


@pytest.mark.parametrize("value", ["true", "on", "1", "yes", "t", "database", "TRUE", "tru", "y"])
def test_pg_a29_replication(world: World, value: str) -> None:
    """A replication connection is refused at start-up; its commands are no statements."""
    with world.raw(replication=value) as raw:
        kind, payload = raw.greeting[-1]
        assert kind == b"E" and b"replication" in payload
        assert raw.over()


def test_pg_a29_replication_commands(world: World) -> None:
    """Commands of the replication protocol are refused like any text that is no SQL."""
    world.must_refuse(
        "IDENTIFY_SYSTEM",
        "START_REPLICATION 0/0",
        "CREATE_REPLICATION_SLOT x LOGICAL test_decoding",
        "BASE_BACKUP",
        "READ_REPLICATION_SLOT x",
        "TIMELINE_HISTORY 1",
    )


def _cancel(world: World, key: bytes, tls: bool = False) -> bytes:
    packet = struct.pack(">II", 8 + len(key), CANCEL) + key
    with dial(world.gateway) if tls else _plain(world) as wire:
        wire.sendall(packet)
        return _rest(wire)


def test_pg_a23_cancel_of_another_session(world: World) -> None:
    """Only the key that the gateway gave cancels, and only that session; the server's secret is not known outside."""
    with world.database.connect() as direct, world.raw() as victim, world.raw() as other:
        direct.execute("BEGIN; LOCK TABLE open_queue IN ACCESS EXCLUSIVE MODE")
        victim.send(query(b"SELECT what FROM open_queue"))
        pid = _waiting(direct)
        assert victim.key[:4] == struct.pack(">I", pid) and len(victim.key) == 8
        rows = direct.execute("SELECT pid FROM pg_stat_activity WHERE datname = current_database()").fetchall()
        secret = victim.key[4:]
        wrong = [
            victim.key[:4] + bytes(4),
            victim.key[:4] + bytes([secret[0] ^ 1]) + secret[1:],
            other.key,
            other.key[:4] + secret,
            victim.key[:4] + other.key[4:],
            bytes(8),
            victim.key + b"\0\0\0\0",
            *[struct.pack(">I", one) + secret for (one,) in rows if one != pid],
        ]
        for key in wrong:
            for tls in (False, True):
                assert _cancel(world, key, tls) == b""
        _no_cancel_at_the_server(world, victim.key)
        assert _waiting(direct) == pid
        assert _cancel(world, victim.key) == b""
        assert victim.until(b"Z")[0][1].find(b"C57014") > 0
        assert other.ask(query(b"SELECT 1")) == "T D C ZI"
        assert victim.ask(query(b"SELECT 1")) == "T D C ZI"
        assert _cancel(world, victim.key) == b""
        assert victim.ask(query(b"SELECT 1")) == "T D C ZI"
        direct.execute("ROLLBACK")


def _waiting(direct: psycopg.Connection[tuple[int]]) -> int:
    """Return the server process that waits for the lock on open_queue, once it does."""
    for _ in range(5000):
        found = direct.execute(
            "SELECT pid FROM pg_locks WHERE NOT granted AND relation = 'open_queue'::regclass"
        ).fetchone()
        if found:
            return found[0]
    raise AssertionError("nobody waits")


def _no_cancel_at_the_server(world: World, key: bytes) -> None:
    server = world.database.server
    with socket.create_connection((server.host, server.port)) as wire:
        wire.sendall(struct.pack(">II", 16, CANCEL) + key)
        assert _rest(wire) == b""


def test_pg_a32_start_up_that_never_ends(world: World) -> None:
    """Whoever does not finish a login is put out in time, at every stage of it; nobody else waits for that."""
    whole = startup({"user": "default", "database": "db"})
    stages: list[tuple[Callable[[World], socket.socket], bytes]] = [
        (_plain, b""),
        (_plain, SSL_REQUEST[:3]),
        (_plain, SSL_REQUEST),
        (_plain, whole[:10]),
        (lambda world: dial(world.gateway), b""),
        (lambda world: dial(world.gateway), whole[:20]),
        (lambda world: dial(world.gateway), whole),
        (lambda world: dial(world.gateway), whole + b"p\0\0\0\x50abc"),
    ]
    started = time.monotonic()
    with contextlib.ExitStack() as stack, selectors.DefaultSelector() as selector:
        for connect, sent in stages:
            wire = stack.enter_context(connect(world))
            wire.sendall(sent)
            wire.setblocking(False)
            selector.register(wire, selectors.EVENT_READ)
        _alive(world)
        while selector.get_map():
            ready = selector.select(LOGIN_SECONDS + 10)
            assert ready, f"{len(selector.get_map())} connections are still open"
            for key, _ in ready:
                if _ended(key.fileobj):  # type: ignore[arg-type]
                    selector.unregister(key.fileobj)
    assert LOGIN_SECONDS - 2 < time.monotonic() - started < LOGIN_SECONDS + 10


def _ended(wire: socket.socket) -> bool:
    try:
        return not wire.recv(65536)
    except (BlockingIOError, ssl.SSLWantReadError):
        return False
    except OSError:
        return True


def test_pg_a31_messages_before_the_login_ends(world: World) -> None:
    """What is pipelined before the password is checked runs after a good one, judged, and never after a bad one."""
    begin = startup({"user": "default", "database": "db"})
    for token, code in (
        (world.gateway.token("bot"), b""),
        ("x" * 40, b"C28P01"),
        (world.gateway.token("stranger"), b"C"),
    ):
        with dial(world.gateway) as wire, world.unchanged():
            password = frame(b"p", token.encode() + b"\0")
            wire.sendall(begin + password + query(b"DROP TABLE open_items") + query(b"SELECT 'last'"))
            answer = b""
            while b"SELECT 1\0" not in answer and (piece := wire.recv(65536)):
                answer += piece
            assert b"DROP TABLE\0" not in answer
            if code:
                assert code in answer and b"Z\0\0\0\5I" not in answer
            else:
                assert b"C42501" in answer and b"SELECT 1\0" in answer
    with dial(world.gateway) as wire, world.unchanged():
        wire.sendall(begin + query(b"DROP TABLE open_items") + parse(b"", b"SELECT 1") + execute())
        assert b"Z\0\0\0\5" not in _rest(wire)


def test_pg_a31_other_protocol_versions(world: World) -> None:
    """3.2 is negotiated down with NegotiateProtocolVersion; unknown options are listed in it and ignored."""
    with dial(world.gateway) as wire:
        wire.sendall(startup({"user": "default", "database": "db", "_pq_.odd": "1"}, (3 << 16) | 2))
        assert wire.recv(1) == b"v"
