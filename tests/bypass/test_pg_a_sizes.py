"""PG-A: texts and messages of a size that crashes or stops parsers: refused in bounded time, others not disturbed."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Iterator

import pytest

from checkrein.core.limits import MESSAGE_BYTES, STATEMENT_BYTES
from tests.bypass.attack import SECRET, SYNC, World, bind, execute, extended, parse, query, run

SECONDS = 25.0
"""The most that any one of these may take on a busy machine; the gateway's own stop is at five seconds."""

SLOWEST = 5.0
"""The longest that another session's `SELECT 1` may take meanwhile."""

GROWTH = 400 * 1024 * 1024
"""What the gateway's process may grow by."""


class Beside:
    """Another session that asks all the time; `slowest` is the longest that it had to wait."""

    def __init__(self, world: World) -> None:
        self._raw = world.raw("reader")
        self._stop = threading.Event()
        self.slowest = 0.0
        self.asked = 0
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        while not self._stop.is_set():
            started = time.monotonic()
            if self._raw.ask(query(b"SELECT 1")) != "T D C ZI":
                self.slowest = float("inf")
                return
            self.slowest = max(self.slowest, time.monotonic() - started)
            self.asked += 1

    def __enter__(self) -> Beside:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(60)
        self._raw.close()


def _resident(world: World) -> int:
    with open(f"/proc/{world.gateway.process.pid}/statm") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@contextlib.contextmanager
def _bounded(world: World) -> Iterator[None]:
    """Prove that the gateway lives, is not held up, does not grow, and that nothing is changed."""
    before, pid = _resident(world), world.gateway.process.pid
    with world.unchanged(), Beside(world) as beside:
        started = time.monotonic()
        yield
        took = time.monotonic() - started
    assert took < SECONDS, took
    assert beside.asked and beside.slowest < SLOWEST, (beside.asked, beside.slowest)
    assert _resident(world) - before < GROWTH, (_resident(world) - before) >> 20
    assert world.gateway.process.poll() is None and world.gateway.process.pid == pid


def _refused(world: World, text: bytes, code: str = "", who: str = "bot") -> None:
    """Both protocols refuse the text, and the session goes on."""
    for way in (query, extended):
        with world.raw(who) as raw:
            shown = raw.ask(way(text))
            assert shown.startswith("E" + code) and shown.endswith(" ZI") and len(shown.split()) == 2, shown
            assert raw.ask(query(b"SELECT 1")) == "T D C ZI"
            assert SECRET.encode() not in raw.seen


def test_pg_a01_a_long_comment_before_a_drop(world: World) -> None:
    """Nine MiB of comment and then DROP: longer than what is read, so refused unread."""
    for text in (
        b"/*" + b"x" * (9 << 20) + b"*/ DROP TABLE open_items",
        b"--" + b"x" * (9 << 20) + b"\nDROP TABLE open_items",
        b" " * (9 << 20) + b"DROP TABLE open_items",
        b"SELECT '" + b"x" * (9 << 20) + b"'; DROP TABLE open_items",
        b"SELECT 1 /*" + b"y" * STATEMENT_BYTES + b"*/; DROP TABLE open_items",
        b"/*" + b"x" * (STATEMENT_BYTES - 100) + b"*/ DROP TABLE open_items",
        b"/*" + b"x" * 9000 + b"*/ DROP TABLE open_items",
    ):
        with _bounded(world):
            _refused(world, text)


def test_pg_a02_a_message_of_65_mib(world: World) -> None:
    """A message longer than any may be ends the session before it is read; its bytes are never gathered."""
    for kind in (b"Q", b"P", b"B", b"d", b"p"):
        size = 65 << 20
        with _bounded(world), world.raw() as raw:
            raw.send(kind + (size + 4).to_bytes(4, "big") + b"x" * size)
            assert raw.over()
            assert "C54000" in raw.last_error or "C08P01" in raw.last_error
    for length in (3, 0, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF):
        with _bounded(world), world.raw() as raw:
            raw.send(b"Q" + length.to_bytes(4, "big") + b"SELECT 1\0")
            assert raw.over()


def test_pg_a02_the_longest_message_that_may_be(world: World) -> None:
    """Just below the limit it is refused as too long a statement, and the session goes on; parameters may be large."""
    text = b"SELECT '" + b"x" * (MESSAGE_BYTES - 64) + b"'"
    with _bounded(world):
        _refused(world, text)
        with world.raw() as raw:
            big = b"y" * (8 << 20)
            sent = parse(b"", b"SELECT length($1::text)") + bind(values=(big,)) + execute() + SYNC
            assert raw.ask(sent) == "1 2 D C ZI"
            assert b"8388608" in raw.seen


def _assigned(names: int, deep: int, gap: bytes = b" ") -> bytes:
    """Multiple assignments within one another: the parse tree has each source once for each of the names."""
    text = b"SELECT 1"
    for _ in range(deep):
        listed = b"id, " * (names - 1) + b"id"
        text = b"WITH w AS (UPDATE open_items SET (" + listed + b")" + gap + b"= (" + text + b") RETURNING 1) SELECT 1"
    return text


DEEP = {
    "assignments": _assigned(10, 8),
    "assignments of two": _assigned(2, 25),
    "assignments with comments": _assigned(10, 8, b"/* = */"),
    "wide assignments": _assigned(1000, 2, b"--\n"),
    "one wide assignment": b"UPDATE open_items SET (" + b"id," * 3999 + b"id) = ROW(" + b"1," * 3999 + b"1)",
    "parentheses": b"SELECT " + b"(" * 10_000 + b"1" + b")" * 10_000,
    "many parentheses": b"SELECT " + b"(" * 200_000 + b"1" + b")" * 200_000,
    "operators": b"SELECT 1" + b"+1" * 100_000,
    "concatenations": b"SELECT 'a'" + b"||'a'" * 100_000,
    "nots": b"SELECT " + b"NOT " * 100_000 + b"true",
    "signs": b"SELECT " + b"- " * 100_000 + b"1",
    "casts": b"SELECT 1" + b"::int" * 100_000,
    "cases": b"SELECT " + b"CASE WHEN true THEN " * 20_000 + b"1" + b" END" * 20_000,
    "sub-selects": b"SELECT " + b"(SELECT " * 20_000 + b"1" + b")" * 20_000,
    "from": b"SELECT 1 FROM " + b"(SELECT 1 FROM " * 5_000 + b"open_items" + b") x" * 5_000,
    "with": b"WITH a AS (" * 5_000 + b"SELECT 1" + b") SELECT 1" * 5_000,
    "arrays": b"SELECT " + b"ARRAY[" * 50_000 + b"1" + b"]" * 50_000,
    "indexes": b"SELECT (ARRAY[1])" + b"[1]" * 100_000,
    "unions": b"SELECT 1" + b" UNION ALL SELECT 1" * 50_000,
    "joins": b"SELECT 1 FROM open_items" + b" JOIN open_items USING (id)" * 20_000,
    "rows": b"SELECT " + b"ROW(" * 50_000 + b"1" + b")" * 50_000,
    "calls": b"SELECT " + b"abs(" * 50_000 + b"1" + b")" * 50_000,
    "and": b"SELECT 1 WHERE true" + b" AND true" * 100_000,
    "or": b"SELECT 1 WHERE " + b"(true OR " * 50_000 + b"true" + b")" * 50_000,
    "comments": b"SELECT 1 " + b"/*" * 100_000 + b"*/" * 100_000 + b" FROM secret_keys",
    "explains": b"EXPLAIN " * 50_000 + b"SELECT 1",
    "collations": b"SELECT 'a'" + b' COLLATE "C"' * 50_000,
    "names": b"SELECT " + b"a." * 100_000 + b"b FROM open_items",
}


@pytest.mark.parametrize("name", DEEP)
def test_pg_a41_depth(world: World, name: str) -> None:
    """Texts that nest or chain without end, each with a forbidden statement behind: refused, no crash, no hang."""
    with _bounded(world):
        _refused(world, DEEP[name] + b"; DELETE FROM secret_keys", who="breaker")


@pytest.mark.parametrize("name", ["parentheses", "operators", "concatenations", "and", "unions", "casts"])
def test_pg_a41_depth_alone(world: World, name: str) -> None:
    """The same without anything forbidden: refused or answered, in bounded time, and the session goes on."""
    with _bounded(world), world.raw("breaker") as raw:
        for way in (query, extended):
            shown = raw.ask(way(DEEP[name]))
            assert shown.endswith(" ZI") and shown.count("Z") == 1, shown
        assert raw.ask(query(b"SELECT 1")) == "T D C ZI"


def test_pg_a41_who_breaks_the_worker_waits_alone(world: World) -> None:
    """A text that has the worker killed bars its principal from it for a while, in all sessions, and nobody else."""
    large = b"SELECT name FROM open_items WHERE id IN (" + b"1," * 10_000 + b"1)"
    with world.raw("breaker") as breaker, world.raw("breaker") as other, world.raw() as raw:
        assert breaker.ask(query(DEEP["assignments"])) == "E42501 ZI"
        assert other.ask(query(large)) == "E42501 ZI"
        assert "had to be stopped" in other.last_error
        assert other.ask(query(b"SELECT 1")) == "T D C ZI"
        assert raw.ask(query(large)) == "T D C ZI"


def test_pg_a41_breadth(world: World) -> None:
    """An IN list of 100,000, VALUES of 50,000 rows, 5,000 columns: bounded, and the last place is read too."""
    many = b",".join(str(index).encode() for index in range(100_000))
    stolen = b",(SELECT n FROM secret_keys LIMIT 1)"
    with _bounded(world):
        _refused(world, b"SELECT name FROM open_items WHERE id IN (" + many + stolen + b")")
        _refused(
            world, b"INSERT INTO open_parent VALUES " + b"(1)," * 50_000 + b"((SELECT n FROM secret_keys LIMIT 1))"
        )
        _refused(world, b"SELECT " + b"1," * 5_000 + stolen[1:])
        _refused(world, b"SELECT 1 FROM " + b"open_items," * 5_000 + b"secret_keys")
    with _bounded(world), world.raw() as raw:
        shown = raw.ask(query(b"SELECT name FROM open_items WHERE id IN (" + many + b")"))
        assert shown.endswith(" ZI"), shown
        shown = raw.ask(query(b"SELECT name FROM open_items WHERE id IN (" + many[:20_000].rsplit(b",", 1)[0] + b")"))
        assert shown == "T D C ZI", shown


def test_pg_a41_many_statements(world: World) -> None:
    """Ten thousand statements in one Query, a forbidden one last: none runs."""
    with _bounded(world), world.raw() as raw:
        good = b"INSERT INTO open_queue (what) VALUES ('x');"
        for text in (
            good * 10_000 + b"DELETE FROM secret_keys",
            good * 900 + b"DELETE FROM secret_keys",
            b";" * 500_000 + b"DELETE FROM secret_keys",
        ):
            shown = raw.ask(query(text))
            assert shown.startswith("E") and shown.endswith(" ZI") and len(shown.split()) == 2, shown
        assert raw.ask(query(b";" * 100_000)) == "I ZI"
        assert raw.ask(query(b"SELECT 1")) == "T D C ZI"


def test_pg_a41_many_messages(world: World) -> None:
    """Pipelines without Sync, without end: refused at a named limit, answers stay in order, memory does not grow."""
    with _bounded(world):
        with world.raw() as raw:
            raw.send(run(b"SELECT 1") * 3_000 + SYNC)
            answers = raw.until(b"Z")
            assert answers[-1][0] in (b"Z", b"")
        with world.raw() as raw:
            raw.send(parse(b"", b"DELETE FROM secret_keys") * 50_000 + SYNC)
            answers = raw.until(b"Z")
            assert [kind for kind, _ in answers] == [b"E", b"Z"]
        with world.raw() as raw:
            raw.send(b"".join(parse(b"s%d" % index, b"SELECT 1") for index in range(6_000)) + SYNC)
            assert raw.until(b"Z")[-1][0] in (b"Z", b"")
    _lives(world)


def _lives(world: World) -> None:
    with world.raw() as raw:
        assert raw.ask(query(b"SELECT 1")) == "T D C ZI"


def test_pg_a41_journal_keeps_the_refusal(world: World) -> None:
    """What was refused unread is in the journal with its text, and says so."""
    with world.raw("breaker", application_name="a41-journal") as raw:
        assert raw.ask(query(DEEP["parentheses"])).startswith("E")
    refused = [one for one in world.decided("a41-journal") if one["outcome"] == "refused"]
    assert len(refused) == 1
    assert refused[0]["refusal"]["code"] == "conceded"
