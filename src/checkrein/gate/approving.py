"""What an approval binds to: approve A, run A."""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec

from checkrein.core.facts import FactRecord
from checkrein.core.verdict import Refusal, Verdict
from checkrein.gate.journalling import touches
from checkrein.gate.ports import Question, Settled

_ENCODER = msgspec.json.Encoder(order="sorted")


def binding(facts: FactRecord, verdict: Verdict) -> str:
    """Return the SHA-256 (hex) over all that was asked: statement, effects with object ids, where, who, which rules."""
    statement = facts.statement
    principal = facts.principal
    canonical = [
        statement.text,
        statement.parameters,
        statement.parameter_types,
        (statement.runs.text, statement.runs.parameters, statement.runs.parameter_types) if statement.runs else None,
        statement.effects,
        sorted([(one.name, one.oid, one.definition) for one in statement.relations if one.definition]),
        statement.outputs,
        facts.target.name,
        facts.profile,
        principal.issuer,
        principal.subject,
        principal.actors,
        sorted(terms.digest for terms in verdict.asks),
        facts.session.id if any(terms.session_only for terms in verdict.asks) else "",
    ]
    return hashlib.sha256(_ENCODER.encode(canonical)).hexdigest()


def question(facts: FactRecord, verdict: Verdict, shown: str, parameters: tuple[str | None, ...] | None) -> Question:
    """Return the question that people are asked; `shown` and `parameters` are already fit to be seen."""
    return Question(
        binding=binding(facts, verdict),
        principal=facts.principal,
        target=facts.target.name,
        protocol=facts.target.protocol,
        profile=facts.profile,
        session=facts.session.id,
        statement=shown,
        parameters=parameters,
        verbs=facts.statement.verbs,
        touches=touches(facts.statement),
        terms=verdict.asks,
    )


def asked_fields(asked: Question, settled: Settled) -> dict[str, Any]:
    """Return what the journal says of a question: the story is whole even when nobody ever answers it."""
    return {
        "approval": settled.id,
        "statement": asked.statement,
        "parameters": asked.parameters,
        "verbs": asked.verbs,
        "touches": asked.touches,
        "policy": asked.terms[0].policy,
        "rule": asked.terms[0].rule,
        "rules": [terms.rule for terms in asked.terms],
    }


def hold_of(verdict: Verdict) -> float:
    """Return how long the client is held: the shortest of the rules that ask."""
    return min(terms.hold for terms in verdict.asks)


def waiting_text(verdict: Verdict, settled: Settled) -> str:
    """Return the notice for the client that is held."""
    groups = ", ".join(dict.fromkeys(group for terms in verdict.asks for group in terms.approvers))
    rules = ", ".join(f"{terms.policy}/{terms.rule}" for terms in verdict.asks)
    return (
        f"checkrein: waiting up to {hold_of(verdict):g} s for approval {settled.id} by {groups} ({rules}); "
        f"an approver runs: checkrein approvals approve {settled.id}"
    )


def refusal_of(verdict: Verdict, settled: Settled) -> Refusal:
    """Return the native denial for a question that did not end in a yes."""
    first = verdict.asks[0]
    code, reason, retry = {
        "pending": (
            "approval_required",
            "waiting for approval; send the same statement again once it is approved",
            "after_approval",
        ),
        "denied": ("approval_denied", f"the approval was denied{_because(settled.reason)}", "never"),
        "expired": ("approval_expired", "nobody answered before the question expired", "never"),
        "withdrawn": ("approval_withdrawn", f"the question was withdrawn{_because(settled.reason)}", "never"),
    }.get(settled.state, ("unavailable", f"the approval could not be settled{_because(settled.reason)}", "after:30"))
    return Refusal(
        code=code,
        reason=f"{first.message}: {reason}" if first.message else reason[:1].upper() + reason[1:],
        policy=first.policy,
        rule=first.rule,
        instead=verdict.instead,
        retry=retry,
        approval=settled.id,
        approval_url=settled.url,
    )


def _because(reason: str) -> str:
    return f": {reason}" if reason else ""
