"""The simple query protocol: every statement of a Query is judged before the first is sent."""

from __future__ import annotations

import msgspec

from checkrein.core.decision import Decision
from checkrein.core.errors import ProtocolError
from checkrein.core.framing import frame
from checkrein.core.limits import BREATHE_MESSAGES, PIPELINE_STATEMENTS
from checkrein.core.steps import Breathe, Steps
from checkrein.core.verdict import Refusal
from checkrein.protocols.postgres import codec, hidden
from checkrein.protocols.postgres import own_messages as own
from checkrein.protocols.postgres.acts import Reading
from checkrein.protocols.postgres.answering import Answers
from checkrein.protocols.postgres.copying import plan_copy
from checkrein.protocols.postgres.exchange import (
    BIND,
    CLOSE,
    DESCRIBE,
    EXECUTE,
    PARSE,
    QUERY,
    SYNC,
    Collected,
    Entry,
    Result,
)
from checkrein.protocols.postgres.judging import USES_EARLIER, abandoned, shown
from checkrein.protocols.postgres.preparing import Handled
from checkrein.protocols.postgres.refusing import NOT_TEXT, NOT_TEXT_CODE, answers_rows, local_setting, must_hold
from checkrein.protocols.postgres.requests import Requests
from checkrein.protocols.postgres.statements import TOO_MANY


class Queries:
    """Handles Query messages with the help of what the extended protocol has."""

    def __init__(self, requests: Requests, answers: Answers) -> None:
        self.requests = requests
        self.answers = answers
        self.state = requests.state
        self.judging = requests.judging

    def query(self, data: bytes) -> Handled:
        """Read, judge, refuse, or forward a Query."""
        if self.state.skipping:
            return True
        raw = codec.read_query(data[5:])
        settled = self.requests.settle_names()
        if not settled:
            return False
        try:
            text = self.requests.text_of(raw)
        except ProtocolError:
            self.requests.refuse_query(NOT_TEXT, None, NOT_TEXT_CODE)
            return True
        readings = self.judging.kept(text, settled == 2, True)
        state = self.state
        if (
            readings is None
            or len(readings) > 1
            or TOO_MANY in readings[0].statement.facts
            or state.queue
            or state.dirty
            or state.output
        ):
            return self._query(data, raw, text, settled == 2)
        step = self.judging.step(readings[0].statement, True, None, readings[0].act)
        decision: Decision | None = self.judging.prompt(step)
        if decision is None:
            return self._query(data, raw, text, False)
        if decision.refusal is not None:
            self._refuse(decision)
            return True
        rest = self._go(data, raw, text, readings, [decision])
        return True if rest is None else _done_after(rest)

    def _query(self, data: bytes, raw: bytes, text: str, unsettled: bool) -> Steps[bool]:
        state = self.state
        readings = yield from self.judging.read(text, unsettled, True)
        if TOO_MANY in readings[0].statement.facts:
            self._too_many()
            return True
        if state.queue and any(reading.act.kind in USES_EARLIER for reading in readings):
            if not state.dirty:
                return False
            why = "what it runs may be changed by what was sent before; send Sync first"
            self.requests.refuse_query(Refusal(code="conceded", reason=why), None)
            return True
        if len(readings) > 1 and not (yield from self._look(text, readings)):
            return True
        if state.dirty and state.status != 69:
            state.forward(codec.FLUSH, own.OWN_FLUSH)
        yield from state.flush()
        decisions: list[Decision] = []
        waited = False
        for index, reading in enumerate(readings):
            decision: Decision = yield self.judging.step(
                reading.statement, True, None, reading.act if len(readings) == 1 else None
            )
            if decision.waited and decision.refusal is None:
                waited = True
                decision = yield from self._again(text, readings, index, decision)
            if decision.refusal is not None:
                yield from self._refused(decision, decisions, ahead_of(text, readings, index))
                return True
            decisions.append(decision)
        if waited and len(decisions) > 1 and not (yield from self._look(text, readings)):
            for one in decisions:
                yield abandoned(one)
            return True
        rest = self._go(data, raw, text, readings, decisions)
        if rest is not None:
            yield from rest
        return True

    def _too_many(self) -> None:
        refusal = Refusal(code="limit", reason=f"more than {PIPELINE_STATEMENTS} statements in one request")
        self.requests.refuse_query(refusal, None, "54000")

    def _look(self, text: str, readings: tuple[Reading, ...]) -> Steps[bool]:
        """Look at all statements of a request before anyone is asked about one, and again when people were waited for,
        as a rule may have come meanwhile; False when one is refused."""
        looked: list[Decision] = []
        for index, reading in enumerate(readings):
            if index % BREATHE_MESSAGES == BREATHE_MESSAGES - 1:
                yield Breathe()
            decision = yield from self.judging.decide(reading.statement, False)
            if decision.refusal is not None:
                yield from self._refused(decision, looked, ahead_of(text, readings, index))
                return False
            looked.append(decision)
        return True

    def _again(self, text: str, readings: tuple[Reading, ...], index: int, approved: Decision) -> Steps[Decision]:
        """Read again after people were waited for, so that what was approved is what runs."""
        yield from self.judging.refresh(True)
        again = yield from self.judging.read(text, self.state.names_dirty, True)
        same = again[index] if len(again) == len(readings) else readings[index]
        decision = yield from self.judging.decide(same.statement, True, approved)
        return decision

    def _refused(self, decision: Decision, earlier: list[Decision], ahead: int) -> Steps[None]:
        """Refuse the whole request: what was decided before runs no more."""
        for one in earlier:
            yield abandoned(one)
        self._refuse(decision, ahead)

    def _refuse(self, decision: Decision, ahead: int = 0) -> None:
        refusal, code = shown(decision)
        if ahead and refusal.position:
            refusal = msgspec.structs.replace(refusal, position=refusal.position + ahead)
        self.requests.refuse_query(refusal, decision, code)

    def _go(
        self, data: bytes, raw: bytes, text: str, readings: tuple[Reading, ...], decisions: list[Decision]
    ) -> Steps[None] | None:
        """Send it at once, or return the steps that must come before."""
        results = [Result(one, reading.act) for one, reading in zip(decisions, readings, strict=True)]
        if any(result.act.setting_class == "local" for result in results):
            return self._local(readings, results)
        owed = [result for result in results if result.decision.owed and answers_rows(result.act)]
        holds = any(must_hold(result) for result in results)
        if (owed and len(results) > 1) or holds or any(result.act.kind == "copy_out" for result in owed):
            return self._carefully(data, raw, text, results, holds)
        self.send(data, results)
        return None

    def _carefully(self, data: bytes, raw: bytes, text: str, results: list[Result], holds: bool) -> Steps[None]:
        """Send what must be planned or described before it runs."""
        lone = len(results) == 1
        decisions = [result.decision for result in results]
        if not self.state.at_border or (holds and not lone):
            yield from self._cannot(results, decisions)
        elif lone and results[0].act.row_write:
            self._in_pieces(raw, results[0])
        elif (yield from self._plan_copies(results, decisions)):
            ready = yield from self._describe_first(data, text, results)
            if ready:
                self.send(data, results)

    def _cannot(self, results: list[Result], decisions: list[Decision]) -> Steps[None]:
        for one in decisions:
            yield abandoned(one)
        reason = "masks are owed and what it answers cannot be checked before it runs; send its statements one by one"
        self.requests.refuse_query(Refusal(code="witness", reason=reason), None)

    def _local(self, readings: tuple[Reading, ...], results: list[Result]) -> Steps[None]:
        """A setting that stays here: alone and with nothing under way it is answered at once."""
        state = self.state
        for result in results:
            yield abandoned(result.decision)
        if len(results) > 1 or not state.at_border:
            reason = "application_name is kept by the gateway; send its SET as a request of its own"
            self.requests.refuse_query(Refusal(code="conceded", reason=reason), None)
            return
        state.answer(local_setting(readings[0]) + frame(b"Z", bytes([state.status])))

    def send(self, data: bytes, results: list[Result]) -> None:
        """Put a Query on the wire, unchanged."""
        state = self.state
        entry = state.expect(Entry(QUERY, state.segment))
        entry.results = results
        entry.decision = results[-1].decision
        state.forward(data, results[-1].decision)
        state.dirty = False
        state.segment += 1
        state.statements.pop(b"", None)
        for result in results:
            state.goes(result.act, result.decision.statement)
            if result.act.kind == "copy_in":
                state.copy_wait = entry

    def _plan_copies(self, results: list[Result], decisions: list[Decision]) -> Steps[bool]:
        """Plan the copies of tables, whose columns the catalog knows; False when one of them is refused."""
        for result in results:
            if result.act.kind != "copy_out" or result.act.inner_start >= 0 or not result.decision.owed:
                continue
            refusal = yield from plan_copy(self.state, self.answers, result)
            if refusal is not None:
                for one in decisions:
                    yield abandoned(one)
                self.requests.refuse_query(refusal, None)
                return False
        return True

    # --- described before it runs --------------------------------------------------------------

    def _describe_first(self, data: bytes, text: str, results: list[Result]) -> Steps[bool]:
        """Have what answers rows described under a hidden name; True when there is nothing to describe."""
        state = self.state
        whole = text.encode()
        texts: list[bytes] = []
        wanted: list[Result] = []
        for result in results:
            act = result.act
            start, end = act.start, act.end
            if act.kind == "copy_out":
                if act.inner_start < 0:
                    continue
                start, end = act.inner_start, act.inner_end
            elif not act.returns_rows or act.kind in ("show", "explain", "fetch", "execute"):
                continue
            texts.append(whole[start:end].decode().encode(state.encoding))
            wanted.append(result)
        if not texts:
            return True
        if state.status == 69:
            yield from self._cannot(results, [result.decision for result in results])
            return False
        hidden.describe(state, texts, "query").wanted = (data, results, wanted)
        return False

    # --- a lone write that owes: the same text in messages that can still be taken back ---------

    def _in_pieces(self, raw: bytes, result: Result) -> None:
        """Parse and describe it under a hidden name; it runs only when its description is as read."""
        state = self.state
        name = state.context.random(16).hex().encode()
        collected = Collected("pieces")
        collected.wanted = (name, result)
        parse = state.expect(Entry(PARSE, state.segment, hidden=True))
        parse.decision = result.decision
        describe = state.expect(Entry(DESCRIBE, state.segment, hidden=True))
        describe.decision, describe.collect = result.decision, collected
        messages = codec.parse_message(name, raw) + codec.describe_message(b"S", name) + codec.FLUSH
        state.forward(messages, result.decision)
        state.dirty = True
        state.paused = collected
        state.statements.pop(b"", None)

    def run_pieces(self, name: bytes, result: Result) -> None:
        """Its description is as read: run it, and end the segment; the rows are held until that succeeded."""
        state = self.state
        state.expect(Entry(BIND, state.segment, hidden=True)).decision = result.decision
        entry = state.expect(Entry(EXECUTE, state.segment))
        entry.results.append(result)
        entry.decision = result.decision
        entry.code = "hold"
        state.forward(codec.bind_message(name, name) + codec.execute_message(name) + codec.FLUSH, result.decision)

    def end_pieces(self, name: bytes) -> None:
        """Close what was made and end the segment."""
        state = self.state
        pairs = ((b"P", name), (b"S", name), (b"S", b""))
        if not state.skipping:
            for kind, one in pairs:
                state.expect(Entry(CLOSE, state.segment, hidden=True))
                state.forward(codec.close_message(kind, one), own.CLOSE)
        state.forward(codec.SYNC, own.OWN_SYNC)
        state.expect(Entry(SYNC, state.segment))
        state.segment += 1
        state.dirty = False
        state.skipping = False


def _done_after(rest: Steps[None]) -> Steps[bool]:
    """Run what is left; then the message is dealt with."""
    yield from rest
    return True


def ahead_of(text: str, readings: tuple[Reading, ...], index: int) -> int:
    """Return how many characters of a request come before one of its statements, from where its positions count."""
    return len(text.encode()[: readings[index].act.start].decode()) if len(readings) > 1 else 0
