"""The sentences of verdicts: what was missing, what bit, and what to do instead."""

from __future__ import annotations

from checkrein.core.statement import Effect, Statement
from checkrein.core.verdict import AskTerms
from checkrein.policy.rules import Rule
from checkrein.policy.view import View


def _what(effect: Effect) -> str:
    on = f" on {effect.object}" if effect.object else ""
    return f"{effect.verb}{on}" if effect.verb else "this statement"


def denied_by(rule: Rule, effect: Effect) -> str:
    """Return the reason of a deny rule without a message."""
    return f"Rule {rule.name} of policy {rule.policy} denies {_what(effect)}"


def not_allowed(effect: Effect, columns: tuple[str, ...]) -> str:
    """Return what no rule allowed, and through which view it was reached."""
    shown = ", ".join(f"{effect.object}.{column}" for column in columns[:5])
    more = f" and {len(columns) - 5} more columns" if len(columns) > 5 else ""
    what = f"{effect.verb} on {shown}{more}" if shown else _what(effect)
    through = f" (read through {effect.via[0]})" if effect.via else ""
    return f"No rule allows {what}{through}"


def guard(view: View, effect: Effect) -> str:
    """Return which guardrail refuses an effect, with the protocol's sentence."""
    return f"The guardrail {effect.guard} refuses {_what(effect)}. {view.guardrails.get(effect.guard, '')}".rstrip()


def door(view: View, effect: Effect) -> str:
    """Return which door is shut, with the protocol's sentence."""
    sentence = view.doors.get(effect.door, "")
    return f"No rule names {_what(effect)} without a wildcard ({effect.door}). {sentence}".rstrip()


def read_only(verb: str) -> str:
    """Return the reason of a read-only session."""
    return f"This session is read-only: {verb} is refused"


def conceded(statement: Statement) -> str:
    """Return why a conceded statement is denied."""
    why = f": {statement.conceded}" if statement.conceded else ""
    return f"This statement could not be read completely{why}; no rule with incomplete: true covers it"


def inference(column: str, place: str, policy: str) -> str:
    """Return why a use of a masked column is refused."""
    return (
        f"{column} is masked by policy {policy} and may only be selected as it is; "
        f"its use in {place} would let its value be inferred"
    )


def stored(function: str, policy: str) -> str:
    """Return why what a function gave is not written anywhere."""
    return (
        f"{function} may read what policy {policy} masks, so what it gives may not be written or set; "
        f"a rule that allows it with output: clear vouches for it"
    )


def transformed(output: str, detector: str) -> str:
    """Return why a function over a detected column is refused."""
    return f"Output {output} rewrites a column by a function, which the mask on {detector} does not permit"


def asks(terms: list[AskTerms]) -> str:
    """Return who must approve."""
    messages = [one.message for one in terms if one.message]
    groups = ", ".join(dict.fromkeys(group for one in terms for group in one.approvers))
    return " ".join(messages) if messages else f"Needs approval by {groups}"


def allowed(rule: Rule | None) -> str:
    """Return why a statement is allowed."""
    return f"Rule {rule.name} of policy {rule.policy} allows it" if rule is not None else "Needs no rule"
