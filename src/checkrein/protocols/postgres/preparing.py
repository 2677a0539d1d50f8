"""Parse and Describe of the extended query protocol, and what they share with the other messages: names and texts."""

from __future__ import annotations

from typing import Final

from checkrein.core.decision import Decision
from checkrein.core.errors import ProtocolError
from checkrein.core.framing import frame
from checkrein.core.side import Side
from checkrein.core.steps import Steps
from checkrein.core.verdict import Refusal
from checkrein.protocols.postgres import codec
from checkrein.protocols.postgres import own_messages as own
from checkrein.protocols.postgres.acts import Reading
from checkrein.protocols.postgres.answering import Answers
from checkrein.protocols.postgres.codec import Parse
from checkrein.protocols.postgres.exchange import DESCRIBE, EXECUTE, LOCAL, PARSE, SYNC, Entry, Portal, Prepared
from checkrein.protocols.postgres.judging import Judging
from checkrein.protocols.postgres.refusing import NOT_TEXT, NOT_TEXT_CODE, Refusing, unsure
from checkrein.protocols.postgres.state import State

Handled = bool | Steps[bool]
"""What a handler of a client message gives: see requests.py."""

LOCAL_PARSED: Final = frame(b"1", b"")
NO_DATA: Final = frame(b"n", b"")
NO_PARAMETERS: Final = frame(b"t", b"\0\0")


class Preparing(Refusing):
    """Prepared statements: made, looked up by name, described."""

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
        """Return 1 when names are known, 0 when this message must wait for them, 2 when they must stay unknown.

        They are asked for before a segment begins; within one they can only be waited for, or be unknown.
        """
        state = self.state
        if not state.names_dirty or (state.status == 69 and state.at_border):
            return 1
        return 2 if state.dirty or state.skipping else 0

    # --- Parse ---------------------------------------------------------------------------------

    def parse(self, data: bytes) -> Steps[bool]:
        """Parse: read, judge, remember, forward."""
        state = self.state
        if state.skipping:
            return True
        message = codec.read_parse(data[5:])
        settled = self.settle_names()
        if not settled:
            return False
        try:
            text = self.text_of(message.text)
        except ProtocolError:
            self.refuse(NOT_TEXT, None, NOT_TEXT_CODE)
            return True
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

    def _from_sql(self, name: bytes) -> Steps[Prepared | None]:
        """A statement of SQL-level PREPARE used by its name; refused natively when nothing of that name is known."""
        state = self.state
        text = state.sql_prepared.get(self.text_of(name))
        if text is None or self._unsure():
            shown = name.decode("utf-8", "replace")[:64]
            refusal = Refusal(code="protocol", reason=f'prepared statement "{shown}" does not exist')
            self.refuse(refusal, None, "26000")
            return None
        yield from self.judging.refresh()
        readings = yield from self.judging.read(text)
        decision = yield from self.judging.decide(readings[0].statement, False)
        if decision.refusal is not None:
            self.refuse_decided(decision)
            return None
        prepared = Prepared(text, readings[0], decision, (), -1)
        prepared.version, prepared.catalog = state.version, state.catalog
        return prepared

    # --- Describe ------------------------------------------------------------------------------

    def describe(self, data: bytes) -> Handled:
        """Describe of a statement or portal that is known here."""
        state = self.state
        if state.skipping:
            return True
        is_statement, name = codec.read_named(data[5:], "Describe")
        if is_statement:
            prepared = state.statements.get(name)
            return self._describe_sql(data, name) if prepared is None else self._describe_statement(data, prepared)
        portal = state.portals.get(name)
        if portal is None:
            self.describe_unbound(data, name, self.text_of(name))
            return True
        if portal.segment not in (-1, state.segment):
            return False
        prepared = portal.prepared
        if prepared.reading.act.setting_class == "local":
            self._local(NO_DATA)
            return True
        portal.described = True
        self._expect_description(data, prepared, portal)
        state.dirty = True
        return True

    def _describe_sql(self, data: bytes, name: bytes) -> Steps[bool]:
        prepared = yield from self._from_sql(name)
        return True if prepared is None else self._describe_statement(data, prepared)

    def _describe_statement(self, data: bytes, prepared: Prepared) -> bool:
        if prepared.segment not in (-1, self.state.segment):
            return False
        if prepared.reading.act.setting_class == "local":
            self._local(NO_PARAMETERS + NO_DATA)
            return True
        self._expect_description(data, prepared, None)
        self._own_exchange(prepared.decision)
        return True

    def _expect_description(self, data: bytes, prepared: Prepared, portal: Portal | None) -> None:
        entry = self.state.expect(Entry(DESCRIBE, self.state.segment))
        entry.prepared, entry.portal, entry.decision = prepared, portal, prepared.decision
        self.state.forward(data, own.DESCRIBE)

    def describe_portal(self, portal: Portal, data: bytes) -> None:
        """Ask for the description of a portal that the client did not ask for, in the place before its Execute."""
        state = self.state
        name, _ = codec.read_execute(data[5:])
        entry = state.expect(Entry(DESCRIBE, state.segment, hidden=True))
        entry.portal, entry.prepared, entry.decision = portal, portal.prepared, portal.prepared.decision
        state.forward(codec.describe_message(b"P", name), own.DESCRIBE_PORTAL)
        state.dirty = True
