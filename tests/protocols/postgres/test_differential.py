"""Random conversations, held with a real server directly and through the gateway: the same answers and effects."""

from __future__ import annotations

import os
import random
import socket
from collections.abc import Iterator

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from checkrein.core.framing import frame
from tests.protocols.postgres.driver import Gateway
from tests.protocols.postgres.raw import SYNC, Raw, bind, describe, execute, parse, query
from tests.support.postgres import Database, PostgresServer

SCHEMA = "CREATE TABLE t (id int PRIMARY KEY, name text)"
RESET = "TRUNCATE t; INSERT INTO t SELECT g, 'name' || g FROM generate_series(1, 5) g"
MARK = b"the conversation is over"
FLUSH = frame(b"H", b"")

TEXTS = (
    b"SELECT id, name FROM t ORDER BY id",
    b"SELECT count(*) FROM t",
    b"SELECT id FROM t WHERE id = 1 / 0",
    b"SELECT nothing FROM t",
    b"SELEC",
    b"",
    b"INSERT INTO t VALUES (6, 'six')",
    b"INSERT INTO t SELECT max(id) + 1, 'next' FROM t RETURNING id",
    b"UPDATE t SET name = 'changed' WHERE id = 2",
    b"DELETE FROM t WHERE id = 3 RETURNING name",
    b"BEGIN",
    b"COMMIT",
    b"ROLLBACK",
    b"SAVEPOINT s",
    b"ROLLBACK TO SAVEPOINT s",
    b"DECLARE c CURSOR FOR SELECT id FROM t ORDER BY id",
    b"FETCH 2 FROM c",
    b"CLOSE c",
    b"COPY t TO STDOUT",
    b"SHOW transaction_isolation",
    b"SELECT 'forbidden'",
    b"DELETE FROM t WHERE name <> 'forbidden'",
)
REFUSED = b"forbidden"
FAILS = b"SELECT a_column_that_is_not_there"
"""What stands, spoken to the server directly, for a text that the gateway refuses: it fails at the same place."""

REFUSES = (b"SELECT nothing", b"FETCH", b"CLOSE")
CLEAR = tuple(one for one in TEXTS if not one.startswith((*REFUSES, b"ROLLBACK")) and REFUSED not in one)
"""Texts that refuse nothing. A refused statement refuses a whole Query before any of it runs, as a server does not; a
statement that is refused fails at its Parse; and behind a ROLLBACK that no Sync follows, names are not known."""

NAMES = st.sampled_from([b"a", b"b"])
"""Of statements; an unnamed one is only run at once: a Query that is refused leaves it there, a server drops it."""
PORTALS = st.sampled_from([b"", b"a", b"b"])
MESSAGES = st.one_of(
    st.tuples(st.just("parse"), NAMES, st.sampled_from(CLEAR)),
    st.tuples(st.just("bind"), PORTALS, NAMES),
    st.tuples(st.just("execute"), PORTALS, st.sampled_from([0, 0, 1, 2])),
    st.tuples(st.just("describe"), st.just(b"S"), NAMES),
    st.tuples(st.just("describe"), st.just(b"P"), PORTALS),
    st.tuples(st.just("close"), st.just(b"S"), NAMES),
    st.tuples(st.just("close"), st.just(b"P"), PORTALS),
    st.tuples(st.just("sync"), st.just(b""), st.just(b"")),
    st.tuples(st.just("flush"), st.just(b""), st.just(b"")),
    st.tuples(st.just("run"), st.just(b""), st.sampled_from([one for one in TEXTS if not one.startswith(b"ROLLBACK")])),
    st.tuples(st.just("query"), st.just(b""), st.sampled_from(TEXTS)),
    st.tuples(st.just("query"), st.just(b""), st.lists(st.sampled_from(CLEAR), min_size=2, max_size=3).map(b"; ".join)),
)


def written(message: tuple[str, bytes, bytes | int], refused: bytes | None) -> bytes:
    """Return a message's bytes; `refused` stands for a text that policy refuses."""
    kind, first, second = message
    if isinstance(second, bytes) and refused is not None and REFUSED in second:
        second = refused
    if isinstance(second, int):
        return execute(first, second)
    made = {
        "parse": lambda: parse(first, second),
        "bind": lambda: bind(first, second),
        "describe": lambda: describe(first, second),
        "close": lambda: frame(b"C", first + second + b"\0"),
        "sync": lambda: SYNC,
        "flush": lambda: FLUSH,
        "run": lambda: parse(b"", second) + bind() + describe(b"P") + execute(),
        "query": lambda: query(second),
    }
    return made[kind]()


class Both:
    """A server with two databases of one schema, one of them behind the gateway."""

    def __init__(self, postgres: PostgresServer) -> None:
        self.direct = postgres.create_database(SCHEMA)
        self.behind = postgres.create_database(SCHEMA)
        self.gateway = Gateway(self.behind)

    def close(self) -> None:
        """Stop the gateway."""
        self.gateway.close()


@pytest.fixture(scope="module")
def both(postgres: PostgresServer) -> Iterator[Both]:
    """The two databases; nothing may have failed inside the gateway at the end."""
    made = Both(postgres)
    yield made
    Raw.close_all()
    made.close()
    assert not made.gateway.failures


def ended(received: bytes) -> bool:
    """Whether the last answer is there: the mark's row, its CommandComplete, and ReadyForQuery."""
    at = received.rfind(MARK)
    return at >= 0 and received.find(b"Z\0\0\0\5", at) >= 0


def exchanged(wire: socket.socket, data: bytes, sizes: list[int]) -> list[tuple[str, bytes]]:
    """Send a conversation in pieces of these sizes; return the answers, texts of errors and notices left out."""
    wire.settimeout(10)
    at = 0
    for size in [*sizes, len(data)]:
        wire.sendall(data[at : at + size])
        at += size
    received = b""
    while not ended(received):
        more = wire.recv(65536)
        assert more, f"the connection was closed behind {received!r}"
        received += more
    found: list[tuple[str, bytes]] = []
    for kind, payload in frames(received):
        while kind == "E" and found and found[-1][0] in "123tnT":
            found.pop()  # a statement that must fail may fail earlier: at its Parse, where the server waits for Bind
        if kind not in "NS":
            found.append((kind, payload))
    return found


def frames(received: bytes) -> Iterator[tuple[str, bytes]]:
    """Split what was received into messages."""
    at = 0
    while at < len(received):
        size = 1 + int.from_bytes(received[at + 1 : at + 5], "big")
        kind = chr(received[at])
        yield kind, b"" if kind == "E" else relative(kind, received[at + 5 : at + size])
        at += size


def relative(kind: str, payload: bytes) -> bytes:
    """Leave the number of the table out of a description: the databases have one each."""
    if kind != "T":
        return payload
    kept = []
    at = 2
    while at < len(payload):
        end = payload.index(b"\0", at) + 1
        kept.append(payload[at:end] + payload[end + 4 : end + 18])
        at = end + 18
    return b"".join(kept)


def rows(database: Database) -> list[tuple[object, ...]]:
    """Return what is in the table."""
    return database.rows("SELECT id, name FROM t ORDER BY id")


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(script=st.lists(MESSAGES, min_size=1, max_size=24), seed=st.integers(0, 2**32))
def test_any_conversation_is_answered_as_without_a_gateway(
    both: Both, script: list[tuple[str, bytes, bytes | int]], seed: int
) -> None:
    """Whatever is pipelined, in whatever pieces: answers in order, ReadyForQuery and effects as the server's own.

    Where policy refuses a text, the server's own answer to one that fails takes its place.
    """
    for one in (both.direct, both.behind):
        one.run(RESET)
    end = SYNC + query(b"ROLLBACK") + query(b"SELECT '" + MARK + b"'")
    generator = random.Random(seed)
    through = b"".join(written(one, None) for one in script) + end
    sizes = [generator.randrange(1, 40) for _ in range(generator.choice([0, 0, 3, len(through) // 30]))]
    direct = b"".join(written(one, FAILS) for one in script) + end
    with (
        psycopg.connect(both.direct.dsn(sslmode="disable"), autocommit=True) as connection,
        socket.socket(fileno=os.dup(connection.pgconn.socket)) as wire,
    ):
        expected = exchanged(wire, direct, [])
    with Raw(both.gateway.port).wire as wire:
        assert exchanged(wire, through, sizes) == expected
    assert rows(both.behind) == rows(both.direct)
