"""What judging noted for an explanation: every rule that was looked at, for every effect, with why it did not match."""

from __future__ import annotations

from typing import Protocol

from checkrein.core.statement import Effect
from checkrein.core.verdict import Considered
from checkrein.policy.rules import Rule
from checkrein.policy.view import View, fits


class Reason(Protocol):
    """What a trace keeps of the denial that won."""

    effect: Effect | None
    code: str
    missing: tuple[str, ...]
    rule: Rule | None


class Looker(Protocol):
    """What a trace needs of the judging under way."""

    @property
    def view(self) -> View:
        """The view that is judged by."""

    def holds(self, rule: Rule) -> bool:
        """Whether text and condition hold."""


class Trace:
    """Collects Considered entries. Mutable, of one decide."""

    __slots__ = ("denial", "noted")

    def __init__(self) -> None:
        self.noted: list[Considered] = []
        self.denial: Reason | None = None

    def effect(self, judging: Looker, index: int, effect: Effect) -> None:
        """Note every rule of the view for one effect."""
        for rule in judging.view.rules:
            why = why_not(rule, effect)
            if not why and not judging.holds(rule):
                why = "its condition or text did not match"
            self.noted.append(Considered(index, rule.policy, rule.name, rule.kind, not why, why))


def why_not(rule: Rule, effect: Effect) -> str:
    """Return which selector of a rule does not fit an effect, else an empty string."""
    if fits(rule, effect):
        if not rule.columns:
            return ""
        patterns = rule.columns_on(effect)
        used = effect.columns or ()
        if patterns and (not used or any(p.covers(column) for p in patterns for column in used)):
            return ""
        return "columns: it names none of the columns used"
    if not rule.verb_fits(effect):
        return f"verbs: {effect.verb or 'nothing'} is not among them"
    if not rule.object_fits(effect):
        return f"objects: {effect.object or 'nothing'} is not among them"
    return "it does not speak of what needs no rule" if effect.housekeeping else "it speaks of conceded statements only"
