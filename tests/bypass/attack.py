"""What the tests of PG-A share: a gateway in front of tables to attack, and proof that nothing of them was touched."""

from __future__ import annotations

import contextlib
import functools
import select
import socket
import ssl
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import psycopg

from checkrein.core.framing import frame
from tests.support.gateway import Gateway, policy
from tests.support.postgres import Database

SECRET = "TOP-SECRET-7b31"
"""Stands in every protected row; no answer may hold it."""

SCHEMA = f"""
CREATE TABLE open_items (id int PRIMARY KEY, name text, n int NOT NULL DEFAULT 0, tags text[], doc jsonb);
INSERT INTO open_items SELECT i, 'item ' || i, i, ARRAY['a', 'b'], '{{"k": 1}}' FROM generate_series(1, 5) i;
CREATE TABLE open_parent (id int PRIMARY KEY);
INSERT INTO open_parent VALUES (1);
CREATE TABLE open_child (id int PRIMARY KEY, parent int REFERENCES open_parent DEFERRABLE INITIALLY DEFERRED,
  ssn text);
CREATE TABLE open_asked (id int PRIMARY KEY, what text);
CREATE TABLE open_other (id int PRIMARY KEY, what text);
CREATE TABLE open_queue (what text);
CREATE SEQUENCE open_numbers;
CREATE TABLE secret_keys (id int PRIMARY KEY, key text, n int DEFAULT 0);
INSERT INTO secret_keys SELECT i, '{SECRET}', i FROM generate_series(1, 3) i;
CREATE TABLE "secret_Mixed" ("Id" int PRIMARY KEY, "Key" text);
INSERT INTO "secret_Mixed" VALUES (1, '{SECRET}');
CREATE TABLE "secret_gr$x$ab" (id int, key text);
INSERT INTO "secret_gr$x$ab" VALUES (1, '{SECRET}');
CREATE SCHEMA vault;
CREATE TABLE vault.open_items (id int PRIMARY KEY, name text);
INSERT INTO vault.open_items VALUES (1, '{SECRET}');
CREATE TABLE vault.items (id int PRIMARY KEY, name text);
CREATE INDEX open_index ON secret_keys (n);
CREATE INDEX vault_index ON vault.items (name);
CREATE TYPE vault.mood AS ENUM ('a', 'b');
CREATE DOMAIN vault.low AS int CHECK (VALUE < 5);
CREATE STATISTICS vault.pairs (dependencies) ON id, name FROM vault.items;
CREATE COLLATION vault.plain FROM "C";
CREATE TEXT SEARCH CONFIGURATION vault.words (COPY = simple);
INSERT INTO vault.items VALUES (1, '{SECRET}');
CREATE VIEW open_view AS SELECT id, key FROM secret_keys;
CREATE VIEW open_view_twice AS SELECT * FROM (SELECT v.id, v.key FROM open_view v) inside;
CREATE MATERIALIZED VIEW open_copy AS SELECT id, key FROM secret_keys;
CREATE FUNCTION open_reader() RETURNS text LANGUAGE sql AS 'SELECT key FROM secret_keys LIMIT 1';
CREATE FUNCTION open_wiper() RETURNS int LANGUAGE sql AS 'DELETE FROM secret_keys RETURNING id';
CREATE FUNCTION open_wiper(int) RETURNS int LANGUAGE sql AS 'DELETE FROM secret_keys RETURNING id';
CREATE FUNCTION open_rows() RETURNS SETOF secret_keys LANGUAGE sql AS 'SELECT * FROM secret_keys';
CREATE FUNCTION open_agg_step(text, text) RETURNS text LANGUAGE sql AS 'SELECT key FROM secret_keys LIMIT 1';
CREATE AGGREGATE open_agg(text) (sfunc = open_agg_step, stype = text);
CREATE FUNCTION upper(varchar) RETURNS text LANGUAGE sql AS 'SELECT key FROM secret_keys LIMIT 1';
CREATE FUNCTION vault.reverse(text) RETURNS text LANGUAGE sql AS 'SELECT key FROM secret_keys LIMIT 1';
CREATE FUNCTION open_same(text, text) RETURNS boolean LANGUAGE sql AS 'DELETE FROM secret_keys; SELECT true';
CREATE OPERATOR === (leftarg = text, rightarg = text, function = open_same);
CREATE FUNCTION open_set_path() RETURNS text LANGUAGE sql AS $$SELECT set_config('search_path', 'vault', false)$$;
CREATE PROCEDURE open_procedure() LANGUAGE sql AS 'DELETE FROM secret_keys';
"""

POLICY = """
apiVersion: checkrein/v1
kind: Policy
metadata: {name: attacked}
spec:
  subjects: {groups: [bots]}
  targets: {names: [db]}
  rules:
    - {name: most, allow: {verbs: ["*"], touches: ["*.*"]}}
    - {name: no-secrets, deny: {verbs: ["*"], touches: ["public.secret_*", "vault.*"]}}
    - {name: no-drop, deny: {verbs: [drop, truncate]}}
    - {name: bounded, deny: {verbs: [update, delete], when: "!statement.bounded"}}
    - {name: no-odin, deny: {verbs: ["*"], when: "statement.parameters.exists(p, p != null && p.contains('odin'))"}}
    - name: ask
      ask: {verbs: [insert, update], touches: [public.open_asked]}
      approvers: {groups: [oncall]}
      wait: {hold: 30s, expire: 1h}
  masks:
    - {columns: [public.open_child.ssn], with: redact}
"""
"""Open but for a deny list: what is read wrongly gets past this one."""

READERS = policy(
    "readers",
    '- {name: read, allow: {verbs: [select], touches: ["public.open_*"]}}',
    groups="readers",
    more="session: {read_only: true}",
)
"""Closed but for some tables, in a read-only session: what is not read gets past this one."""

POLICIES = {"attacked.yaml": POLICY, "readers.yaml": READERS}

_STATE = """
SELECT c.oid::regclass::text, CASE WHEN c.relkind IN ('r', 'm', 'S') THEN
  md5(query_to_xml(format('SELECT * FROM %s ORDER BY 1', c.oid::regclass), true, true, '')::text) END
FROM pg_class c WHERE c.oid >= 16384 AND c.relnamespace NOT IN (SELECT oid FROM pg_namespace WHERE nspname ~ '^pg_')
UNION ALL SELECT 'function ' || oid::regprocedure, md5(coalesce(prosrc, '')) FROM pg_proc WHERE oid >= 16384
UNION ALL SELECT 'namespace ' || nspname, nspowner::regrole::text FROM pg_namespace WHERE nspname !~ '^pg_(toast_)?temp'
UNION ALL SELECT 'setting ' || setrole, setconfig::text FROM pg_db_role_setting
  WHERE setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database())
    OR (setdatabase = 0 AND setrole IN (0, 10))
UNION ALL SELECT 'large object ' || oid, '' FROM pg_largeobject_metadata
UNION ALL SELECT 'extension ' || extname, extversion FROM pg_extension
UNION ALL SELECT 'operator ' || oid::regoperator, '' FROM pg_operator WHERE oid >= 16384
UNION ALL SELECT 'cast ' || oid, '' FROM pg_cast WHERE oid >= 16384
UNION ALL SELECT 'rule ' || ev_class::regclass, rulename FROM pg_rewrite WHERE oid >= 16384
UNION ALL SELECT 'trigger ' || tgrelid::regclass, tgname FROM pg_trigger WHERE NOT tgisinternal
ORDER BY 1, 2
"""


@dataclass
class World:
    """A gateway, its database, and what is known of both."""

    gateway: Gateway
    database: Database

    def state(self) -> list[tuple[Any, ...]]:
        """Return everything of the database that an attack could change, asked for directly."""
        return self.database.rows(_STATE)

    @contextlib.contextmanager
    def unchanged(self) -> Iterator[None]:
        """Prove that what runs inside changes nothing in the database."""
        before = self.state()
        yield
        after = self.state()
        assert after == before, set(after) ^ set(before)

    @contextlib.contextmanager
    def broad(self, drops: bool = False) -> Iterator[None]:
        """Allow everything but the deny list, objects that have no full name included, while this lasts.

        With `drops`, to drop what is not on it as well.
        """
        wide = POLICY.replace('{verbs: ["*"], touches: ["*.*"]}', '{verbs: ["*"]}')
        if drops:
            wide = wide.replace("    - {name: no-drop, deny: {verbs: [drop, truncate]}}\n", "")
            wide = wide.replace(
                "    - {name: bounded", '    - {name: no-calls, deny: {functions: ["vault.*"]}}\n    - {name: bounded'
            )
        probe = "COMMENT ON SCHEMA public IS NULL"
        self.gateway.write_policies({**POLICIES, "attacked.yaml": wide})
        self._until(probe, True)
        try:
            yield
        finally:
            self.gateway.write_policies(POLICIES)
            self._until(probe, False)

    def _until(self, probe: str, allowed: bool) -> None:
        with self.raw() as raw:
            for _ in range(20000):
                if raw.ask(query(probe.encode())).startswith("C ") == allowed:
                    return
        raise AssertionError("the policy did not change")

    def raw(self, who: str = "bot", **parameters: str) -> Raw:
        """Return a logged-in raw client."""
        return Raw(self.gateway, who, parameters)

    def connect(self, who: str = "bot", **options: str) -> psycopg.Connection[Any]:
        """Return an autocommit psycopg connection."""
        return self.gateway.connect(who, **options)

    def decided(self, session: str) -> list[dict[str, Any]]:
        """Return what the journal says was decided in the session of this application name."""
        return self.gateway.events(self.session(session), "decided")

    def session(self, application: str) -> str:
        """Return the id of the session that called itself so at login."""
        for found in self.gateway.sessions():
            opened = self.gateway.events(found["id"], "opened")
            if opened and opened[0]["application"] == application:
                return str(found["id"])
        raise AssertionError(f"no session calls itself {application}")

    def must_refuse(self, *texts: str | bytes, who: tuple[str, ...] = ("bot", "reader"), code: str = "") -> None:
        """Prove that each text is refused as a Query and in the extended protocol, for each principal.

        The client gets one error and one ReadyForQuery, never the secret; the session goes on; the journal has no
        decision that forwarded it; the database is as before.
        """
        with self.unchanged():
            for one in who:
                self._refused(one, [text.encode() if isinstance(text, str) else text for text in texts], code)

    def _refused(self, who: str, texts: list[bytes], code: str) -> None:
        name = f"a-{uuid.uuid4().hex}"
        wrong: list[tuple[str, bytes, str]] = []
        with self.raw(who, application_name=name) as raw:
            for text in texts:
                for way in (query(text), extended(text)):
                    shown = raw.ask(way)
                    if not refusal(shown, code):
                        wrong.append((who, text, shown))
                    after = raw.ask(query(b"SELECT 'alive'"))
                    assert after == "T D C ZI", (who, text, after, raw.last_error)
            leaked = SECRET.encode() in raw.seen
        assert not wrong, wrong
        assert not leaked
        self._nothing_ran(name, len(texts))

    def _nothing_ran(self, name: str, count: int) -> None:
        """The journal says that nothing was forwarded but what asks whether the session is alive."""
        events = self.gateway.events(self.session(name))
        abandoned = {one["decision"] for one in events if one["kind"] == "answered" and one["outcome"] == "abandoned"}
        decisions = [one for one in events if one["kind"] == "decided"]
        forwarded = [one for one in decisions if one["outcome"] == "forwarded" and one["decision"] not in abandoned]
        assert {one["statement"] for one in forwarded} == {"SELECT 'alive'"}
        assert sum(one["outcome"] == "refused" for one in decisions) >= count

    def must_allow(self, *texts: str, who: str = "bot") -> None:
        """Prove that each text runs, in both protocols: what stands beside the attacks and is none."""
        with self.raw(who) as raw:
            for text in texts:
                for way in (query(text.encode()), extended(text.encode())):
                    shown = raw.ask(way)
                    assert "E" not in shown and shown.endswith("ZI"), (text, shown, raw.last_error)


def refusal(shown: str, code: str = "") -> bool:
    """Say whether the answers to one request are one error and one ReadyForQuery."""
    words = shown.split()
    return len(words) == 2 and words[0].startswith("E" + code) and words[1] == "ZI"


def parse(name: bytes, text: bytes, types: tuple[int, ...] = ()) -> bytes:
    """Parse."""
    listed = b"".join(one.to_bytes(4, "big") for one in types)
    return frame(b"P", name + b"\0" + text + b"\0" + len(types).to_bytes(2, "big") + listed)


def bind(
    portal: bytes = b"", statement: bytes = b"", values: tuple[bytes | None, ...] = (), binary: bool = False
) -> bytes:
    """Bind; all values in one format."""
    form = b"\0\1\0\1" if binary else b"\0\0"
    listed = b"".join(b"\xff\xff\xff\xff" if one is None else len(one).to_bytes(4, "big") + one for one in values)
    return frame(b"B", portal + b"\0" + statement + b"\0" + form + len(values).to_bytes(2, "big") + listed + b"\0\0")


def describe(kind: bytes, name: bytes = b"") -> bytes:
    """Describe."""
    return frame(b"D", kind + name + b"\0")


def execute(portal: bytes = b"", limit: int = 0) -> bytes:
    """Execute."""
    return frame(b"E", portal + b"\0" + limit.to_bytes(4, "big"))


def query(text: bytes) -> bytes:
    """Query."""
    return frame(b"Q", text + b"\0")


def run(text: bytes, *values: bytes | None) -> bytes:
    """Parse, Bind, Describe, Execute, without Sync."""
    return parse(b"", text) + bind(values=values) + describe(b"P") + execute()


SYNC = frame(b"S", b"")
FLUSH = frame(b"H", b"")


def extended(text: bytes, *values: bytes | None) -> bytes:
    """One statement in the extended protocol."""
    return run(text, *values) + SYNC


class Raw:
    """A client that says what it is told, over TLS, and keeps everything that it is answered in `seen`."""

    def __init__(self, gateway: Gateway, who: str, parameters: dict[str, str]) -> None:
        self.seen = b""
        self.last_error = ""
        self._buffer = b""
        self.wire = dial(gateway)
        self.wire.sendall(startup({"user": "default", "database": "db", **parameters}))
        kind, payload = self.message()
        if (kind, payload) == (b"R", (3).to_bytes(4, "big")):
            self.wire.sendall(frame(b"p", gateway.token(who).encode() + b"\0"))
            kind, payload = self.message()
        self.greeting = [(kind, payload)] if kind in (b"E", b"") else [(kind, payload), *self.until(b"Z")]
        self.key = next((data for kind, data in self.greeting if kind == b"K"), b"")

    def send(self, data: bytes) -> None:
        """Send; answers that come meanwhile are kept, so that neither side waits for the other for ever."""
        if len(data) < 16384:
            self.wire.sendall(data)
            return
        timeout, rest = self.wire.gettimeout(), memoryview(data)
        self.wire.setblocking(False)
        try:
            while rest:
                readable, writable, _ = select.select([self.wire], [self.wire], [], timeout)
                if not readable and not writable:
                    raise TimeoutError("the gateway neither reads nor answers")
                if readable and not self._read_now():
                    return
                with contextlib.suppress(ssl.SSLWantReadError, ssl.SSLWantWriteError):
                    rest = rest[self.wire.send(rest[:65536]) :]
        except (ssl.SSLError, ConnectionError):
            return
        finally:
            self.wire.settimeout(timeout)

    def _read_now(self) -> bool:
        """Take what has come; False at the end."""
        try:
            data = self.wire.recv(262144)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return True
        self._buffer += data
        self.seen += data
        return bool(data)

    def message(self) -> tuple[bytes, bytes]:
        """Return the next (type, payload); (b"", b"") when the connection is over."""
        while len(self._buffer) < 5 or len(self._buffer) < 1 + int.from_bytes(self._buffer[1:5], "big"):
            try:
                data = self.wire.recv(262144)
            except (ssl.SSLError, ConnectionError):
                data = b""
            if not data:
                return b"", b""
            self._buffer += data
            self.seen += data
        size = 1 + int.from_bytes(self._buffer[1:5], "big")
        found, self._buffer = self._buffer[:size], self._buffer[size:]
        if found[:1] == b"E":
            self.last_error = found[5:].decode(errors="replace")
        return found[:1], found[5:]

    def until(self, kind: bytes, count: int = 1) -> list[tuple[bytes, bytes]]:
        """Return messages up to the count-th of a type, or up to the end."""
        found: list[tuple[bytes, bytes]] = []
        while count:
            found.append(self.message())
            if not found[-1][0]:
                return found
            count -= found[-1][0] == kind
        return found

    def ask(self, data: bytes, ready: int = 1) -> str:
        """Send, and return the types of the answers up to ReadyForQuery with its state; errors as `E` and SQLSTATE."""
        self.send(data)
        return shown(self.until(b"Z", ready))

    def over(self) -> bool:
        """Whether the connection ends, with whatever still comes before."""
        self.wire.settimeout(30)
        return self.until(b"\0")[-1] == (b"", b"")

    def close(self) -> None:
        """Hang up."""
        self.wire.close()

    def __enter__(self) -> Raw:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self.wire.sendall(frame(b"X", b""))
        self.close()


def dial(gateway: Gateway) -> ssl.SSLSocket:
    """Return a TLS connection to the gateway, nothing said on it yet."""
    plain = socket.create_connection(("127.0.0.1", gateway.port), timeout=60)
    plain.sendall((8).to_bytes(4, "big") + (80877103).to_bytes(4, "big"))
    assert plain.recv(1) == b"S"
    return _context(str(gateway.ca)).wrap_socket(plain, server_hostname="127.0.0.1")


@functools.cache
def _context(authority: str) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=authority)


def startup(parameters: dict[str, str], version: int = 3 << 16) -> bytes:
    """Return a start-up packet."""
    pairs = b"".join(key.encode() + b"\0" + value.encode() + b"\0" for key, value in parameters.items())
    body = version.to_bytes(4, "big") + pairs + b"\0"
    return (len(body) + 4).to_bytes(4, "big") + body


def code_of(payload: bytes) -> str:
    """Return the SQLSTATE of an ErrorResponse."""
    return next((part[1:].decode() for part in payload.split(b"\0") if part[:1] == b"C"), "")


def shown(messages: list[tuple[bytes, bytes]]) -> str:
    """Return messages as words, notices and parameters left out, runs of rows as one."""
    words: list[str] = []
    for kind, payload in messages:
        if kind in b"SN" and kind:
            continue
        word = kind.decode()
        if kind == b"Z":
            word += payload.decode()
        elif kind == b"E":
            word += code_of(payload)
        elif not kind:
            word = "over"
        if word not in ("D", "d") or not words or words[-1] != word:
            words.append(word)
    return " ".join(words)
