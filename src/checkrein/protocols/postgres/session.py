"""The PostgreSQL session: the client's and the target's bytes in, steps out (frontend/backend protocol 3.0).

All transitions are in transitions.py. Bytes of a client message that must wait for the target stay in
`State.inbox` and are tried again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from checkrein.core.errors import ProtocolError
from checkrein.core.framing import frame_size, run_of
from checkrein.core.limits import BREATHE_MESSAGES, MESSAGE_BYTES, PARKED_INPUT
from checkrein.core.session import Cancelled, Killed, SessionContext, SessionEvent
from checkrein.core.side import Side
from checkrein.core.steps import Breathe, Close, Interrupt, Query, Send, Steps, Verb
from checkrein.protocols.postgres import codec
from checkrein.protocols.postgres import own_messages as own
from checkrein.protocols.postgres.answering import Answers
from checkrein.protocols.postgres.ending import broke_off
from checkrein.protocols.postgres.entering import Entering
from checkrein.protocols.postgres.errors import notice_response, plain_error
from checkrein.protocols.postgres.hidden import learn_names
from checkrein.protocols.postgres.judging import Judging, Reader
from checkrein.protocols.postgres.preparing import Handled
from checkrein.protocols.postgres.requests import Requests
from checkrein.protocols.postgres.resuming import Resuming
from checkrein.protocols.postgres.simple import Queries
from checkrein.protocols.postgres.startup import CANCEL_CODE
from checkrein.protocols.postgres.state import State
from checkrein.protocols.postgres.telling import Broken
from checkrein.protocols.postgres.transitions import TRANSITIONS

CLIENT: Final = Side.CLIENT
TARGET: Final = Side.TARGET
COPY_DATA: Final = 0x64
READ_ANEW: Final = frozenset(b"QPB")
"""Messages whose statement is read under the target's catalog of now."""
BEGINS: Final = frozenset(b"QPBDEC")
"""Messages that begin a segment: before its first is the last moment to ask what names mean."""
WAITING_BYTES: Final = 2 * MESSAGE_BYTES
"""What a client may pipeline behind a message that waits for the target."""


class PostgresSession:
    """One client's conversation with one PostgreSQL target; see core.session.Session.

    `_stalled`: the message in front was tried and must wait for the target. `_anew`: the catalog was taken for it.
    `_handled` counts messages since others were let run.
    """

    def __init__(self, context: SessionContext, reader: Reader) -> None:
        self.state = State(context)
        self._entering = Entering(self.state)
        self._judging = Judging(self.state, reader)
        self._answers = Answers(self.state)
        self._requests = Requests(self.state, self._judging, self._answers)
        self._queries = Queries(self._requests, self._answers)
        self._resuming = Resuming(self._requests, self._queries, self._answers)
        self._stalled = False
        self._anew = False
        self._handled = 0
        self._handlers: dict[str, Callable[[bytes], Handled]] = {
            "query": self._queries.query,
            "parse": self._requests.parse,
            "bind": self._requests.bind,
            "describe": self._requests.describe,
            "execute": self._requests.execute,
            "close": self._requests.close,
            "sync": self._requests.sync,
            "flush": self._requests.flush,
            "function_call": self._requests.function_call,
            "terminate": self._terminate,
            "drop": self._drop,
            "copy_data": self._copy_data,
            "copy_end": self._copy_end,
        }

    # --- verbs ---------------------------------------------------------------------------------

    def open(self, now: float) -> Steps[None]:
        """The connection was accepted: PostgreSQL clients speak first."""
        return
        yield Close(Side.CLIENT, "")

    def receive(self, side: Side, data: bytes, now: float) -> Verb:
        """Bytes arrived on a side."""
        state = self.state
        if state.phase != "ready":
            return self._guarded(self._entry(side, data), None)
        broke: ProtocolError | Broken | None = None
        rest: Steps[None] | None = None
        self._stalled = False
        try:
            if side is CLIENT:
                self._take_in(data)
                rest = self._work()
                if rest is None:
                    return state.flush() if state.redefining else state.drain()
            else:
                rest = self._answers.receive(data)
                if rest is None and not self._waits():
                    return state.flush() if state.redefining else state.drain()
        except (ProtocolError, Broken) as error:
            broke = error
        if broke is not None:
            return broke_off(state, broke)
        return self._guarded(None, rest) if side is CLIENT else self._guarded(rest, None)

    def _waits(self) -> bool:
        """Whether something of the client's waits to be dealt with."""
        state = self.state
        return state.phase == "ready" and (state.paused is not None or len(state.inbox) > state.at)

    def _guarded(self, first: Steps[None] | None, work: Steps[None] | None) -> Steps[None]:
        """Run steps, and what is left of the client's messages; what breaks on the way is told natively."""
        state = self.state
        broke: ProtocolError | Broken | None = None
        try:
            if work is None:
                if first is not None:
                    yield from first
                yield from state.flush()
                work = self._work() if self._waits() else None
            if work is not None:
                yield from self._working(work)
        except (ProtocolError, Broken) as error:
            broke = error  # dealt with below: a compiled generator must not be left suspended in a handler
        if broke is not None:
            yield from broke_off(state, broke)
        yield from state.flush()

    def _take_in(self, data: bytes) -> None:
        """Put the client's bytes behind those that wait."""
        state = self.state
        if len(state.inbox) - state.at + state.later_bytes + len(data) > WAITING_BYTES:
            raise ProtocolError("too much was sent behind a message that waits", CLIENT, "54000")
        state.take_in(data)

    def _entry(self, side: Side, data: bytes) -> Steps[None]:
        """Bytes before the query phase."""
        if side is TARGET:
            yield from self._from_target(data)
        elif self.state.phase != "over":
            yield from self._entering.from_client(data)

    def event(self, what: SessionEvent, now: float) -> Steps[None]:
        """Killed ends the session natively; a cancel goes to the target over a connection of its own."""
        state = self.state
        if isinstance(what, Killed):
            running = bool(state.queue) and state.phase == "ready"
            state.phase = "over"
            state.drop_output()  # what was decided and did not leave yet never will
            code = "58000" if what.code == "error" else "57P01"
            if not self._answers.left:  # inside a long row an error would be read as the rest of it
                yield Send(Side.CLIENT, plain_error(code, what.reason, "FATAL"))
            if running:
                yield from self._interrupt()
            yield Close(Side.TARGET, what.reason)
            yield Close(Side.CLIENT, what.reason)
        elif isinstance(what, Cancelled) and state.phase == "ready" and state.queue:
            yield from self._interrupt()

    def _interrupt(self) -> Steps[None]:
        size = 8 + len(self.state.target_key)
        yield Interrupt(size.to_bytes(4, "big") + CANCEL_CODE.to_bytes(4, "big") + self.state.target_key)

    def end(self, side: Side, now: float) -> Steps[None]:
        """A side is gone. The client's end ends the target's; the target's is told to the client."""
        state = self.state
        before, state.phase = state.phase, "over"
        if side is Side.CLIENT:
            if before == "ready":
                if state.queue:
                    yield from self._interrupt()
                yield Send(Side.TARGET, codec.TERMINATE, own.TERMINATE)
            yield Close(Side.TARGET, "the client went away")
            yield Close(Side.CLIENT, "the client went away")
            return
        if before != "over":
            state.drop_output()
            if not state.doomed:  # else it has said itself why it ends
                yield Send(Side.CLIENT, plain_error("08006", "the target closed the connection", "FATAL"))
        yield Close(Side.CLIENT, "the target closed the connection")

    def notice(self, text: str) -> bytes:
        """Return a NoticeResponse; inside a transaction it says that locks are held."""
        if self.state.phase != "ready":
            return b""
        held = self.state.status == 84 or self.state.dirty
        return notice_response(text, "The open transaction keeps its locks while it waits." if held else "")

    def cancel_key(self) -> bytes:
        """Return what BackendKeyData told the client."""
        return self.state.own_key

    def stuffed(self) -> bool:
        """Whether PARKED_INPUT bytes wait behind a message that waits for the target, and not for more of itself."""
        state = self.state
        if len(state.inbox) - state.at + state.later_bytes < PARKED_INPUT:
            return False
        return state.working or state.paused is not None or state.copy_wait is not None

    # --- the client's messages -----------------------------------------------------------------

    def _work(self) -> Steps[None] | None:
        """Deal with the client's messages until one must wait; return the steps that must come before it goes on."""
        if self.state.working:
            return None
        self._handled = 0
        rest = self._next()
        if rest is None:
            self._trim()
        return rest

    def _working(self, rest: Steps[None] | None) -> Steps[None]:
        """Go on with steps and messages in turn. One generator at a time does this."""
        state = self.state
        state.working = True
        try:
            while rest is not None:
                yield from rest
                rest = None if self._stalled else self._next()
        finally:
            state.working = False
            self._trim()

    def _trim(self) -> None:
        state = self.state
        self._anew = False
        if state.at == len(state.inbox):
            state.join()
        elif state.at:
            state.inbox = state.inbox[state.at :]
            state.at = 0

    def _next(self) -> Steps[None] | None:
        """Deal with messages; None when the next one is not all there, or must wait for the target."""
        state = self.state
        while True:
            if self._resuming.ready():
                return self._resuming.resume()
            if not self._free():
                return None
            size = frame_size(state.inbox, state.at, MESSAGE_BYTES, CLIENT)
            if state.later and self._cut(size):
                state.join()
                size = frame_size(state.inbox, 0, MESSAGE_BYTES, CLIENT)
            start = state.at
            if not size or len(state.inbox) - start < size:
                return None
            if self._handled >= BREATHE_MESSAGES:
                self._handled = 0
                return self._breathe()
            kind = state.inbox[start]
            if kind in BEGINS and state.names_dirty and not state.dirty and not self._named():
                return None
            if kind == COPY_DATA and state.copy_in is not None:
                size = run_of(state.inbox, start, kind, MESSAGE_BYTES, CLIENT)[1] - start
            elif kind in READ_ANEW and not state.skipping and not self._anew:
                question = self._judging.asked()
                found = self._judging.prompt(question)
                if found is None:
                    return self._read_anew(question)
                self._judging.took(found, question)
            self._anew = False
            self._handled += 1
            done = self._handle(kind, state.inbox[start : start + size])
            if not isinstance(done, bool):
                return self._deal(done, size)
            if done:
                state.at += size
            elif not self._resuming.ready():
                return None

    def _named(self) -> bool:
        """Have names asked for before a segment begins; False when it must wait for that, or for what is in flight."""
        state = self.state
        if state.queue or state.skipping or state.status == 69:
            return not state.queue
        learn_names(state)
        return state.paused is None

    def _cut(self, size: int) -> bool:
        """Whether the next message goes on in what came later, and is all there by now (or its size is not)."""
        here = len(self.state.inbox) - self.state.at
        return not size or here < size <= here + self.state.later_bytes

    def _deal(self, steps: Steps[bool], size: int) -> Steps[None]:
        """Run what a handler left to do."""
        done = yield from steps
        if done:
            self.state.at += size
        else:
            self._stalled = not self._resuming.ready()

    def _read_anew(self, question: Query) -> Steps[None]:
        """Have the next message's statement read under the catalog of now."""
        self._judging.took((yield question), question)
        self._anew = True

    def _breathe(self) -> Steps[None]:
        yield from self.state.flush()
        yield Breathe()

    def _free(self) -> bool:
        """Whether the next message may be looked at. A call, so that no check of a loop is taken to hold after it."""
        state = self.state
        return state.phase == "ready" and not state.doomed and state.paused is None and state.copy_wait is None

    def _handle(self, kind: int, data: bytes) -> Handled:
        """Deal with one message; or with a run of copy data."""
        handler = TRANSITIONS["query" if self.state.copy_in is None else "copy"].get(kind)
        if handler is None:
            raise ProtocolError(f"message {chr(kind)!r} does not belong here", CLIENT, "08P01")
        return self._handlers[handler](data)

    def _drop(self, data: bytes) -> bool:
        """Messages of a copy that is over, as the server ignores them; Flush and Sync during one, likewise."""
        return True

    def _copy_data(self, data: bytes) -> bool:
        entry = self.state.copy_in
        assert entry is not None and entry.decision is not None
        self.state.forward(data, entry.decision)
        if entry.results:
            entry.results[0].bytes += len(data)
        return True

    def _copy_end(self, data: bytes) -> bool:
        entry = self.state.copy_in
        assert entry is not None and entry.decision is not None
        self.state.forward(data, entry.decision)
        self.state.copy_in = None
        return True

    def _terminate(self, data: bytes) -> Steps[bool]:
        state = self.state
        state.phase = "over"
        state.forward(codec.TERMINATE, own.TERMINATE)
        yield from state.flush()
        yield Close(Side.TARGET, "the client ended the session")
        yield Close(Side.CLIENT, "the client ended the session")
        return True

    # --- the target's messages -----------------------------------------------------------------

    def _from_target(self, data: bytes) -> Steps[None]:
        """Its login, and the probe that follows."""
        state = self.state
        if state.phase == "target":
            data = yield from self._entering.from_target(data)
        if state.phase not in ("ready", "probing") or not data:
            return
        rest = self._answers.receive(data)
        if rest is not None:
            yield from rest
        collected = state.paused
        if state.phase == "probing" and collected is not None and collected.done:
            state.paused = None
            state.inbox = yield from self._entering.probed(collected)
