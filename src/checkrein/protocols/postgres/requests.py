"""What the client says in the query phase: one handler a message type; extended protocol and upkeep.

A handler returns True when its message was dealt with, False when it must wait (its bytes then stay where they are and
it is tried again after the target's next answers), or the steps that are left to do, which end in one of the two.
"""

from __future__ import annotations

from typing import Final

from checkrein.core.decision import Decision
from checkrein.core.framing import frame
from checkrein.core.statement import Effect, Statement
from checkrein.core.steps import Decide, Steps
from checkrein.core.verdict import Refusal
from checkrein.protocols.postgres import codec
from checkrein.protocols.postgres import own_messages as own
from checkrein.protocols.postgres.codec import Bind
from checkrein.protocols.postgres.copying import plan_copy
from checkrein.protocols.postgres.exchange import (
    BIND,
    CLOSE,
    DESCRIBE,
    EXECUTE,
    PARSE,
    SYNC,
    Collected,
    Entry,
    Portal,
    Prepared,
    Result,
)
from checkrein.protocols.postgres.judging import abandoned, bound
from checkrein.protocols.postgres.parameters import read_parameters
from checkrein.protocols.postgres.preparing import Handled, Preparing
from checkrein.protocols.postgres.refusing import answers_rows, let_go, local_setting, must_hold

LOCAL_PARSED: Final = frame(b"1", b"")
LOCAL_BOUND: Final = frame(b"2", b"")
NO_DATA: Final = frame(b"n", b"")
NO_PARAMETERS: Final = frame(b"t", b"\0\0")


class Requests(Preparing):
    """The extended query protocol as the client speaks it."""

    def bind(self, data: bytes) -> Handled:
        """Bind: parameters are known; what a rule asks about is asked here."""
        state = self.state
        if state.skipping:
            return True
        message = codec.read_bind(data[5:])
        settled = self.settle_names()
        if not settled:
            return False
        prepared = state.statements.get(message.statement)
        if prepared is None:
            return self._bind_anew(data, message, settled == 2)
        if prepared.segment not in (-1, state.segment) or (
            prepared.decision.pending and prepared.segment >= 0 and not state.dirty
        ):
            return False
        if prepared.decision.pending or not self.judging.is_current(prepared, settled == 2):
            return self._bind_anew(data, message, settled == 2)
        return self._bound(data, message, self._portal(prepared, message))

    def _bind_anew(self, data: bytes, message: Bind, unsettled: bool) -> Steps[bool]:
        """Bind what must be read again, what SQL's PREPARE made, or what people must be asked about."""
        prepared = self.state.statements.get(message.statement)
        if prepared is None:
            prepared = yield from self._from_sql(message.statement)
        if prepared is None:
            return True
        if not self.judging.is_current(prepared, unsettled):
            refused = yield from self.judging.renew(prepared, unsettled)
            if refused is not None:
                self.refuse_decided(refused)
                return True
        portal = self._portal(prepared, message)
        local = prepared.reading.act.setting_class == "local"
        if prepared.decision.pending and not local and not (yield from self._ask(portal)):
            return True
        return self._bound(data, message, portal)

    def _bound(self, data: bytes, message: Bind, portal: Portal) -> bool:
        state = self.state
        prepared = portal.prepared
        if prepared.reading.act.setting_class == "local":
            state.keep(False, message.portal, portal)
            portal.segment = -1
            self._local(LOCAL_BOUND)
            return True
        entry = state.expect(Entry(BIND, state.segment))
        entry.undo = state.keep(False, message.portal, portal)
        entry.portal = portal
        decision = portal.asked or prepared.decision
        entry.decision = decision
        state.forward(data, decision)
        state.dirty = True
        return True

    def _portal(self, prepared: Prepared, message: Bind) -> Portal:
        types = self.state.catalog.types if self.state.catalog else {}
        texts, read = read_parameters(message, prepared.types, self.state.encoding, types)
        return Portal(prepared, texts, self.state.segment, read)

    def _ask(self, portal: Portal) -> Steps[bool]:
        """Ask with the parameters; afterwards read again, so that what was approved is what runs (PG-A45)."""
        state = self.state
        if state.dirty:
            state.forward(codec.FLUSH, own.OWN_FLUSH)
        yield from state.flush()
        prepared = portal.prepared
        statement = bound(portal.reading.statement, portal)
        decision = yield from self.judging.decide(statement, True)
        if decision.refusal is None and decision.waited:
            yield from self.judging.refresh(True)
            readings = yield from self.judging.read(prepared.text, state.names_dirty)
            prepared.reading = portal.reading = readings[0]
            statement = bound(readings[0].statement, portal)
            decision = yield from self.judging.decide(statement, True, decision)
        if decision.refusal is not None:
            self.refuse_decided(decision)
            return False
        portal.asked = decision
        return True

    def execute(self, data: bytes) -> Handled:
        """Execute: the final Decision, with parameters and the names of now."""
        state = self.state
        if state.skipping:
            return True
        name, limit = codec.read_execute(data[5:])
        portal = state.portals.get(name)
        if portal is None:
            self.no_portal(name)
            return True
        if portal.segment not in (-1, state.segment):
            return False
        if portal.prepared.reading.act.setting_class == "local":
            self._local(local_setting(portal.prepared.reading))
            return True
        return self._execute(data, portal, limit)

    def _execute(self, data: bytes, portal: Portal, limit: int) -> Handled:
        asked = portal.asked
        portal.asked = None
        if asked is not None and not asked.waited:
            return self._decided(data, portal, limit, asked)
        statement = bound(portal.reading.statement, portal)
        step = self.judging.step(statement, True, asked or portal.prepared.decision, portal.reading.act)
        decision: Decision | None = self.judging.prompt(step)
        if decision is None:
            return self._execute_later(data, portal, limit, step)
        return self._decided(data, portal, limit, decision)

    def _execute_later(self, data: bytes, portal: Portal, limit: int, step: Decide) -> Steps[bool]:
        """Execute what people are asked about first."""
        decision: Decision = yield step
        done = self._decided(data, portal, limit, decision)
        if not isinstance(done, bool):
            done = yield from done
        return done

    def _decided(self, data: bytes, portal: Portal, limit: int, decision: Decision) -> Handled:
        if decision.refusal is not None:
            self.refuse_decided(decision)
            return True
        result = Result(decision, portal.reading.act)
        if limit and must_hold(result):
            reason = "a write that owes masks or limits cannot be fetched in pieces"
            self._abandon(decision, Refusal(code="limit", reason=reason))
        elif result.act.kind == "copy_out" and decision.owed:
            return self._execute_copy(data, portal, result)
        else:
            self.run(data, portal, result)
        return True

    def _execute_copy(self, data: bytes, portal: Portal, result: Result) -> Handled:
        """COPY has no description of its own: a table's columns are in the catalog, a query is described first."""
        if result.act.inner_start < 0:
            return self._execute_table_copy(data, portal, result)
        text = portal.prepared.text.encode()[result.act.inner_start : result.act.inner_end]
        self._describe_within(text.decode().encode(self.state.encoding), result).wanted = (data, portal, result)
        return True

    def _describe_within(self, text: bytes, result: Result) -> Collected:
        """Have a text described under a hidden name, in the client's segment, before what comes next."""
        state = self.state
        name = state.context.random(16).hex().encode()
        collected = Collected("copy")
        for kind in (PARSE, DESCRIBE, CLOSE):
            entry = state.expect(Entry(kind, state.segment, hidden=True))
            entry.decision, entry.collect = result.decision, collected
        state.forward(
            codec.parse_message(name, text)
            + codec.describe_message(b"S", name)
            + codec.close_message(b"S", name)
            + codec.FLUSH,
            result.decision,
        )
        state.dirty = True
        state.paused = collected
        return collected

    def _execute_table_copy(self, data: bytes, portal: Portal, result: Result) -> Steps[bool]:
        wrong = yield from plan_copy(self.state, self.answers, result)
        if wrong is None:
            self.run(data, portal, result)
        else:
            self._abandon(result.decision, wrong)
        return True

    def _abandon(self, decision: Decision, refusal: Refusal) -> None:
        self.state.notes.append(abandoned(decision))
        self.refuse(refusal, None)

    def run(self, data: bytes, portal: Portal, result: Result) -> None:
        """Forward an Execute; whatever owes a mask is described first, a write before it runs."""
        state = self.state
        decision = result.decision
        state.goes(result.act, decision.statement)
        owed = decision.owed and answers_rows(result.act) and result.act.kind != "copy_out"
        hold = must_hold(result)
        if owed and not portal.described:
            portal.described = True
            self.describe_portal(portal, data)
        if hold and owed and portal.columns is None:
            state.forward(codec.FLUSH, own.OWN_FLUSH)
            collected = Collected("held")
            collected.wanted = (data, portal, result)
            state.paused = collected
            state.queue[-1].collect = collected
            return
        self.send_execute(data, portal, result, hold)

    def send_execute(self, data: bytes, portal: Portal, result: Result, hold: bool) -> None:
        """Put an Execute on the wire."""
        state = self.state
        entry = state.expect(Entry(EXECUTE, state.segment))
        entry.results.append(result)
        entry.portal, entry.decision = portal, result.decision
        if hold and state.held is None:
            entry.code = "hold"
        state.forward(data, result.decision)
        state.dirty = True
        if result.act.kind == "copy_in":
            state.copy_wait = entry
            state.forward(codec.FLUSH, own.OWN_FLUSH)

    def close(self, data: bytes) -> Handled:
        """Close of a statement or portal."""
        state = self.state
        if state.skipping:
            return True
        is_statement, name = codec.read_named(data[5:], "Close")
        entry = state.expect(Entry(CLOSE, state.segment))
        entry.undo = state.keep(is_statement, name, None)
        if is_statement:
            state.sql_prepared.pop(self.text_of(name), None)
            state.sql_declared.pop(self.text_of(name), None)
        elif state.cursors:
            state.cursors = {key: one for key, one in state.cursors.items() if key != self.text_of(name)}
        state.forward(data, own.CLOSE)
        state.dirty = True
        return True

    def sync(self, data: bytes) -> Handled:
        """Sync ends the segment: what was skipped is over."""
        if len(data) != 5:
            raise codec.malformed("Sync")
        state = self.state
        state.forward(data, own.SYNC)
        state.expect(Entry(SYNC, state.segment))
        state.segment += 1
        state.dirty = False
        state.skipping = False
        return True

    def flush(self, data: bytes) -> Handled:
        """Flush passes; what is held until the commit is let go by it, as the client asks for answers before that."""
        if len(data) != 5:
            raise codec.malformed("Flush")
        let_go(self.state)
        self.state.forward(data, own.FLUSH)
        return True

    def function_call(self, data: bytes) -> Steps[bool]:
        """FunctionCall: a door that stays shut."""
        if self.state.skipping:
            return True
        effect = Effect(verb="call", object="pg_catalog.function_call", kind="function", door="function_call")
        why = "FunctionCall names a function by its number"
        statement = Statement(
            protocol="postgres", text="FunctionCall", verbs=("call",), effects=(effect,), complete=False, conceded=why
        )
        decision = yield from self.judging.decide(statement, True)
        if decision.refusal is None:
            yield abandoned(decision)
        reason = "FunctionCall is shut; call the function in a SELECT"
        self.refuse_query(decision.refusal or Refusal(code="door", reason=reason), decision)
        return True
