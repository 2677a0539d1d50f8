"""PostgreSQL in the conformance kit: a real server, requests as simple queries and in the extended protocol in turn."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from pathlib import Path

from checkrein.core.framing import frame
from checkrein.core.limits import MESSAGE_BYTES
from checkrein.core.spec import ProtocolSpec
from checkrein.protocols.postgres import SPEC
from checkrein.protocols.postgres import own_messages as own
from checkrein.protocols.postgres.codec import FAILING_QUERY, SYNC
from checkrein.protocols.postgres.errors import sqlstate
from tests.conformance.driver import ALLOWED, ASKED, DENIED, ERROR, FAILING, MASKED, OK, REFUSED, Answer, Request
from tests.conformance.wire import Wire
from tests.support.postgres import PASSWORD, Database

SCHEMA = """
CREATE TABLE public.items (id integer PRIMARY KEY, label text);
CREATE TABLE public.closed (id integer PRIMARY KEY, word text);
CREATE TABLE public.people (id integer PRIMARY KEY, ssn text, note text);
CREATE TABLE public.bulk (id integer PRIMARY KEY, ssn text, body text);
INSERT INTO public.items SELECT n, 'item ' || n FROM generate_series(1000, 1200) AS n;
INSERT INTO public.items SELECT n, 'item ' || n FROM generate_series(3000, 3200) AS n;
INSERT INTO public.closed SELECT n, 'word ' || n FROM generate_series(2000, 2200) AS n;
INSERT INTO public.people SELECT n, '219-09-' || n, 'card 4111111111111111' FROM generate_series(4000, 5200) AS n;
INSERT INTO public.bulk SELECT n, '219-09-' || n, repeat('some words ', 90) FROM generate_series(1000, 1255) AS n;
ANALYZE;
"""

POLICY = """
apiVersion: checkrein/v1
kind: Policy
metadata: {name: agents}
spec:
  subjects: {groups: [bots]}
  targets: {names: ["*"]}
  rules:
    - {name: read, allow: {verbs: [select], touches: [public.items, public.people, public.bulk]}}
    - name: remove
      ask: {verbs: [delete], touches: [public.items]}
      approvers: {groups: [oncall]}
      wait: {hold: 15s}
  masks:
    - {columns: [public.people.ssn, public.bulk.ssn], with: partial, keep_last: 2}
    - {detect: [credit_card], with: redact}
"""

QUERIES = {
    ALLOWED: (1000, "SELECT id, label FROM public.items WHERE {}"),
    DENIED: (2000, "SELECT id, word FROM public.closed WHERE {}"),
    ASKED: (3000, "DELETE FROM public.items WHERE {}"),
    MASKED: (4000, "SELECT id, ssn, note FROM public.people WHERE {}"),
    FAILING: (5000, "SELECT 1 / (id - id) FROM public.people WHERE {}"),
}
OWN = frozenset(one.decode() for one in (own.PROBE_QUERY, own.NAMES_QUERY, own.SHOW_QUERY, FAILING_QUERY[5:-1]))
STARTUP = 196608
CANCEL = 80877102


def startup(version: int = STARTUP, **parameters: str) -> bytes:
    """Return a StartupMessage."""
    body = b"".join(key.encode() + b"\0" + value.encode() + b"\0" for key, value in parameters.items())
    body = version.to_bytes(4, "big") + body + b"\0"
    return (len(body) + 4).to_bytes(4, "big") + body


def simple(text: str) -> bytes:
    """Return a Query."""
    return frame(b"Q", text.encode() + b"\0")


def extended(text: str) -> bytes:
    """Return Parse, Bind, Describe, Execute and Sync, all unnamed."""
    parse = frame(b"P", b"\0" + text.encode() + b"\0\0\0")
    return parse + frame(b"B", bytes(8)) + frame(b"D", b"P\0") + frame(b"E", bytes(5)) + SYNC


def frames(data: bytes) -> Iterator[tuple[bytes, bytes, int]]:
    """Yield (type, payload, end) of the whole frames."""
    at = 0
    while len(data) >= at + 5 and len(data) >= (end := at + 1 + int.from_bytes(data[at + 1 : at + 5], "big")) > at:
        yield data[at : at + 1], data[at + 5 : end], end
        at = end


class PostgresDriver:
    """See driver.Driver."""

    spec: ProtocolSpec = SPEC
    policy = POLICY
    target_name = "db"
    planted = (b"4111111111111111", b"219-09-", PASSWORD.encode())
    garbage = (
        frame(b"?", b"what"),
        b"Q\0\0\0\3",
        b"Q\xff\xff\xff\xff",
        frame(b"Q", b"SELECT 1\0; SELECT 2\0"),
        frame(b"Q", b"SELECT 1"),
        frame(b"P", b"\0SELECT 1\0\0\5"),
        frame(b"P", b"\0SELECT 1\0\0\0more"),
        frame(b"B", b"\0\0\0\0\0\1\0\0\0\x09x\0\0"),
        frame(b"E", b"\0\0\0"),
        frame(b"D", b"X\0"),
        frame(b"S", b"x"),
        frame(b"p", b"a password\0"),
    )
    login_garbage = (
        b"\0\0\0\4",
        b"\x7f\xff\xff\xff\0\3\0\0",
        b"GET / HTTP/1.1\r\n\r\n",
        startup(0x20000, user="default"),
        startup(database="db"),
        startup(user="default", database="db", options="-c session_preload_libraries=x"),
        startup(user="default", database="db") + frame(b"p", b"not.a.token\0"),
        startup(user="default", database="db") + frame(b"Q", b"SELECT 1\0"),
        frame(b"Q", b"SELECT 1\0"),
    )
    hostile = (
        b"T\0\0\0\3",
        b"D\xff\xff\xff\xff",
        frame(b"R", bytes(4)),
        frame(b"T", b"\0\2name\0"),
        frame(b"D", b"\0\1\0\0\0\x09x"),
        frame(b"K", bytes(8)),
        frame(b"V", bytes(4)),
        frame(b"W", b"\0\0\0"),
        frame(b"Z", b"I"),
        frame(b"3", b""),
        frame(b"!", b"what"),
        bytes(64),
    )

    def __init__(self, database: Database) -> None:
        self.database = database

    @contextlib.asynccontextmanager
    async def target(self) -> AsyncIterator[tuple[str, int]]:
        """The server runs already."""
        yield self.database.server.host, self.database.server.port

    def target_yaml(self, host: str, port: int, folder: Path) -> str:
        """One profile, the superuser's."""
        secret = folder / "db.password"
        secret.touch(mode=0o600)
        secret.write_text(PASSWORD)
        return (
            f"  - name: db\n    protocol: postgres\n    address: {host}:{port}\n    database: {self.database.name}\n"
            f"    tls: {{mode: disable}}\n    profiles: {{default: {{user: postgres, password: 'file:{secret}'}}}}"
        )

    async def login(self, wire: Wire, token: str) -> None:
        """Start up, give the token, wait for ReadyForQuery."""
        await wire.send(startup(user="default", database="db", application_name="conformance"))
        assert (await wire.take(_until(b"R")))[-4:] == bytes((0, 0, 0, 3))
        await wire.send(frame(b"p", token.encode() + b"\0"))
        await wire.take(_until(b"Z"))

    def request(self, kind: str, number: int) -> Request:
        """Even numbers are simple queries, odd ones extended."""
        first, text = QUERIES[kind]
        mark = f"id = {first + number}"
        text = text.format(mark)
        return Request(extended(text) if number % 2 else simple(text), text, mark.encode())

    def odd(self, text: str) -> Request:
        """A constant of an allowed query."""
        quoted = text.replace("\0", "").replace("'", "''")
        made = f"SELECT id, label FROM public.items WHERE label = '{quoted}'"
        return Request(extended(made) if len(text) % 2 else simple(made), made, made.encode())

    def answers(self, received: bytes) -> tuple[list[Answer], int]:
        """One answer up to each ReadyForQuery; notices are left out."""
        found: list[Answer] = []
        used = 0
        body, code = b"", ""
        for kind, payload, end in frames(received):
            if kind == b"Z":
                outcome = OK if not code else REFUSED if code == "42501" else ERROR
                found.append(Answer(outcome, body + payload))
                used, body, code = end, b"", ""
            elif kind == b"E":
                code = sqlstate(payload)
                body += kind + code.encode() + _message(payload).encode()
            elif kind not in b"NS":
                body += kind + payload
        return found, used

    def last_words(self, received: bytes) -> str:
        """The message of the last ErrorResponse."""
        words = [_message(payload) for kind, payload, _ in frames(received) if kind == b"E"]
        return words[-1] if words else ""

    def statements(self, sent: bytes) -> list[str]:
        """Texts of Query and Parse; a side link's connection and a cancel have none of a client's."""
        size = int.from_bytes(sent[:4], "big")
        head = sent[:size]
        if head[4:8] == CANCEL.to_bytes(4, "big") or b"checkrein catalog" in head:
            return []
        found = []
        for kind, payload, _ in frames(sent[size:]):
            if kind == b"Q":
                found.append(payload[:-1].decode())
            elif kind == b"P":
                found.append(payload.split(b"\0")[1].decode())
        return [text for text in found if text not in OWN]

    def ran(self, sent: bytes, request: Request) -> bool:
        """A Query runs; what was parsed runs by an Execute behind it. Own probes come before either."""
        parsed = False
        for kind, payload, _ in frames(sent[int.from_bytes(sent[:4], "big") :]):
            if kind == b"Q" and request.mark in payload:
                return True
            if kind == b"P":
                parsed = request.mark in payload
            if kind == b"E" and parsed:
                return True
        return False

    def farewell(self) -> bytes:
        """Terminate."""
        return frame(b"X", b"")

    def oversize(self) -> Iterable[bytes]:
        """A Query of the largest size that a message may claim, then one of more."""
        size = MESSAGE_BYTES - 16
        yield b"Q" + size.to_bytes(4, "big") + b"SELECT "
        for _ in range(size // 65536 + 1):
            yield b"x" * 65536
        while True:
            yield b"Q\x7f\xff\xff\xff" + b"x" * 65536

    def long_requests(self) -> Iterable[bytes]:
        """Values of one parameter of a prepared statement; every Bind and Execute goes on at once."""
        yield frame(b"P", b"wide\0SELECT id FROM public.items WHERE label = $1\0\0\0")
        value = b"some words " * 4000
        body = b"\0wide\0" + b"\0\0\0\1" + len(value).to_bytes(4, "big") + value + b"\0\0"
        while True:
            yield frame(b"B", body) + frame(b"E", bytes(5)) + SYNC

    def large(self, kind: str) -> tuple[Iterable[bytes], int]:
        """Every row with every row: 64 MB, or half of it with two masked columns."""
        if kind == ALLOWED:
            return (simple("SELECT a.body FROM public.bulk a, public.bulk b"),), 256 * 256 * 990
        query = "SELECT a.ssn, a.body FROM public.bulk a, public.bulk b WHERE b.id < 1128"
        return (simple(query),), 128 * 256 * 990


def _until(kind: bytes) -> Callable[[bytes], int]:
    """Return what finds the end of the first frame of a type; an error response ends the login."""

    def size(received: bytes) -> int:
        for found, payload, end in frames(received):
            if found == kind:
                return end
            if found == b"E":
                raise EOFError(_message(payload))
        return 0

    return size


def _message(payload: bytes) -> str:
    fields = {part[:1]: part[1:] for part in payload.split(b"\0") if part}
    return fields.get(b"M", b"").decode(errors="replace")
