"""What the client says in the query phase: one handler a message type; extended protocol and upkeep.

A handler returns True when its message was dealt with, False when it must wait: its bytes then stay where they are and
it is tried again after the target's next answers.
"""

from __future__ import annotations

from typing import Final

from checkrein.core.decision import Decision
from checkrein.core.errors import ProtocolError
from checkrein.core.framing import frame
from checkrein.core.side import Side
from checkrein.core.statement import Effect, Statement
from checkrein.core.steps import Close, Steps
from checkrein.core.verdict import Refusal
from checkrein.protocols.postgres import codec
from checkrein.protocols.postgres import own_messages as own
from checkrein.protocols.postgres.acts import Reading
from checkrein.protocols.postgres.answering import Answers
from checkrein.protocols.postgres.copying import plan_copy
from checkrein.protocols.postgres.exchange import (
    BIND,
    CLOSE,
    DESCRIBE,
    EXECUTE,
    LOCAL,
    PARSE,
    SYNC,
    Collected,
    Entry,
    Portal,
    Prepared,
    Result,
)
from checkrein.protocols.postgres.hidden import learn_names
from checkrein.protocols.postgres.judging import Judging, abandoned, with_parameters
from checkrein.protocols.postgres.messages import Bind, Parse
from checkrein.protocols.postgres.parameters import read_parameters
from checkrein.protocols.postgres.refusing import Refusing, answers_rows, let_go, local_setting, must_hold, unsure
from checkrein.protocols.postgres.state import State

LOCAL_PARSED: Final = frame(b"1", b"")
LOCAL_BOUND: Final = frame(b"2", b"")
LOCAL_CLOSED: Final = frame(b"3", b"")
NO_DATA: Final = frame(b"n", b"")
NO_PARAMETERS: Final = frame(b"t", b"\0\0")


class Requests(Refusing):
    """The extended query protocol as the client speaks it."""

    def __init__(self, state: State, judging: Judging, answers: Answers) -> None:
        super().__init__(state)
        self.answers = answers
        self.judging = judging

    # --- names and texts -----------------------------------------------------------------------

    def text_of(self, data: bytes) -> str:
        """Decode a statement's text in the session's encoding. Raises ProtocolError when it is not valid in it."""
        try:
            return data.decode(self.state.encoding)
        except UnicodeDecodeError:
            raise ProtocolError("a statement is not valid in the client encoding", Side.CLIENT, "22021") from None

    def settle_names(self) -> int:
        """Return 1 when names are known, 0 when this message must wait for them, 2 when they must stay unknown."""
        state = self.state
        if not state.names_dirty or state.status == 69:
            return 1
        if state.at_border:
            learn_names(state)
            return 1 if not state.names_dirty else 0
        return 2 if state.dirty or state.skipping else 0

    # --- extended protocol ---------------------------------------------------------------------

    def parse(self, data: bytes) -> Steps[bool]:
        """Parse: read, judge, remember, forward."""
        state = self.state
        if state.skipping:
            return True
        message = codec.read_parse(data[5:])
        settled = self.settle_names()
        if not settled:
            return False
        text = self.text_of(message.text)
        readings = yield from self.judging.read(text, settled == 2)
        if len(readings) > 1:
            reason = "cannot insert multiple commands into a prepared statement"
            self.refuse(Refusal(code="protocol", reason=reason), None, "42601")
            return True
        reading = readings[0]
        if reading.act.kind in ("execute", "fetch", "move") and self._unsure():
            if not state.dirty:
                return False
            reading = unsure(reading)
        decision = yield from self.judging.decide(reading.statement, False)
        if decision.refusal is not None:
            self.refuse_decided(decision)
            return True
        self._prepare(data, message, text, reading, decision)
        return True

    def _unsure(self) -> bool:
        """Whether something under way may change what EXECUTE and FETCH mean."""
        return any(entry.kind == EXECUTE or entry.results for entry in self.state.queue)

    def _prepare(self, data: bytes, message: Parse, text: str, reading: Reading, decision: Decision) -> None:
        state = self.state
        prepared = Prepared(text, reading, decision, message.types, state.segment)
        prepared.version, prepared.catalog = state.version, state.catalog
        undo = state.keep(True, message.name, prepared)
        if reading.act.setting_class == "local":
            prepared.segment = -1
            self._local(LOCAL_PARSED)
            return
        entry = state.expect(Entry(PARSE, state.segment))
        entry.undo, entry.prepared, entry.decision = undo, prepared, decision
        state.forward(data, decision)
        self._own_exchange(decision)

    def _own_exchange(self, decision: Decision) -> None:
        """What may be asked is prepared in an exchange of its own, where nothing of the segment went before."""
        state = self.state
        if decision.pending and not state.dirty:
            state.forward(codec.SYNC, own.OWN_SYNC)
            state.expect(Entry(SYNC, state.segment, hidden=True))
        else:
            state.dirty = True

    def _local(self, reply: bytes) -> None:
        entry = self.state.expect(Entry(LOCAL, self.state.segment))
        entry.reply = reply
        self.answers.local_replies()

    def bind(self, data: bytes) -> Steps[bool]:
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
            prepared = yield from self._from_sql(message.statement)
        if prepared is None:
            return True
        if prepared.segment not in (-1, state.segment) or (
            prepared.decision.pending and prepared.segment >= 0 and not state.dirty
        ):
            return False
        refused = yield from self.judging.current(prepared, settled == 2)
        if refused is not None:
            self.refuse_decided(refused)
            return True
        portal = self._portal(prepared, message)
        if prepared.reading.act.setting_class == "local":
            state.keep(False, message.portal, portal)
            portal.segment = -1
            self._local(LOCAL_BOUND)
            return True
        if prepared.decision.pending and not (yield from self._ask(portal)):
            return True
        entry = state.expect(Entry(BIND, state.segment))
        entry.undo = state.keep(False, message.portal, portal)
        entry.portal = portal
        entry.decision = portal.asked or prepared.decision
        state.forward(data, entry.decision)
        state.dirty = True
        return True

    def _portal(self, prepared: Prepared, message: Bind) -> Portal:
        types = self.state.catalog.types if self.state.catalog else {}
        texts, read = read_parameters(message, prepared.types, self.state.encoding, types)
        return Portal(prepared, texts, self.state.segment, read)

    def _from_sql(self, name: bytes) -> Steps[Prepared | None]:
        """A statement of SQL-level PREPARE used by its name; refused natively when nothing of that name is known."""
        state = self.state
        text = state.sql_prepared.get(self.text_of(name))
        if text is None or self._unsure():
            shown = name.decode("utf-8", "replace")[:64]
            refusal = Refusal(code="protocol", reason=f'prepared statement "{shown}" does not exist')
            self.refuse(refusal, None, "26000")
            return None
        readings = yield from self.judging.read(text)
        decision = yield from self.judging.decide(readings[0].statement, False)
        if decision.refusal is not None:
            self.refuse_decided(decision)
            return None
        prepared = Prepared(text, readings[0], decision, (), -1)
        prepared.version, prepared.catalog = state.version, state.catalog
        return prepared

    def _ask(self, portal: Portal) -> Steps[bool]:
        """Ask with the parameters; afterwards read again, so that what was approved is what runs (PG-A45)."""
        state = self.state
        if state.dirty:
            state.forward(codec.FLUSH, own.OWN_FLUSH)
        yield from state.flush()
        prepared = portal.prepared
        statement = with_parameters(portal.reading.statement, portal.parameters, portal.read)
        decision = yield from self.judging.decide(statement, True)
        if decision.refusal is None and decision.waited:
            yield from self.judging.refresh(True)
            readings = yield from self.judging.read(prepared.text, state.names_dirty)
            prepared.reading = portal.reading = readings[0]
            statement = with_parameters(readings[0].statement, portal.parameters, portal.read)
            decision = yield from self.judging.decide(statement, True, decision)
        if decision.refusal is not None:
            self.refuse_decided(decision)
            return False
        portal.asked = decision
        return True

    def describe(self, data: bytes) -> Steps[bool]:
        """Describe of a statement or portal that is known here."""
        state = self.state
        if state.skipping:
            return True
        is_statement, name = codec.read_named(data[5:], "Describe")
        prepared: Prepared | None
        portal = None if is_statement else state.portals.get(name)
        if is_statement:
            prepared = state.statements.get(name)
            if prepared is None:
                prepared = yield from self._from_sql(name)
                if prepared is None:
                    return True
        elif portal is None:
            self.describe_unbound(data, name, self.text_of(name))
            return True
        else:
            prepared = portal.prepared
        segment = prepared.segment if portal is None else portal.segment
        if segment not in (-1, state.segment):
            return False
        if prepared.reading.act.setting_class == "local":
            self._local(NO_PARAMETERS + NO_DATA if is_statement else NO_DATA)
            return True
        entry = state.expect(Entry(DESCRIBE, state.segment))
        entry.prepared, entry.portal, entry.decision = prepared, portal, prepared.decision
        if portal is not None:
            portal.described = True
        state.forward(data, own.DESCRIBE)
        if is_statement:
            self._own_exchange(prepared.decision)
        else:
            state.dirty = True
        return True

    def execute(self, data: bytes) -> Steps[bool]:
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
        prepared = portal.prepared
        if prepared.reading.act.setting_class == "local":
            self._local(local_setting(prepared.reading))
            return True
        decision = yield from self._final(portal)
        if decision.refusal is not None:
            self.refuse_decided(decision)
            return True
        result = Result(decision, portal.reading.act)
        if must_hold(result) and limit:
            refusal = Refusal(code="limit", reason="a write that owes masks or limits cannot be fetched in pieces")
            yield abandoned(decision)
            self.refuse(refusal, None)
            return True
        if result.act.kind == "copy_out" and decision.owed:
            wrong = yield from plan_copy(state, self.answers, result)
            if wrong is not None:
                yield abandoned(decision)
                self.refuse(wrong, None)
                return True
        self._run(data, portal, result)
        return True

    def _final(self, portal: Portal) -> Steps[Decision]:
        statement = with_parameters(portal.reading.statement, portal.parameters, portal.read)
        asked = portal.asked
        if asked is not None:
            portal.asked = None
            if not asked.waited:
                return asked
        prepared = portal.prepared
        return (yield from self.judging.decide(statement, True, asked or prepared.decision, portal.reading.act))

    def _run(self, data: bytes, portal: Portal, result: Result) -> None:
        """Forward an Execute; whatever owes a mask is described first, a write before it runs."""
        state = self.state
        decision = result.decision
        if result.act.changes_names or result.act.ddl:
            state.names_dirty = True
        if result.act.ddl:
            state.redefines(decision.statement)
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

    def describe_portal(self, portal: Portal, data: bytes) -> None:
        """Ask for the description of a portal that the client did not ask for, in the place before its Execute."""
        state = self.state
        name, _ = codec.read_execute(data[5:])
        entry = state.expect(Entry(DESCRIBE, state.segment, hidden=True))
        entry.portal, entry.prepared, entry.decision = portal, portal.prepared, portal.prepared.decision
        state.forward(codec.describe_message(b"P", name), own.DESCRIBE_PORTAL)
        state.dirty = True

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

    def close(self, data: bytes) -> Steps[bool]:
        """Close of a statement or portal."""
        state = self.state
        if state.skipping:
            return True
        is_statement, name = codec.read_named(data[5:], "Close")
        entry = state.expect(Entry(CLOSE, state.segment))
        entry.undo = state.keep(is_statement, name, None)
        if is_statement:
            state.sql_prepared.pop(self.text_of(name), None)
        elif state.cursors:
            state.cursors = {key: one for key, one in state.cursors.items() if key != self.text_of(name)}
        state.forward(data, own.CLOSE)
        state.dirty = True
        return True
        yield Close(Side.CLIENT, "")

    def sync(self, data: bytes) -> Steps[bool]:
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
        yield Close(Side.CLIENT, "")

    def flush(self, data: bytes) -> Steps[bool]:
        """Flush passes; what is held until the commit is let go by it, as the client asks for answers before that."""
        if len(data) != 5:
            raise codec.malformed("Flush")
        let_go(self.state)
        self.state.forward(data, own.FLUSH)
        return True
        yield Close(Side.CLIENT, "")

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
