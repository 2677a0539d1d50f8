"""What the tests of PG-B share: a gateway in front of masked columns, and proof that nothing showed what they hold."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import zstandard

from checkrein.core.framing import frame
from tests.bypass.attack import SYNC, Raw, describe, execute, parse, query
from tests.support.gateway import Gateway, policy
from tests.support.postgres import Database

SSN = "531-77-8264"
"""Stands in every masked cell of one person, in every type; `partial` shows the last four characters and no more."""

NUMBER = 731055291364
"""A masked number."""

SCHEMA = f"""
CREATE DOMAIN ssn_text AS text CHECK (VALUE ~ '^[0-9-]+$');
CREATE DOMAIN low AS text CHECK (length(VALUE) < 5);
CREATE TYPE card AS (holder text, ssn text);
CREATE TABLE people (
  id int PRIMARY KEY, name text, age int CHECK (age >= 0), ssn text UNIQUE, dom ssn_text, arr text[], comp card,
  comps card[], raw bytea, doc jsonb, doc_j json, num bigint, hashed text, gone text, boss int REFERENCES people);
INSERT INTO people SELECT 1, 'Ada', 40, s, s, ARRAY[s, 'x'], ROW('Ada', s)::card, ARRAY[ROW('Ada', s)::card], s::bytea,
  jsonb_build_object('ssn', s, 'deep', jsonb_build_array(s)), json_build_object('ssn', s), {NUMBER}, s, s, NULL
  FROM (VALUES ('{SSN}')) v (s);
INSERT INTO people SELECT n, 'p' || n, n, '123-45-' || lpad(n::text, 4, '0') FROM generate_series(2, 40) n;
CREATE TABLE notes (id int PRIMARY KEY, person int REFERENCES people, note text);
INSERT INTO notes SELECT n, n, 'note ' || n FROM generate_series(1, 10) n;
CREATE TABLE likes (id int PRIMARY KEY, ssn text REFERENCES people (ssn));
CREATE TABLE pointing (id int PRIMARY KEY, at text REFERENCES people (ssn));
CREATE TABLE deferred (
  id int PRIMARY KEY, ssn text UNIQUE DEFERRABLE INITIALLY DEFERRED, plain text UNIQUE DEFERRABLE INITIALLY DEFERRED);
INSERT INTO deferred VALUES (1, '{SSN}', 'one'), (2, '123-45-0002', 'two');
CREATE TABLE pairs (id int PRIMARY KEY, n int, ssn text, UNIQUE (n, ssn));
INSERT INTO pairs VALUES (1, 1, '{SSN}'), (2, 2, '{SSN}');
CREATE TABLE made_of (id int PRIMARY KEY, ssn text, area text GENERATED ALWAYS AS (left(ssn, 3)) STORED UNIQUE);
INSERT INTO made_of VALUES (1, '{SSN}');
CREATE TABLE filled (id int PRIMARY KEY, ssn text UNIQUE DEFAULT '123-45-0002', n int);
INSERT INTO filled VALUES (1, '123-45-0002', 1);
CREATE TABLE drawn (id serial PRIMARY KEY, ssn uuid UNIQUE DEFAULT gen_random_uuid(), n int);
CREATE TABLE grades (code text PRIMARY KEY, what text);
INSERT INTO grades VALUES ('123-45-0002'), ('123-45-0003');
CREATE TABLE graded (id int PRIMARY KEY, ssn text REFERENCES grades);
INSERT INTO graded VALUES (1, '123-45-0002');
CREATE VIEW grades_view AS SELECT code AS shown, what FROM grades;
CREATE VIEW people_view AS SELECT id, name, ssn AS shown FROM people;
CREATE VIEW people_twice AS SELECT v.shown AS again, v.id FROM people_view v;
CREATE VIEW people_derived AS SELECT id, 'x' || ssn AS derived FROM people;
CREATE VIEW people_counted AS SELECT left(ssn, 3) AS area, count(*) AS n FROM people GROUP BY 1;
CREATE MATERIALIZED VIEW people_copy AS SELECT id, ssn FROM people;
CREATE MATERIALIZED VIEW people_copy_derived AS SELECT id, reverse(ssn) AS back FROM people;
CREATE TABLE parts (id int, day int, ssn text) PARTITION BY RANGE (day);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (10);
CREATE TABLE parts_2 PARTITION OF parts FOR VALUES FROM (10) TO (20) PARTITION BY LIST (id);
CREATE TABLE parts_2_1 PARTITION OF parts_2 DEFAULT;
INSERT INTO parts VALUES (1, 1, '{SSN}'), (2, 11, '{SSN}');
CREATE TABLE family (id int, ssn text);
CREATE TABLE family_child (more text) INHERITS (family);
CREATE TABLE family_grandchild () INHERITS (family_child);
INSERT INTO family VALUES (1, '{SSN}');
INSERT INTO family_child VALUES (2, '{SSN}', 'm');
INSERT INTO family_grandchild VALUES (3, '{SSN}', 'm');
CREATE TABLE scratch (id serial PRIMARY KEY, what text, whats text[]);
CREATE TABLE numbers (n int);
INSERT INTO numbers SELECT generate_series(1, 20);
CREATE FUNCTION reader() RETURNS text LANGUAGE sql AS 'SELECT ssn FROM people WHERE id = 1';
CREATE FUNCTION readers() RETURNS SETOF people LANGUAGE sql AS 'SELECT * FROM people';
CREATE FUNCTION table_reader() RETURNS TABLE (s text) LANGUAGE sql AS 'SELECT ssn FROM people';
CREATE FUNCTION shouts(t text) RETURNS text LANGUAGE plpgsql AS $$BEGIN RAISE NOTICE 'got %', t; RETURN t; END$$;
CREATE FUNCTION fails(t text) RETURNS text LANGUAGE plpgsql AS
  $$BEGIN RAISE EXCEPTION 'got %', t USING DETAIL = t, HINT = t, ERRCODE = 'S' || right(t, 4); END$$;
CREATE FUNCTION shouting() RETURNS int LANGUAGE plpgsql AS $$
  DECLARE s text; BEGIN SELECT ssn INTO s FROM people WHERE id = 1; RAISE NOTICE 'read %', s; RETURN 1; END$$;
CREATE FUNCTION failing() RETURNS int LANGUAGE plpgsql AS $$
  DECLARE s text; BEGIN SELECT ssn INTO s FROM people WHERE id = 1;
  RAISE EXCEPTION 'read %', s USING COLUMN = s, TABLE = s, SCHEMA = s, CONSTRAINT = s, DATATYPE = s, DETAIL = s; END$$;
CREATE FUNCTION same(text, text) RETURNS boolean LANGUAGE sql AS 'SELECT $1 = $2';
CREATE OPERATOR ==== (leftarg = text, rightarg = text, function = same);
CREATE TABLE shy (id int PRIMARY KEY, ssn text, n int, CHECK (n < 100));
INSERT INTO shy VALUES (1, '{SSN}', 1);
CREATE FUNCTION shy_speaks() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN
  IF TG_OP = 'DELETE' THEN RAISE EXCEPTION 'row was %', OLD; END IF; RAISE NOTICE 'row is %', NEW; RETURN NEW; END$$;
CREATE TRIGGER speaks BEFORE UPDATE OR DELETE ON shy FOR EACH ROW EXECUTE FUNCTION shy_speaks();
CREATE TABLE plain (id int PRIMARY KEY, body text, doc jsonb, doc_j json, arr text[], arrs text[][], comp card,
  raw bytea, dom ssn_text, vc varchar(40), ch char(40), xm xml, hs jsonb);
INSERT INTO plain SELECT 1, 'my ssn is ' || s || ' ok', jsonb_build_object('a', jsonb_build_array(s)),
  json_build_object('k', s), ARRAY[s, 'x'], ARRAY[ARRAY[s], ARRAY['x']], ROW('Ada', s)::card, s::bytea, s, s, s,
  ('<a>' || s || '</a>')::xml, jsonb_build_object('ssn ' || s, 1) FROM (VALUES ('{SSN}')) v (s);
CREATE TABLE wide (id int, pad text, ssn text, more text);
INSERT INTO wide SELECT n, repeat('x', n * 9), '{SSN}', repeat('y', n * 5) FROM generate_series(1, 300) n;
CREATE VIEW moving_a AS SELECT name AS a FROM people;
CREATE TABLE moving_b (a text);
CREATE TABLE swapped (a text);
CREATE VIEW moving_c AS SELECT ssn AS a FROM people;
CREATE TABLE added (id int);
INSERT INTO added VALUES (1);
ALTER TABLE added ADD COLUMN ssn text DEFAULT '{SSN}';
ALTER TABLE added ALTER COLUMN ssn DROP DEFAULT;
CREATE VIEW missing AS SELECT attmissingval::text AS was FROM pg_catalog.pg_attribute WHERE atthasmissing;
ANALYZE;
"""

_RULES = """
- name: all
  allow: {verbs: [select, insert, update, delete, truncate, lock, create, alter, drop], touches: ["*.*"]}
- {name: functions, allow: {functions: ["public.*"]}}
"""

_MASKS = """
masks:
  - {columns: ["public.*.ssn", public.people.comp, public.people.dom], with: partial, keep_last: 4INFER}
  - {columns: [public.people.arr, public.people.comps, public.people.raw, public.people.num, public.people.gone],
     with: "null"INFER}
  - {columns: [public.people.doc, public.people.doc_j], with: redactINFER}
  - {columns: [public.people.hashed], with: hashINFER}
"""

POLICIES = {
    "masked.yaml": policy("masked", _RULES, more=_MASKS.replace("INFER", "")),
    "inferring.yaml": policy("inferring", _RULES, "readers", _MASKS.replace("INFER", ", inference: allow")),
}
"""Everything is allowed; `bot` may not infer what is masked, `reader` may, and must still not be shown it."""

DETECTING = {"detecting.yaml": policy("detecting", _RULES, more="masks: [{detect: [us_ssn], with: redact}]")}
"""No column is named: what looks like an SSN is masked wherever it stands."""


def _fragments() -> tuple[bytes, ...]:
    """Return what must not be seen: the secret, its first half, and what common functions make of them."""
    digits = SSN.replace("-", "")
    texts = [SSN[:6], digits, SSN[::-1][-6:], digits[::-1], str(NUMBER), NUMBER.to_bytes(8, "big").hex()]
    found = [text.encode() for text in texts] + [NUMBER.to_bytes(8, "big")]
    found += [SSN[:6].encode().hex().encode(), digits[:6].encode().hex().encode()]
    found += [base64.b64encode(SSN.encode())[:8], base64.b64encode(digits.encode())[:8]]
    for one in (SSN, digits, SSN[:6], SSN[:3]):
        found += [hashlib.new(name, one.encode()).hexdigest().encode() for name in ("md5", "sha1", "sha256")]
        found += [hashlib.new(name, one.encode()).digest() for name in ("md5", "sha256")]
    return tuple(found)


FRAGMENTS = _fragments()


def leaked(data: bytes) -> list[bytes]:
    """Return the fragments of the secret that stand in bytes, whatever the case of letters."""
    lower = data.lower()
    return [one for one in FRAGMENTS if one in data or one in lower]


def bind_as(values: tuple[bytes | None, ...] = (), results: tuple[int, ...] = (), portal: bytes = b"") -> bytes:
    """Bind of the unnamed statement with text parameters and the result formats given."""
    listed = b"".join(b"\xff\xff\xff\xff" if one is None else len(one).to_bytes(4, "big") + one for one in values)
    forms = len(results).to_bytes(2, "big") + b"".join(one.to_bytes(2, "big") for one in results)
    return frame(b"B", portal + b"\0\0\0\0" + len(values).to_bytes(2, "big") + listed + forms)


def ways(text: bytes) -> Iterator[bytes]:
    """Yield the ways in which a client may send one statement: with and without Describe, in both result formats."""
    yield query(text)
    yield parse(b"", text) + bind_as() + describe(b"P") + execute() + SYNC
    yield parse(b"", text) + bind_as(results=(1,)) + execute() + SYNC
    yield parse(b"", text) + describe(b"S") + bind_as(results=(1,)) + describe(b"P") + execute(b"", 1) + SYNC


@dataclass
class Leaks:
    """A gateway, its database, and the raw conversations with it."""

    gateway: Gateway
    database: Database
    seen: list[bytes] = field(default_factory=list)

    def raw(self, who: str = "bot", **parameters: str) -> Raw:
        """Return a logged-in raw client; a server that is not heard for a minute counts as hung."""
        return Raw(self.gateway, who, parameters)

    def connect(self, who: str = "bot", **options: str) -> psycopg.Connection[Any]:
        """Return an autocommit psycopg connection."""
        return self.gateway.connect(who, **options)

    def answers(self, text: str, who: str = "bot") -> list[tuple[str, bytes]]:
        """Return what each way of sending a statement answers, in words and as bytes; each must leave a live session.

        What was written is rolled back, so that a statement finds the same each time.
        """
        found: list[tuple[str, bytes]] = []
        with contextlib.ExitStack() as stack:
            raw: Raw | None = None
            for way in ways(text.encode()):
                raw = raw or stack.enter_context(self.raw(who))
                raw.ask(query(b"BEGIN"))
                before = len(raw.seen)
                raw.wire.settimeout(20)
                try:
                    words = raw.ask(way)
                except TimeoutError:
                    words = "hangs over"
                found.append((words, raw.seen[before:]))
                if words.endswith("over"):
                    raw = None
                    continue
                after = raw.ask(query(b"ROLLBACK") + query(b"SELECT 'alive'"), 2)
                assert after.endswith("T D C ZI"), (text, words, after, raw.last_error)
        return found

    def must_not_show(self, *texts: str, who: tuple[str, ...] = ("bot", "reader")) -> None:
        """Prove that no way of sending these shows the secret to anyone; whether they are refused is not asked."""
        wrong = []
        for text in texts:
            for one in who:
                for words, data in self.answers(text, one):
                    if leaked(data) or not words or words.endswith("over"):
                        wrong.append((one, text, words, leaked(data), message(data)))
        assert not wrong, "\n".join(map(str, wrong))
        self.nothing_kept()

    def must_refuse(self, *texts: str, who: str = "bot") -> None:
        """Prove that these are refused by policy in every way of sending, and show nothing either to who may infer."""
        wrong = []
        for text in texts:
            for words, data in self.answers(text, who):
                if leaked(data) or not refused(words):
                    wrong.append((who, text, words, leaked(data), message(data)))
        assert not wrong, "\n".join(map(str, wrong))
        self.must_not_show(*texts, who=("reader",))

    def must_answer(self, *texts: str, who: tuple[str, ...] = ("bot", "reader"), pieces: bool = True) -> None:
        """Prove that these run and answer rows, masked: what agents need stays possible.

        Without `pieces`, a row limit is not tried.
        """
        wrong = []
        for text in texts:
            for one in who:
                for words, data in self.answers(text, one)[: None if pieces else 3]:
                    if leaked(data) or "E" in words or "over" in words:
                        wrong.append((one, text, words, leaked(data), message(data)))
        assert not wrong, "\n".join(map(str, wrong))
        self.nothing_kept()

    def nothing_kept(self) -> None:
        """Prove that neither the gateway's log nor any file of its data holds the secret."""
        assert not leaked(self.gateway.log.encode())
        for path in self.gateway.data.rglob("*"):
            if path.is_file():
                lines = [line[:2000] for line in contents(path).split(b"\n") if leaked(line)]
                assert not lines, (path.name, lines[0])

    @contextlib.contextmanager
    def unchanged(self, *tables: str) -> Iterator[None]:
        """Prove that what runs inside leaves these tables as they were."""
        before = [self.database.rows(f"SELECT * FROM {one} ORDER BY 1") for one in tables]
        yield
        assert [self.database.rows(f"SELECT * FROM {one} ORDER BY 1") for one in tables] == before


def contents(path: Path) -> bytes:
    """Return what a file holds, decompressed."""
    with contextlib.suppress(FileNotFoundError):
        data = path.read_bytes()
        if path.suffix == ".zst":
            with zstandard.ZstdDecompressor().stream_reader(data, read_across_frames=True) as reader:
                return reader.read()
        return data
    return b""


def message(data: bytes) -> str:
    """Return the message of the first error in an answer, for a test's own report."""
    found = re.search(rb"\0M([^\0]*)\0", data)
    return found[1].decode(errors="replace") if found else ""


def refused(words: str) -> bool:
    """Say whether the answers to one request are a refusal by policy and nothing that tells more."""
    return "E42501" in words and "D" not in words.split() and "d" not in words.split()


__all__ = ["Leaks", "Raw", "leaked"]
