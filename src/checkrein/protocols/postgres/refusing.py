"""Refusals in place of the client's messages, and what a statement's part in the conversation asks of the session."""

from __future__ import annotations

from typing import Final

from checkrein.core.decision import Decision
from checkrein.core.framing import frame
from checkrein.core.verdict import Refusal
from checkrein.protocols.postgres import codec
from checkrein.protocols.postgres import own_messages as own
from checkrein.protocols.postgres.acts import Act, Reading
from checkrein.protocols.postgres.errors import error_response
from checkrein.protocols.postgres.exchange import DESCRIBE, QUERY, REFUSED, REFUSED_QUERY, Entry, Result
from checkrein.protocols.postgres.judging import shown
from checkrein.protocols.postgres.state import State

NOT_TEXT: Final = Refusal(
    code="protocol",
    reason="The statement is not valid in the client encoding, so it was not read; send it in that encoding",
)
NOT_TEXT_CODE: Final = "22021"
"""character_not_in_repertoire (PostgreSQL manual, appendix A), as the server itself says."""


class Refusing:
    """Makes the server fail where a message was refused, so that transaction state is its own."""

    def __init__(self, state: State) -> None:
        self.state = state

    def refuse(self, refusal: Refusal, decision: Decision | None, code: str = "") -> None:
        """In the refused message's place a Describe of a name that cannot exist; the rest up to Sync is dropped."""
        state = self.state
        name = state.context.random(16).hex().encode()
        entry = state.expect(Entry(REFUSED, state.segment))
        entry.name, entry.refusal, entry.decision, entry.code = name, refusal, decision, code
        state.forward(codec.describe_message(b"S", name), own.REFUSE)
        state.dirty = True
        state.skipping = True

    def no_portal(self, name: bytes) -> None:
        """Refuse natively: nothing of that name is bound."""
        shown = name.decode("utf-8", "replace")[:64]
        self.refuse(Refusal(code="protocol", reason=f'portal "{shown}" does not exist'), None, "34000")

    def describe_unbound(self, data: bytes, name: bytes, cursor: str) -> None:
        """Describe of a portal that no Bind made: a cursor of DECLARE has a description, anything else is refused."""
        state = self.state
        if cursor not in state.cursors:
            self.no_portal(name)
            return
        state.expect(Entry(DESCRIBE, state.segment))
        state.forward(data, own.DESCRIBE)
        state.dirty = True

    def refuse_decided(self, decision: Decision) -> None:
        """Refuse as the Decision says."""
        refusal, code = shown(decision)
        self.refuse(refusal, decision, code)

    def refuse_query(self, refusal: Refusal, decision: Decision | None, code: str = "") -> None:
        """A simple Query's refusal: local where nothing is under way, else the server is made to fail."""
        state = self.state
        if state.at_border and state.status == 73:
            state.answer(error_response(refusal, code) + frame(b"Z", b"I"))
            return
        entry = state.expect(Entry(REFUSED_QUERY, state.segment))
        entry.refusal, entry.decision, entry.code = refusal, decision, code
        state.forward(codec.FAILING_QUERY, own.REFUSE_QUERY)
        state.dirty = False
        state.segment += 1


def answers_rows(act: Act) -> bool:
    """Whether a statement answers rows or copies data out."""
    return act.returns_rows or act.kind == "copy_out"


def must_hold(result: Result) -> bool:
    """Whether a statement writes and owes a mask or a limit: nothing is told before it is sure."""
    duties = result.decision.obligations
    act = result.act
    if duties.rows_changed is not None and act.data_modifying:
        return True
    return duties.owed and answers_rows(act) and act.data_modifying


def let_go(state: State) -> None:
    """At a Flush: held answers of Executes go out before their commit, as the client waits for them and may not Sync.

    They are masked all the same. What a Query holds ends by itself and stays held.
    """
    if any(entry.kind == QUERY for entry in state.queue):
        return
    for entry in state.queue:
        if entry.code == "hold":
            entry.code = ""
    state.release()


def local_setting(reading: Reading) -> bytes:
    """Return the answer to a SET that the gateway keeps to itself."""
    act = reading.act
    out = frame(b"C", (b"RESET" if act.kind == "reset" else b"SET") + b"\0")
    if act.setting_value is None:
        return out
    return frame(b"S", act.name.encode() + b"\0" + act.setting_value.encode() + b"\0") + out


def unsure(reading: Reading) -> Reading:
    """Return a reading that concedes: what EXECUTE or FETCH means is not settled."""
    why = "what it runs may be changed by an earlier message of the same pipeline"
    return Reading(reading.statement.conceding(why), reading.act)
