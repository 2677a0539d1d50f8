"""The one order, in one place: parse, decide, (ask), journal, forward, mask, journal (I12).

The gate wraps a protocol's session and is driven like one: its verbs are generators of steps. It answers Decide,
Describe, Scrub, Answered and Note itself; what it yields on is transport work (Send, Close, Dial, StartTls, Query,
Offload, Interrupt, CancelSession, Authenticate) and its own Ask and Persist. Output is gathered and leaves only after
the journal's buffer was written, so no byte moves before its decision is on file (I6).
"""

from __future__ import annotations

from typing import Any

from checkrein.core import events
from checkrein.core.decision import Decision
from checkrein.core.errors import CheckreinError, Unavailable
from checkrein.core.identity import Claim, LoginRefused, Principal
from checkrein.core.session import Cancelled, Killed, Session, SessionContext, SessionEvent
from checkrein.core.side import Side
from checkrein.core.spec import ProtocolSpec
from checkrein.core.statement import Statement
from checkrein.core.steps import (
    Answered,
    Ask,
    Authenticate,
    Close,
    Decide,
    Describe,
    Note,
    Persist,
    Query,
    Scrub,
    Send,
    Steps,
)
from checkrein.core.target import Profile, Target
from checkrein.core.verdict import DENY, Obligations, Refusal, Verdict
from checkrein.gate.admitting import Admission
from checkrein.gate.approving import asked_fields, binding, hold_of, question, refusal_of, waiting_text
from checkrein.gate.deciding import Judge, must_ask, refusal_for
from checkrein.gate.ports import Await, Consume, Gateway, Question, SessionJournal, Settled

NO_DUTIES = Obligations()


class GateBroken(CheckreinError):
    """A session asked for what the one order forbids (a warrant that is none, a step before login). Never expected."""


class Gate:
    """The gate of one session. `deadline` is when the session must end (epoch seconds), None while there is none."""

    def __init__(self, gateway: Gateway, spec: ProtocolSpec, context: SessionContext) -> None:
        self._gateway = gateway
        self._spec = spec
        self._context = context
        self._admission = Admission(gateway, spec, context)
        self._session: Session = spec.session(context)
        self._own = spec.own_messages | spec.upkeep
        self._journal: SessionJournal | None = None
        self._judge: Judge | None = None
        self._open: dict[int, Decision] = {}
        self._persist = False
        self._deferred = False
        self._parked = ""
        self._closed = False
        self.principal: Principal | None = None
        self.target: Target | None = None
        self.profile: Profile | None = None
        self.deadline: float | None = None

    # --- the session's verbs -------------------------------------------------------------------

    def open(self, now: float) -> Steps[None]:
        """The connection was accepted."""
        return self._drive(self._session.open(now), now)

    def receive(self, side: Side, data: bytes, now: float) -> Steps[None]:
        """Bytes arrived on a side."""
        return self._drive(self._session.receive(side, data, now), now)

    def end(self, side: Side, now: float) -> Steps[None]:
        """A side reached end of stream."""
        return self._drive(self._session.end(side, now), now)

    def event(self, what: SessionEvent, now: float) -> Steps[None]:
        """Something happened outside the two streams. A cancel while a person is waited for withdraws the question."""
        if isinstance(what, Cancelled) and self._parked:
            self._gateway.desk.withdraw(self._parked, "cancelled by the client")
            return self._drive(_nothing(), now)
        return self._drive(self._session.event(what, now), now)

    def finish(self, reason: str) -> None:
        """The transports are closed: write what is still open and the closing summary. Later calls do nothing."""
        if self._closed:
            return
        self._closed = True
        if self._parked:
            self._gateway.desk.withdraw(self._parked, reason)
        if self._journal is None or self._judge is None:
            return
        for decision in self._open.values():
            self._journal.append(events.ANSWERED, {"decision": decision.id, "outcome": "unknown"})
        self._journal.close(reason, dict(self._judge.counters))

    # --- the order -----------------------------------------------------------------------------

    def _drive(self, steps: Steps[None], now: float) -> Steps[None]:
        out: list[bytes] = []
        back: list[bytes] = []
        reply: Any = None
        ended = False
        try:
            while True:
                try:
                    step = steps.send(reply)
                except StopIteration:
                    ended = True
                    break
                reply = None
                if type(step) is Send:
                    if step.to is Side.CLIENT:
                        back.append(step.data)
                    else:
                        self._check(step)
                        out.append(step.data)
                elif type(step) is Decide:
                    reply = self._at_once(step, now)
                    if reply is None:
                        yield from self._flush(out, back)
                        reply = yield from self._ask(step.statement, step.final, now)
                elif type(step) is Answered:
                    self._answered(step)
                elif type(step) is Describe:
                    reply = self._describe(step)
                elif type(step) is Scrub:
                    reply = self._scrub(step)
                elif type(step) is Note:
                    self._note(step)
                else:
                    reply = self._cached(step)
                    if reply is None:
                        yield from self._flush(out, back)
                        reply = yield from self._transport(step, now)
            if self._journal is not None:
                self._journal.flush()
            if out:
                yield from self._forward(out)
            if back:
                yield _gathered(Side.CLIENT, back)
        finally:
            if not ended:  # closing one that has ended does nothing, slowly
                steps.close()

    def _flush(self, out: list[bytes], back: list[bytes]) -> Steps[None]:
        """Journal, then forward: one write a side."""
        if self._journal is not None:
            self._journal.flush()
        if out:
            yield from self._forward(out)
        if back:
            yield _gathered(Side.CLIENT, back)

    def _forward(self, out: list[bytes]) -> Steps[None]:
        """Send to the target what is journalled; writes and approved statements only once that is durable."""
        if self._persist:
            self._persist = False
            failed = yield Persist()
            if isinstance(failed, Unavailable):
                raise failed
        yield _gathered(Side.TARGET, out)

    def _check(self, step: Send) -> None:
        """Bytes for the target need a Decision made here, or the name of one of the gateway's own messages (I1, I3)."""
        warrant = step.warrant
        if type(warrant) is Decision:
            if self._judge is not None and self._judge.vouches(warrant):
                return
        elif type(warrant) is str and warrant in self._own:
            return
        raise GateBroken("bytes for the target without a warrant")

    def _transport(self, step: Any, now: float) -> Steps[Any]:
        if type(step) is Authenticate:
            return (yield from self._authenticate(step.claim, now))
        return (yield step)

    def _cached(self, step: Any) -> Any:
        if type(step) is not Query or step.fresh or self.target is None or self.profile is None:
            return None
        if step.question != self._spec.catalog_question:
            return None
        return self._gateway.catalogs.cached(self.target, self.profile.name)

    # --- login ---------------------------------------------------------------------------------

    def _authenticate(self, claim: Claim, now: float) -> Steps[Principal | LoginRefused]:
        verified = yield Authenticate(claim)
        admitted = verified if isinstance(verified, LoginRefused) else self._admission.admit(verified, claim, now)
        if isinstance(admitted, LoginRefused):
            who = verified if isinstance(verified, Principal) else None
            self._admission.refused(claim, admitted, who)
            return admitted
        self.principal, self.target, self.profile = verified, admitted.target, admitted.profile
        self._journal, self.deadline = admitted.journal, admitted.deadline
        self._judge = Judge(self._gateway, admitted.journal, verified, admitted.target, admitted.facts)
        return self.principal

    # --- deciding ------------------------------------------------------------------------------

    def _at_once(self, step: Decide, now: float) -> Decision | None:
        """Return the Decision when it takes no person, else None."""
        judge = self._judge
        if judge is None:
            raise GateBroken("a statement before login")
        statement = step.statement
        judged = judge.judge(statement, now, step.final)
        refusal = refusal_for(judged.verdict, step.final, self._gateway.journals.healthy())
        again = step.again
        if refusal is None and again is not None and again.waited:
            return self._after_waiting(again, statement, judged.verdict, now)
        if refusal is None and must_ask(judged.verdict, step.final):
            return None
        return self._made(judge.decide(statement, judged, refusal, not step.final), step.deferred, step.settles)

    def _made(self, decision: Decision, deferred: bool = False, settles: bool = True) -> Decision:
        """Note what runs now, and whether the journal must be durable before it: a write's effect may come later."""
        if decision.refusal is None and not decision.preparing:
            self._open[decision.id] = decision
            if decision.approval or (decision.statement.writes and not deferred) or (settles and self._deferred):
                self._persist = True
                self._deferred = False
            elif deferred and decision.statement.writes:
                self._deferred = True
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
        shown = None if parameters is None else tuple(parameters)
        return question(self._judge.facts(statement, now), verdict, text, shown)

    def _wait(self, settled: Settled, asked: Question, verdict: Verdict) -> Steps[Settled]:
        assert self._journal is not None
        self._journal.append(events.APPROVAL_ASKED, asked_fields(asked, settled))
        yield from self._flush([], [self._session.notice(waiting_text(verdict, settled))])
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
        assert self._journal is not None
        other = events.APPROVAL_WITHDRAWN if settled.state == "withdrawn" else events.APPROVAL_ANSWERED
        kind = events.APPROVAL_USED if refusal is None else other
        fields = {
            "approval": settled.id,
            "state": settled.state,
            "answered_by": settled.answered_by,
            "reason": settled.reason,
        }
        self._journal.append(kind, fields)

    # --- answering -----------------------------------------------------------------------------

    def _describe(self, step: Describe) -> Any:
        obligations = step.decision.obligations
        if not obligations.owed or self.principal is None:
            return None
        return self._gateway.masker.plan(obligations, self.principal, step.columns)

    def _scrub(self, step: Scrub) -> tuple[bytes, ...]:
        if self.principal is None or self.target is None or self.profile is None:
            return step.texts
        if step.decision is not None:
            duties = step.decision.obligations
        else:
            duties = self._gateway.policies.current().duties(self.principal, self.target, self.profile.name)
        return self._gateway.masker.scrub(duties, self.principal, step.texts, {}) if duties.detect else step.texts

    def _answered(self, step: Answered) -> None:
        assert self._journal is not None and self._judge is not None
        decision = step.decision
        self._open.pop(decision.id, None)
        counters = self._judge.counters
        counters["rows"] += step.rows or 0
        fields: dict[str, Any] = {
            "decision": decision.id,
            "columns": step.columns,
            "rows": step.rows,
            "bytes": step.bytes,
            "outcome": step.outcome,
        }
        if step.digest:
            fields["digest"] = step.digest
        if step.masked:
            fields["masked"] = step.masked
            counters["masked"] += sum(step.masked.values())
        if step.sample and decision.obligations.record == "full":
            fields["sample"] = step.sample
        if step.tag:
            fields["tag"] = step.tag
        if step.error:
            fields["error"] = step.error
        self._journal.append(events.ANSWERED, fields)

    def _note(self, step: Note) -> None:
        if self._journal is not None:
            self._journal.append(step.kind, step.fields)


def _gathered(to: Side, pieces: list[bytes]) -> Send:
    """Return one Send of everything that was gathered for a side, and empty the list."""
    data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
    pieces.clear()
    return Send(to, data)


def _nothing() -> Steps[None]:
    """A session's verb that does nothing."""
    return
    yield Close(Side.CLIENT, "")  # makes this a generator


def broken(reason: str) -> Killed:
    """Return the event that tells a session that the gateway itself cannot go on with it."""
    return Killed(reason, "error")
