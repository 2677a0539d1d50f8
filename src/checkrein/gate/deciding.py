"""From a statement to a Decision: facts, verdict cache, refusals, and the decided event."""

from __future__ import annotations

from typing import Any, Final

from checkrein.core import events
from checkrein.core.decision import Decision
from checkrein.core.facts import FactRecord, SessionFacts
from checkrein.core.identity import Principal
from checkrein.core.limits import STATEMENT_IN_PROCESS_BYTES, VERDICT_CACHE, VERDICT_PARTS
from checkrein.core.statement import Statement
from checkrein.core.target import Target
from checkrein.core.verdict import ASK, DENY, Refusal, Verdict
from checkrein.gate.bounding import bounded
from checkrein.gate.journalling import Redactor, template
from checkrein.gate.ports import Gateway, PolicySnapshot, SessionJournal

COUNTERS: Final = ("statements", "refused", "asked", "masked", "rows")


class _Judged:
    """A verdict kept with the parts of its statement whose identity keys it, and the shared fields of its event.

    The text is not kept: a verdict cache full of long statements would be gigabytes.
    """

    __slots__ = ("complete", "effects", "encoded", "outputs", "owed", "read", "relations", "uses", "verdict")

    def __init__(self, statement: Statement, verdict: Verdict, facts: FactRecord) -> None:
        self.read = {"now": facts.now, "counters": facts.counters.copy()} if verdict.reads else None
        self.owed: bool = verdict.obligations.owed
        self.effects = statement.effects
        self.outputs = statement.outputs
        self.uses = statement.uses
        self.relations = statement.relations
        self.complete = statement.complete
        self.verdict = verdict
        self.encoded = b""

    def is_of(self, statement: Statement) -> bool:
        """Whether a statement has these very parts, completely read."""
        return (
            self.effects is statement.effects
            and self.outputs is statement.outputs
            and self.uses is statement.uses
            and self.relations is statement.relations
            and self.complete
            and statement.complete
        )


class Judge:
    """Decides for one session. The only maker of its Decisions: `token` marks them, `vouches` recognises them."""

    def __init__(
        self, gateway: Gateway, journal: SessionJournal, principal: Principal, target: Target, session: SessionFacts
    ) -> None:
        self._gateway = gateway
        self._journal = journal
        self._principal = principal
        self._target = target
        self._session = session
        self._redactor = Redactor(gateway.masker, principal)
        self._cache: dict[int, _Judged] = {}
        self._snapshot: PolicySnapshot | None = None
        self._token = object()
        self._next = 0
        self.counters: dict[str, int] = dict.fromkeys(COUNTERS, 0)

    def vouches(self, decision: Decision) -> bool:
        """Whether this is a Decision that was made here and lets bytes pass."""
        return decision.maker is self._token and decision.refusal is None

    def facts(self, statement: Statement, now: float, final: bool = True) -> FactRecord:
        """Return the record that the decision is a pure function of (I7)."""
        return FactRecord(
            self._principal, self._target, self._session.profile, statement, self._session, now, self.counters, final
        )

    def judge(self, statement: Statement, now: float, final: bool = True) -> _Judged:
        """Return the verdict in force now, from the cache where the meaning is the same and nothing else was read."""
        snapshot = self._gateway.policies.current()
        if snapshot is not self._snapshot:
            self._snapshot = snapshot
            self._cache.clear()
        key = id(statement.effects)
        found = self._cache.get(key)
        if found is not None and found.is_of(statement):
            return found
        facts = self.facts(statement, now, final)
        judged = _Judged(statement, snapshot.decide(facts), facts)
        if keepable(statement) and not judged.verdict.reads and judged.verdict.outcome != DENY:
            if len(self._cache) >= VERDICT_CACHE:
                self._cache.clear()
            self._cache[key] = judged
        return judged

    def decide(
        self, statement: Statement, judged: _Judged, refusal: Refusal | None, preparing: bool, approval: str = ""
    ) -> Decision:
        """Make the Decision and put its decided event into the journal's buffer."""
        self._next += 1
        decision = Decision(self._next, statement, judged.verdict, refusal, preparing, self._token, judged.owed)
        decision.approval = approval
        self._count(decision)
        self._record(decision, judged)
        return decision

    def shown(self, statement: Statement, verdict: Verdict) -> tuple[str, list[str | None] | None]:
        """Return text and parameters as the journal and approvers may see them."""
        return bounded(*self._redactor.shown(statement, verdict.obligations))

    def _count(self, decision: Decision) -> None:
        counters = self.counters
        if decision.refusal is not None:
            counters["refused"] += 1
        if not decision.preparing or decision.refusal is not None:
            counters["statements"] += 1

    def _record(self, decision: Decision, judged: _Judged) -> None:
        statement = decision.statement
        encoded = judged.encoded
        if not encoded:
            common, facts = template(statement, judged.verdict)
            encoded = common + b',"facts":' + facts
            judged.encoded = common + b',"facts":%d' % decision.id
        text, parameters = self.shown(statement, judged.verdict)
        fields: dict[str, Any] = {
            "decision": decision.id,
            "statement": text,
            "parameters": parameters,
            "approval": decision.approval,
            "outcome": events.REFUSED if decision.refusal is not None else events.FORWARDED,
        }
        if judged.read is not None:
            fields["read"] = judged.read
        if decision.preparing:
            fields["phase"] = "prepare"
        if decision.refusal is not None:
            fields["refusal"] = decision.refusal.details()
        state = self._session.state
        if state:
            fields["state"] = state
        self._journal.append(events.DECIDED, fields, encoded)


def keepable(statement: Statement) -> bool:
    """Whether a verdict may be kept: of one read completely, which is neither long nor wide."""
    if not statement.complete or not statement.effects or len(statement.text) > STATEMENT_IN_PROCESS_BYTES:
        return False
    return statement.parts() <= VERDICT_PARTS


def refusal_for(verdict: Verdict, healthy: bool) -> Refusal | None:
    """Return why a statement may not pass at this point, None when it may (or when it must be asked)."""
    if verdict.outcome == DENY:
        return verdict.refusal()
    if not healthy:
        return Refusal(
            code="unavailable",
            reason="The recording cannot be written, so no statement is forwarded; an operator must free the store",
            retry="after:30",
        )
    return None


def must_ask(verdict: Verdict, final: bool) -> bool:
    """Whether people must be asked before this may pass."""
    return final and verdict.outcome == ASK
