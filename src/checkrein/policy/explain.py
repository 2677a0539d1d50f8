"""A print-out of a judgement: every rule considered, what decided, what is masked, and what would change it."""

from __future__ import annotations

from typing import Any

import msgspec

from checkrein.core.facts import FactRecord
from checkrein.core.statement import Effect, Statement, full_name
from checkrein.core.verdict import ALLOW, ASK, Considered, Verdict
from checkrein.policy.snapshot import Snapshot
from checkrein.policy.trace import Trace


def explain(snapshot: Snapshot, facts: FactRecord) -> dict[str, Any]:
    """Return `{verdict, policy, rule, reason, effects, considered, masks, flip}` as plain JSON values.

    `considered` has one entry for each rule and effect; `masks` says what each predicted output owes.
    """
    trace = Trace()
    verdict = snapshot.decide(facts, trace)
    statement = facts.statement
    return {
        "verdict": verdict.outcome,
        "policy": verdict.policy,
        "rule": verdict.rule,
        "reason": verdict.reason,
        **{key: value for key, value in (("code", verdict.code), ("instead", verdict.instead)) if value},
        "effects": [_effect(effect) for effect in statement.effects],
        "considered": [_considered(one) for one in verdict.trace],
        "observed": [_considered(one) for one in verdict.observed],
        "approvers": [{"rule": f"{ask.policy}/{ask.rule}", "groups": list(ask.approvers)} for ask in verdict.asks],
        "masks": {"outputs": output_masks(statement, verdict), "detect": _detectors(verdict)},
        "reads": sorted(verdict.reads),
        "snapshot": verdict.snapshot,
        "flip": _flip(snapshot, facts, verdict, trace),
    }


def output_masks(statement: Statement, verdict: Verdict) -> dict[str, str]:
    """Return the strategy that each masked output of a statement gets, by output name."""
    out: dict[str, str] = {}
    columns = verdict.obligations.columns
    for output in statement.outputs or ():
        owed = [columns[key] for o in output.origins if (key := (o.relation, o.column)) in columns]
        unknown = [call for call in output.calls if call not in verdict.obligations.clear_calls]
        if owed and output.how == "bare":
            out[output.name] = owed[0].strategy
        elif (owed and output.kind == "other") or (unknown and verdict.obligations.redact_unknown_calls):
            out[output.name] = "redact"
    return out


def _detectors(verdict: Verdict) -> dict[str, str]:
    return {duty.detector: duty.duty.strategy for duty in verdict.obligations.detect}


def _effect(effect: Effect) -> dict[str, Any]:
    """Return an effect without what is empty; None columns mean all."""
    given = msgspec.structs.asdict(effect)
    shown = {key: value for key, value in given.items() if value not in ("", 0, False, None, ())}
    shown["columns"] = list(effect.columns) if effect.columns is not None else None
    return shown


def _considered(one: Considered) -> dict[str, Any]:
    shown = msgspec.structs.asdict(one)
    if not one.why:
        del shown["why"]
    return shown


def _flip(snapshot: Snapshot, facts: FactRecord, verdict: Verdict, trace: Trace) -> str:
    """Return the smallest change of policy that would give another verdict."""
    if verdict.outcome == ALLOW:
        if not verdict.rule:
            return "a deny with patterns or a condition that matches this statement"
        return f"remove or narrow rule {verdict.policy}/{verdict.rule}, or add a deny that matches"
    if verdict.outcome == ASK:
        rules = ", ".join(f"{ask.policy}/{ask.rule}" for ask in verdict.asks)
        return f"remove or narrow {rules} where an allow covers the same, or make it a deny"
    return _flip_denial(snapshot, facts, verdict, trace)


def _flip_denial(snapshot: Snapshot, facts: FactRecord, verdict: Verdict, trace: Trace) -> str:
    denial = trace.denial
    effect = denial.effect if denial is not None else None
    if verdict.rule:
        return f"remove or narrow rule {verdict.policy}/{verdict.rule}"
    if verdict.code == "conceded":
        return "write the statement so that it can be read, or add allow: {incomplete: true, matches: ...} for its text"
    if verdict.code == "guardrail":
        return f"nothing in a policy: an admin would have to mark target {facts.target.name} unguarded"
    if verdict.code == "inference":
        return "select the masked column as it is, or set inference: allow (or ask) on its mask"
    if effect is None or denial is None or verdict.code == "denied":
        return "read_only: false in every policy that speaks of this session"
    return f"add a rule allow: {{{_selector(snapshot, facts, effect, denial.missing)}}}"


def _selector(snapshot: Snapshot, facts: FactRecord, effect: Effect, missing: tuple[str, ...]) -> str:
    verbs = f"verbs: [{effect.verb}]"
    if missing:
        return f"{verbs}, columns: [{', '.join(f'{effect.object}.{full_name(column)}' for column in missing)}]"
    word = snapshot.word_for(facts.target.protocol, effect.kind)
    return f"{verbs}, {word}: [{effect.object}]" if word else verbs
