"""The one order, in one place: parse, decide, (ask), journal, forward, mask, journal (I12).

The gate wraps a protocol's session and is driven like one: its verbs are generators of steps. It answers Decide,
Describe, Scrub, Answered and Note itself; what it yields on is transport work (Send, Close, Dial, StartTls, Query,
Offload, Interrupt, CancelSession, Authenticate) and its own Ask and Persist. Output is gathered and leaves only after
the journal's buffer was written, so no byte moves before its decision is on file (I6).
"""

from __future__ import annotations

from typing import Any, Final

from msgspec.structs import replace

from checkrein.core import events
from checkrein.core.decision import Decision
from checkrein.core.errors import CheckreinError
from checkrein.core.identity import Claim, LoginRefused, Principal
from checkrein.core.session import Cancelled, Killed, SessionContext, SessionEvent
from checkrein.core.side import Side
from checkrein.core.spec import ProtocolSpec
from checkrein.core.steps import (
    Answered,
    Authenticate,
    Close,
    Decide,
    Describe,
    Note,
    Query,
    Scrub,
    Send,
    Step,
    Steps,
    Verb,
    steps_of,
)
from checkrein.core.target import Profile, Target
from checkrein.gate.admitting import Admission
from checkrein.gate.asking import Asking
from checkrein.gate.deciding import Judge, must_ask, refusal_for
from checkrein.gate.ports import Gateway

CLIENT: Final = Side.CLIENT
TARGET: Final = Side.TARGET


class GateBroken(CheckreinError):
    """A session asked for what the one order forbids (a warrant that is none, a step before login). Never expected."""


class _Run:
    """One verb being driven, and what it has sent so far."""

    __slots__ = ("back", "ended", "now", "out", "steps")

    def __init__(self, steps: Steps[None], now: float) -> None:
        self.steps = steps
        self.now = now
        self.out: list[bytes] = []
        self.back: list[bytes] = []
        self.ended = False


class Gate(Asking):
    """The gate of one session. `deadline` is when the session must end (epoch seconds), None while there is none."""

    def __init__(self, gateway: Gateway, spec: ProtocolSpec, context: SessionContext) -> None:
        super().__init__(gateway, spec.session(replace(context, prompt=self._answer_at_once)), context)
        self._spec = spec
        self._admission = Admission(gateway, spec, context)
        self._own = spec.own_messages | spec.upkeep
        self._closed = False
        self._changer: object = None
        self.target: Target | None = None
        self.profile: Profile | None = None
        self.deadline: float | None = None

    # --- the session's verbs -------------------------------------------------------------------

    def open(self, now: float) -> Steps[None]:
        """The connection was accepted."""
        return self._drive(self._session.open(now), now)

    def receive(self, side: Side, data: bytes, now: float) -> Verb:
        """Bytes arrived on a side."""
        self._now = now
        verb = self._session.receive(side, data, now)
        return self._listed(verb, now) if isinstance(verb, list) else self._prompt(verb, now)

    def cancel_key(self) -> bytes:
        """Return what a cancel must show that means this session; empty: none does."""
        return self._session.cancel_key()

    def stuffed(self) -> bool:
        """Whether the client should not be read on until the target has answered."""
        return self._session.stuffed()

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
        if self._changer is not None:
            self._gateway.catalogs.gone(self._changer)
        if self._parked:
            self._gateway.desk.withdraw(self._parked, reason)
        journal = self._leaving.journal
        if journal is None or self._judge is None:
            return
        for decision in self._open.values():
            journal.append(events.ANSWERED, {"decision": decision.id, "outcome": "unknown"})
        journal.close(reason, dict(self._judge.counters))

    # --- the order -----------------------------------------------------------------------------

    def _drive(self, steps: Steps[None], now: float) -> Steps[None]:
        """Drive a verb that may wait."""
        return self._go_on(_Run(steps, now), None, False)

    def _prompt(self, steps: Steps[None], now: float) -> Verb:
        """Drive a verb as far as it goes by itself: most never wait, and then what is left is a list of Sends."""
        run = _Run(steps, now)
        try:
            step = self._advance(run, None)
            if step is None and not (run.out and self._leaving.must_wait()):
                return self._leaving.written(run.out, run.back)
        except BaseException:
            if not run.ended:
                steps.close()
            raise
        return self._go_on(run, step, True)

    def _listed(self, steps: list[Step], now: float) -> Verb:
        """Deal with a list of steps, none of which needs an answer."""
        for step in steps:
            if type(step) is not Send and type(step) is not Answered:
                return self._drive(steps_of(steps), now)
        out: list[bytes] = []
        back: list[bytes] = []
        for step in steps:
            if type(step) is Answered:
                self._answered(step)
            elif type(step) is Send:
                if step.to is CLIENT:
                    back.append(step.data)
                else:
                    self._check(step)
                    out.append(step.data)
        leaving = self._leaving
        return leaving.flush(out, back) if out and leaving.must_wait() else leaving.written(out, back)

    def _answer_at_once(self, step: Any) -> Any:
        """Answer a step of the session's that takes no waiting, while a verb of its runs; None: it must be yielded."""
        return self._at_once(step, self._now) if type(step) is Decide else self._cached(step)

    def _advance(self, run: _Run, reply: Any) -> Any:
        """Drive a verb until it ends (None) or yields a step that must wait, which is returned."""
        steps = run.steps
        while True:
            try:
                step = steps.send(reply)
            except StopIteration:
                run.ended = True
                return None
            reply = None
            if type(step) is Send:
                if step.to is CLIENT:
                    run.back.append(step.data)
                else:
                    self._check(step)
                    run.out.append(step.data)
            elif type(step) is Decide:
                reply = self._at_once(step, run.now)
                if reply is None:
                    return step
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
                    return step

    def _go_on(self, run: _Run, step: Any, begun: bool) -> Steps[None]:
        """Do what a verb waits for, until it ends."""
        reply: Any = None
        try:
            if not begun:
                step = self._advance(run, None)
            while step is not None:
                yield from self._leaving.flush(run.out, run.back)
                if type(step) is Decide:
                    reply = yield from self._ask(step.statement, step.final, run.now)
                    run.now = max(run.now, self._now)  # what comes behind is judged as of now
                else:
                    reply = yield from self._transport(step, run.now)
                step = self._advance(run, reply)
            yield from self._leaving.flush(run.out, run.back)
        finally:
            if not run.ended:  # closing one that has ended does nothing, slowly
                run.steps.close()

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
        if type(step) is Query and step.fresh:
            self._changer = getattr(step.question, "changer", self._changer)
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
        self._leaving.journal, self.deadline = admitted.journal, admitted.deadline
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
        refusal = refusal_for(judged.verdict, self._gateway.journals.healthy())
        again = step.again
        if refusal is None and again is not None and again.waited:
            return self._after_waiting(again, statement, judged.verdict, now)
        if refusal is None and must_ask(judged.verdict, step.final):
            return None
        return self._made(judge.decide(statement, judged, refusal, not step.final), step.deferred, step.settles)

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
        journal = self._leaving.journal
        assert journal is not None and self._judge is not None
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
        journal.append(events.ANSWERED, fields)

    def _note(self, step: Note) -> None:
        if self._leaving.journal is not None:
            self._leaving.journal.append(step.kind, step.fields)


def _nothing() -> Steps[None]:
    """A session's verb that does nothing."""
    return
    yield Close(Side.CLIENT, "")  # makes this a generator


def broken(reason: str) -> Killed:
    """Return the event that tells a session that the gateway itself cannot go on with it."""
    return Killed(reason, "error")
