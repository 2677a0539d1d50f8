"""Waiting for people: a statement that a rule asks about is put to them, and judged again as its bytes are to move."""

from __future__ import annotations

from typing import Any

from checkrein.core import events
from checkrein.core.decision import Decision
from checkrein.core.identity import Principal
from checkrein.core.session import Session, SessionContext
from checkrein.core.statement import Statement
from checkrein.core.steps import Ask, Steps
from checkrein.core.verdict import DENY, Refusal, Verdict
from checkrein.gate.approving import asked_fields, binding, hold_of, question, refusal_of, waiting_text
from checkrein.gate.deciding import Judge
from checkrein.gate.leaving import Leaving
from checkrein.gate.ports import Await, Consume, Gateway, Question, Settled


class Asking:
    """The part of a session's gate that approvals need: its judge, and what may leave."""

    def __init__(self, gateway: Gateway, session: Session, context: SessionContext) -> None:
        self._gateway = gateway
        self._session = session
        self._context = context
        self._leaving = Leaving()
        self._judge: Judge | None = None
        self._open: dict[int, Decision] = {}
        self._parked = ""
        self._now = 0.0
        self.principal: Principal | None = None

    def _made(self, decision: Decision, deferred: bool = False, settles: bool = True) -> Decision:
        """Note what runs now."""
        if decision.refusal is None and not decision.preparing:
            self._open[decision.id] = decision
            self._leaving.runs(decision, deferred, settles)
        return decision

    def _after_waiting(self, approved: Decision, statement: Statement, verdict: Verdict, now: float) -> Decision:
        """What was approved is what runs, else it is refused (AP-1, PG-A45)."""
        assert self._judge is not None
        same = binding(self._judge.facts(approved.statement, now), approved.verdict)
        if verdict.asks and binding(self._judge.facts(statement, now), verdict) == same:
            return approved
        self._open.pop(approved.id, None)
        refusal = Refusal(
            code="approval_withdrawn",
            reason="What was approved is not what would run now: names, rules or policies changed while it waited",
            policy=approved.verdict.policy,
            rule=approved.verdict.rule,
            approval=approved.approval,
        )
        return self._judge.decide(statement, self._judge.judge(statement, now), refusal, False, approved.approval)

    def _ask(self, statement: Statement, final: bool, now: float) -> Steps[Decision]:
        """Wait for a person; then judge again as the bytes are about to move, and use the grant up."""
        judge = self._judge
        assert judge is not None
        judged = judge.judge(statement, now)
        asked = self._question(statement, judged.verdict, now)
        judge.counters["asked"] += 1
        settled: Settled = yield Ask(asked)
        waited = settled.state == "pending"
        if waited:
            settled = yield from self._wait(settled, asked, judged.verdict)
            self._now = max(self._now, settled.at)
        refusal = None if settled.state == "approved" else refusal_of(judged.verdict, settled)
        if refusal is None:
            judged, refusal = self._judged_again(asked, statement, judged, settled)
        if refusal is None and not (yield Ask(Consume(settled.id, self._context.id))):
            refusal = refusal_of(
                judged.verdict, Settled(settled.id, "withdrawn", reason="it was used or withdrawn meanwhile")
            )
        self._note_settled(settled, refusal)
        decision = judge.decide(statement, judged, refusal, not final, settled.id)
        decision.waited = refusal is None
        return self._made(decision)

    def _question(self, statement: Statement, verdict: Verdict, now: float) -> Question:
        assert self._judge is not None
        text, parameters = self._judge.shown(statement, verdict)
        if statement.runs is not None:  # a name says nothing to a person: the text behind it comes first
            text = f"{self._judge.shown(statement.runs, verdict)[0]}\n-- is what this runs: {text}"
        shown = None if parameters is None else tuple(parameters)
        return question(self._judge.facts(statement, now), verdict, text, shown)

    def _wait(self, settled: Settled, asked: Question, verdict: Verdict) -> Steps[Settled]:
        assert self._leaving.journal is not None
        self._leaving.journal.append(events.APPROVAL_ASKED, asked_fields(asked, settled))
        yield from self._leaving.flush([], [self._session.notice(waiting_text(verdict, settled))])
        self._parked = settled.id
        answered = False
        try:
            settled = yield Ask(Await(settled.id, hold_of(verdict)))
            answered = True
        finally:
            if not answered:
                gone = Settled(settled.id, "withdrawn", reason="the asker went away")
                self._gateway.desk.withdraw(settled.id, gone.reason)
                self._note_settled(gone, refusal_of(verdict, gone))
            self._parked = ""
        return settled

    def _judged_again(
        self, asked: Question, statement: Statement, judged: Any, settled: Settled
    ) -> tuple[Any, Refusal | None]:
        """A deny that came since wins; a changed asking rule voids; an unrelated edit does not (AP-10)."""
        assert self._judge is not None
        now = settled.at
        again = self._judge.judge(statement, now)
        if again.verdict.outcome == DENY:
            return again, again.verdict.refusal()
        if binding(self._judge.facts(statement, now), again.verdict) != asked.binding:
            withdrawn = Settled(settled.id, "withdrawn", reason="the rule that asked has changed")
            self._gateway.desk.withdraw(settled.id, "the rule that asked has changed")
            return judged, refusal_of(judged.verdict, withdrawn)
        return again, None

    def _note_settled(self, settled: Settled, refusal: Refusal | None) -> None:
        assert self._leaving.journal is not None
        other = events.APPROVAL_WITHDRAWN if settled.state == "withdrawn" else events.APPROVAL_ANSWERED
        kind = events.APPROVAL_USED if refusal is None else other
        fields = {
            "approval": settled.id,
            "state": settled.state,
            "answered_by": settled.answered_by,
            "reason": settled.reason,
        }
        self._leaving.journal.append(kind, fields)
