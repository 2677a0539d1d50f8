"""Both lanes of one session, driven dry: what one of them waits for while bytes come by the other."""

from __future__ import annotations

from typing import Any

from checkrein.core.decision import Decision
from checkrein.core.framing import frame
from checkrein.core.session import Killed, SessionContext
from checkrein.core.side import Side
from checkrein.core.steps import Decide, Interrupt, Query, Scrub, Send, steps_of
from checkrein.core.verdict import Verdict
from checkrein.protocols.postgres import SPEC
from checkrein.protocols.postgres.catalog import CatalogChange, Names
from tests.protocols.postgres.raw import SYNC, bind, parse, query, run
from tests.support.catalogs import load_of
from tests.support.postgres import Database

READY = frame(b"Z", b"I")
IN_BLOCK = frame(b"Z", b"T")


def done(tag: bytes) -> bytes:
    """A CommandComplete."""
    return frame(b"C", tag + b"\0")


class Dry:
    """A session in its query phase; everything is allowed. `sent` is what left for the target, in order."""

    def __init__(self, status: int = 73, catalog: Any = None) -> None:
        context = SessionContext(id="1", client="c", random=lambda n: b"r" * n)
        self.session: Any = SPEC.session(context)
        state = self.session.state
        state.phase, state.status = "ready", status
        state.names, state.names_dirty = Names(search_path=("pg_catalog", "public"), version="0"), False
        self.sent = b""
        self.asked: list[Decide] = []
        self.catalog = catalog

    def begin(self, side: Side, data: bytes) -> Any:
        """Hand bytes over; return the verb."""
        return steps_of(self.session.receive(side, data, 0.0))

    def go(self, verb: Any, until: type | None = None, reply: Any = None) -> Any:
        """Drive a verb to its end, or to a step of a type, which is returned."""
        while True:
            try:
                step = verb.send(reply)
            except StopIteration:
                return None
            if until is not None and isinstance(step, until):
                return step
            reply = self._answer(step)

    def _answer(self, step: Any) -> Any:
        if isinstance(step, Decide):
            self.asked.append(step)
            return Decision(len(self.asked), step.statement, Verdict(outcome="allow"), None, not step.final)
        if isinstance(step, Send) and step.to is Side.TARGET:
            self.sent += step.data
        if isinstance(step, Query):
            return self.catalog
        return step.texts if isinstance(step, Scrub) else None

    def say(self, side: Side, data: bytes) -> None:
        """Hand bytes over and drive what follows to its end."""
        self.go(self.begin(side, data))


def test_what_comes_by_the_other_lane_goes_behind_ddl_that_waits(database: Database) -> None:
    """GW-15: DDL waits until other sessions know of it; a message dealt with meanwhile is never sent before it."""
    dry = Dry(84, load_of(database))
    dry.say(Side.CLIENT, parse(b"s", b"SELECT 1") + SYNC)
    dry.sent = b""
    stopped = bind(b"", b"s")  # in the next segment, until the Parse is confirmed
    verb = dry.begin(Side.CLIENT, run(b"CREATE TABLE made()") + stopped)
    step = dry.go(verb, Query)
    while not isinstance(step.question, CatalogChange):
        step = dry.go(verb, Query, dry.catalog)
    dry.say(Side.TARGET, frame(b"1", b"") + IN_BLOCK)
    assert stopped in dry.sent
    dry.go(verb)
    assert dry.sent.index(b"CREATE TABLE") < dry.sent.rindex(stopped)


def test_a_kill_drops_what_did_not_leave() -> None:
    """GW-17: what was decided before a kill and still waits behind a catalog question is not sent after it."""
    dry = Dry()
    verb = dry.begin(Side.CLIENT, query(b"SELECT 'first'") + query(b"SELECT 'second'"))
    dry.go(verb, Query)
    dry.go(verb, Query)
    assert dry.session.state.queue
    verb.close()
    kill = steps_of(dry.session.event(Killed("ended"), 0.0))
    assert isinstance(dry.go(kill, Interrupt), Interrupt)
    dry.say(Side.TARGET, frame(b"N", b"SNOTICE\0Mhello\0\0"))
    dry.go(kill)
    assert dry.sent == b""


def test_a_write_behind_a_commit_that_is_over_is_no_part_of_the_transaction(database: Database) -> None:
    """GW-18: CommandComplete tells the block's end before ReadyForQuery; a write behind it is durable first."""
    database.run("CREATE TABLE t (id int)")
    dry = Dry(84, load_of(database))
    insert = b"INSERT INTO t VALUES (1)"
    dry.say(Side.CLIENT, query(insert))
    assert dry.asked[-1].deferred
    dry.say(Side.TARGET, done(b"INSERT 0 1") + IN_BLOCK)
    dry.say(Side.CLIENT, run(b"COMMIT") + frame(b"H", b""))
    dry.say(Side.TARGET, frame(b"1", b"") + frame(b"2", b"") + done(b"COMMIT"))
    dry.say(Side.CLIENT, run(insert) + SYNC)
    assert dry.asked[-1].statement.text == insert.decode()
    assert not dry.asked[-1].deferred


def test_long_descriptions_are_not_remembered() -> None:
    """I9: a target that gives other long descriptions each time does not fill the gateway's memory."""
    dry = Dry()
    answers = dry.session._answers
    fields = bytes(6) + (25).to_bytes(4, "big") + bytes(8)
    for size, kept in ((10, 1), (20_000, 1), (11, 2)):
        description = frame(b"T", b"\0\1" + b"x" * size + b"\0" + fields)
        assert answers._columns(0x54, description)[0].name == "x" * size
        assert len(answers._described) == kept


def test_what_comes_behind_a_message_that_waits_is_not_copied_at_every_arrival() -> None:
    """GW-20: a client that fills what may wait and goes on byte by byte costs its bytes, and they stay in order."""
    dry = Dry()
    dry.session.state.names_dirty = True
    first = query(b"SELECT 'first'")
    dry.say(Side.CLIENT, first)
    waits = dry.session.state.inbox
    behind = query(b"SELECT 'second'") + query(b"SELECT 'third'")
    for at in range(len(behind)):
        dry.say(Side.CLIENT, behind[at : at + 1])
    assert dry.session.state.inbox is waits
    dry.session.state.paused.done = True
    dry.session.state.queue.clear()
    dry.session.state.paused.error = b"none"
    dry.say(Side.TARGET, frame(b"N", b"SNOTICE\0Mhello\0\0"))
    assert dry.sent.endswith(first + behind)
