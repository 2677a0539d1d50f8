"""Judging: every effect on its own over all rules, the strictest outcome for the statement. Pure and total.

deny beats ask beats allow; what nobody allowed is denied; a condition that errs counts as matching for deny and ask and
as not matching for allow.
"""

from __future__ import annotations

from typing import Any, Final

from checkrein.core.facts import FactRecord
from checkrein.core.statement import Effect, Statement
from checkrein.core.verdict import ALLOW, ASK, DENY, AskTerms, Considered, Verdict
from checkrein.policy import reasons
from checkrein.policy.conditions import statement_data
from checkrein.policy.duties import Duties
from checkrein.policy.rules import Rule
from checkrein.policy.trace import Trace
from checkrein.policy.view import View, fits

NOTHING: Final = Effect(verb="", object="", kind="", columns=(), housekeeping=True)
"""What a statement without effects is judged as: free, unless a deny speaks of its text or of everything."""

MASKED_DDL: Final = "masked_ddl"
"""The guardrail that bites only where somebody's mask speaks of the object."""

READING_VERBS: Final = frozenset({"select", "show", "listen", "fetch"})
"""What a read-only session may do beyond housekeeping, whatever the rules allow."""


class Denial:
    """One reason to deny. `rank` orders several: the smaller, the more it tells."""

    __slots__ = ("code", "effect", "instead", "missing", "position", "rank", "reason", "rule")

    def __init__(self, rank: int, code: str, reason: str, position: int = 0, rule: Rule | None = None) -> None:
        self.rank = rank
        self.code = code
        self.reason = reason
        self.position = position
        self.rule = rule
        self.instead = "" if rule is None else rule.instead
        self.effect: Effect | None = None
        self.missing: tuple[str, ...] = ()


class Judging:
    """One statement being judged: what was found so far."""

    __slots__ = ("_data", "_held", "allowed", "asks", "clear", "denials", "facts", "reads", "trace", "view")

    def __init__(self, view: View, facts: FactRecord, trace: Trace | None) -> None:
        self.view = view
        self.facts = facts
        self.trace = trace
        self.denials: list[Denial] = []
        self.asks: list[AskTerms] = []
        self.allowed: Rule | None = None
        self.clear: set[str] = set()
        self.reads: set[str] = set()
        self._held: dict[Rule, bool] = {}
        self._data: dict[str, Any] | None = None

    def holds(self, rule: Rule) -> bool:
        """Whether the parts of a rule that speak of the whole statement hold: matches, patterns, when."""
        if rule.when is None and rule.matches is None and not rule.patterns:
            return True
        held = self._held.get(rule)
        if held is None:
            held = self._evaluate(rule)
            self._held[rule] = held
        return held

    def _evaluate(self, rule: Rule) -> bool:
        """Evaluate in order of cost; an error is the answer that is stricter for this kind of rule."""
        self.reads |= rule.reads
        on_error = rule.kind != ALLOW
        text = self.facts.statement.text
        if rule.matches is not None:
            whole = rule.matches.whole(text)
            if not (on_error if whole is None else whole):
                return False
        if rule.patterns and not self._any_pattern(rule, text, on_error):
            return False
        if rule.when is None:
            return True
        if "parameters" in rule.reads and self.facts.statement.parameters is None and not self.facts.final:
            return not on_error  # judged again with them before anything runs
        if self._data is None:
            self._data = statement_data(self.facts, self.view.fixed)
        value = rule.when.evaluate(self._data)
        return on_error if value is None else value

    def _any_pattern(self, rule: Rule, text: str, on_error: bool) -> bool:
        for pattern in rule.patterns:
            found = pattern.anywhere(text)
            if on_error if found is None else found:
                return True
        return False

    def add_ask(self, terms: AskTerms | None) -> None:
        """Remember whose approval is needed, each rule once."""
        if terms is not None and terms not in self.asks:
            self.asks.append(terms)

    def deny(self, denial: Denial, effect: Effect | None = None) -> None:
        """Remember a reason to deny."""
        denial.effect = effect
        self.denials.append(denial)


def decide(view: View, facts: FactRecord, trace: Trace | None = None) -> Verdict:
    """Return the verdict of a view on a fact record. With `trace`, every rule is looked at and noted."""
    judging = Judging(view, facts, trace)
    statement = facts.statement
    duties = Duties(view, statement)
    if statement.complete:
        for index, effect in enumerate(statement.effects or (NOTHING,)):
            _judge_effect(judging, index, effect)
        _guard_session(judging, statement)
        _judge_stored(judging, statement)
    else:
        _judge_conceded(judging, statement)
    _judge_inference(judging, duties)
    return _verdict(judging, duties)


def _judge_effect(judging: Judging, index: int, effect: Effect) -> None:
    view = judging.view
    if judging.trace is not None:
        judging.trace.effect(judging, index, effect)
    if _guarded(judging, effect):
        return
    candidates = view.candidates(effect)
    named = False
    covered = effect.housekeeping and view.target.housekeeping != "strict"
    if effect is NOTHING:
        covered = True
    free = covered
    missing: set[str] | None = None
    for rule in candidates:
        hit = _columns_hit(rule, effect)
        if hit == () or (covered and rule.kind == ALLOW and not rule.output_clear and not effect.door):
            continue
        if not judging.holds(rule):
            continue
        if rule.kind == DENY:
            reason = rule.message or reasons.denied_by(rule, effect)
            judging.deny(Denial(1, "denied", reason, effect.position, rule), effect)
            return
        if rule.kind == ASK:
            judging.add_ask(rule.terms)
        elif judging.allowed is None and not free:
            judging.allowed = rule
        if rule.output_clear:
            judging.clear.add(effect.object)
        named = named or (bool(effect.door) and rule.names_object(effect))
        if hit is None:
            covered = True
        elif not covered:
            if missing is None:
                missing = set(effect.columns or ())
            missing.difference_update(hit)
            covered = not missing
    _conclude(judging, effect, covered, named, missing)


def _conclude(judging: Judging, effect: Effect, covered: bool, named: bool, missing: set[str] | None) -> None:
    """Deny what a shut door is in front of, and what nobody allowed."""
    if effect.door and not named:
        sentence = reasons.door(judging.view, effect)
        judging.deny(Denial(2, "door", sentence, effect.position), effect)
    elif not covered:
        left = tuple(column for column in effect.columns or () if missing is None or column in missing)
        denial = Denial(3, "not_allowed", reasons.not_allowed(effect, left), effect.position)
        denial.missing = left
        judging.deny(denial, effect)


def _guarded(judging: Judging, effect: Effect) -> bool:
    """Whether a guardrail denies this effect."""
    view = judging.view
    if not effect.guard or view.target.unguarded:
        return False
    if effect.guard == MASKED_DDL and not view.object_masked(effect, judging.facts.statement.relations):
        return False
    judging.deny(Denial(0, "guardrail", reasons.guard(view, effect), effect.position), effect)
    return True


def _columns_hit(rule: Rule, effect: Effect) -> tuple[str, ...] | None:
    """Return which of the effect's columns a rule speaks of: None for the whole effect, () for none of it.

    An effect without known columns is the whole object: an allow or ask that is narrowed to columns covers it only by
    naming every column, a deny of any column bites. A read that needs just some one column is covered by any.
    """
    if not rule.columns:
        return None
    patterns = rule.columns_on(effect)
    if not patterns:
        return ()
    if any(pattern.every() for pattern in patterns):
        return None
    if not effect.columns:
        if effect.any_column:
            return () if rule.kind == DENY else None
        return None if rule.kind == DENY else ()
    return tuple(column for column in effect.columns if any(pattern.covers(column) for pattern in patterns))


def _guard_session(judging: Judging, statement: Statement) -> None:
    """Keep a read-only session read-only, whatever the rules allow."""
    if not judging.view.read_only:
        return
    for effect in statement.effects:
        if effect.verb not in READING_VERBS and not effect.housekeeping:
            judging.deny(Denial(2, "denied", reasons.read_only(effect.verb), effect.position), effect)
            return
    if statement.writes:
        judging.deny(Denial(2, "denied", reasons.read_only("writing")))


def _judge_conceded(judging: Judging, statement: Statement) -> None:
    """Judge what could not be read: by its whole text alone; what is known of it can only deny."""
    vouching: list[Rule] = []
    for index, effect in enumerate(statement.effects):
        if judging.trace is not None:
            judging.trace.effect(judging, index, effect)
        _guarded(judging, effect)
    for rule in judging.view.rules:
        if not _speaks_of_conceded(rule, statement) or not judging.holds(rule):
            continue
        if rule.kind == DENY:
            judging.deny(Denial(1, "denied", rule.message or reasons.denied_by(rule, NOTHING), 0, rule))
            continue
        vouching.append(rule)
        if rule.kind == ASK:
            judging.add_ask(rule.terms)
        elif judging.allowed is None:
            judging.allowed = rule
    if not vouching:
        judging.deny(Denial(3, "conceded", reasons.conceded(statement)))
    for effect in statement.effects:
        if effect.door and not any(rule.names_object(effect) for rule in vouching):
            judging.deny(Denial(2, "door", reasons.door(judging.view, effect), effect.position), effect)
    if judging.view.read_only:
        judging.deny(Denial(2, "denied", reasons.read_only("what could not be read")))


def _speaks_of_conceded(rule: Rule, statement: Statement) -> bool:
    if rule.incomplete:
        return True
    if rule.kind != DENY:
        return False
    if rule.verbs is None and not rule.objects and not rule.columns:
        return True
    return any(fits(rule, effect) and _columns_hit(rule, effect) != () for effect in statement.effects)


def _judge_inference(judging: Judging, duties: Duties) -> None:
    for column, place, position, owed in duties.inferred():
        if owed.duty.inference == DENY:
            reason = reasons.inference(column, place, owed.duty.policy)
            judging.deny(Denial(4, "inference", reason, position))
            return
        if owed.duty.inference == ASK:
            for terms in owed.asks:
                judging.add_ask(terms)
    transformed = duties.transformed()
    if transformed:
        judging.deny(Denial(4, "inference", reasons.transformed(transformed, judging.view.transformed_denied)))


def _judge_stored(judging: Judging, statement: Statement) -> None:
    """What a function gave is redacted where it is shown unless a rule clears it; kept, it could be read in clear.

    So storing it is inference on every mask of the view: the function may have read any of them.
    """
    unknown = [call for call in statement.stored_calls if call not in judging.clear]
    if not unknown:
        return
    for mask in judging.view.column_masks:
        if mask.duty.inference == DENY:
            judging.deny(Denial(4, "inference", reasons.stored(unknown[0], mask.duty.policy)))
            return
        if mask.duty.inference == ASK:
            judging.add_ask(mask.terms)


def _verdict(judging: Judging, duties: Duties) -> Verdict:
    view = judging.view
    denial = min(judging.denials, key=lambda one: one.rank) if judging.denials else None
    trace = tuple(judging.trace.noted) if judging.trace is not None else ()
    observed = _observed(judging) if view.observed else ()
    if judging.trace is not None:
        judging.trace.denial = denial
    rule = denial.rule if denial is not None else judging.allowed
    outcome = DENY if denial is not None else ASK if judging.asks else ALLOW
    if outcome == ASK:
        policy, name, reason = judging.asks[0].policy, judging.asks[0].rule, reasons.asks(judging.asks)
    else:
        policy, name = (rule.policy, rule.name) if rule is not None else ("", "")
        reason = denial.reason if denial is not None else reasons.allowed(rule)
    return Verdict(
        outcome=outcome,
        policy=policy,
        rule=name,
        reason=reason,
        instead=denial.instead if denial is not None else "",
        code=denial.code if denial is not None else "",
        position=denial.position if denial is not None else 0,
        asks=tuple(judging.asks) if outcome == ASK else (),
        obligations=duties.obligations(frozenset(judging.clear)),
        trace=trace,
        observed=observed,
        reads=frozenset(judging.reads),
        snapshot=view.snapshot,
    )


def _observed(judging: Judging) -> tuple[Considered, ...]:
    """Return what the observed policies' rules would have matched; it adds nothing to the verdict."""
    out: list[Considered] = []
    statement = judging.facts.statement
    for index, effect in enumerate(statement.effects or (NOTHING,)):
        for rule in judging.view.observed:
            if fits(rule, effect) and _columns_hit(rule, effect) != () and judging.holds(rule):
                out.append(Considered(index, rule.policy, rule.name, rule.kind, True, "observed"))
    return tuple(out)
