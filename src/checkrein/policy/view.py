"""What of a snapshot holds for one principal on one target and profile, prepared so that judging is short."""

from __future__ import annotations

from typing import Any

from checkrein.core.identity import Principal
from checkrein.core.limits import POLICY_CANDIDATES
from checkrein.core.statement import Effect, Origin, Relation
from checkrein.core.target import Target
from checkrein.core.verdict import ASK, DENY, AskTerms, DetectDuty, MaskDuty, Obligations
from checkrein.policy.names import parts_of
from checkrein.policy.rules import ColumnMask, Rule, strictest


class Owed:
    """What one column owes: the strictest duty of all its masks, and the asks of those whose inference is ask."""

    __slots__ = ("asks", "duty")

    def __init__(self, duty: MaskDuty, asks: tuple[AskTerms, ...]) -> None:
        self.duty = duty
        self.asks = asks


class View:
    """Rules, masks and duties of one (principal, target, profile); immutable but for its bounded caches."""

    __slots__ = (
        "_candidates",
        "_owed",
        "column_masks",
        "detect",
        "doors",
        "fixed",
        "guarded_masks",
        "guardrails",
        "may_enter",
        "observed",
        "principal",
        "profile",
        "read_only",
        "rules",
        "session_duties",
        "snapshot",
        "target",
        "transformed_denied",
    )

    def __init__(self, snapshot: str, principal: Principal, target: Target, profile: str) -> None:
        self.snapshot = snapshot
        self.principal = principal
        self.target = target
        self.profile = profile
        self.fixed: dict[str, Any] = {}
        self.rules: tuple[Rule, ...] = ()
        self.observed: tuple[Rule, ...] = ()
        self.column_masks: tuple[ColumnMask, ...] = ()
        self.guarded_masks: tuple[ColumnMask, ...] = ()
        self.detect: tuple[DetectDuty, ...] = ()
        self.guardrails: dict[str, str] = {}
        self.doors: dict[str, str] = {}
        self.transformed_denied = ""
        self.read_only = False
        self.may_enter = False
        self.session_duties = Obligations()
        self._candidates: dict[tuple[str, str, str, tuple[str, ...]], tuple[Rule, ...]] = {}
        self._owed: dict[tuple[str, tuple[str, ...], tuple[str, ...]], dict[str, Owed]] = {}

    def finish(self) -> None:
        """Fix what follows from the parts; called once, when they are set."""
        denying = [duty for duty in self.detect if duty.transformed == DENY]
        self.transformed_denied = denying[0].detector if denying else ""
        self.session_duties = Obligations(
            detect=self.detect,
            redact_unknown_calls=bool(self.column_masks),
            read_only=self.read_only,
        )

    def candidates(self, effect: Effect) -> tuple[Rule, ...]:
        """Return the rules whose verbs and objects fit an effect; columns and conditions are not looked at."""
        key = (effect.verb, effect.kind, effect.object, effect.via)
        found = self._candidates.get(key)
        if found is None:
            found = tuple(rule for rule in self.rules if fits(rule, effect))
            if len(self._candidates) >= POLICY_CANDIDATES:
                self._candidates.clear()
            self._candidates[key] = found
        return found

    def object_masked(self, effect: Effect, relations: tuple[Relation, ...]) -> bool:
        """Whether anybody's column mask on this target speaks of the effect's object or of something inside it."""
        for relation in relations:
            if relation.name == effect.object and not relation.column_origins:
                names = [parts_of(relation.name), *[parts_of(parent) for parent in relation.parents]]
                return any(
                    mask.names(name, column)
                    for mask in self.guarded_masks
                    for name in names
                    for column in relation.columns
                )
        parts = parts_of(effect.object)
        return any(mask.touches(parts) for mask in self.guarded_masks)

    def owed(self, relation: Relation) -> dict[str, Owed]:
        """Return what each masked column of a relation owes, by column name."""
        if relation.column_origins:
            return self._owed_now(relation)
        key = (relation.name, relation.columns, relation.parents)
        found = self._owed.get(key)
        if found is None:
            found = self._owed_now(relation)
            if len(self._owed) >= POLICY_CANDIDATES:
                self._owed.clear()
            self._owed[key] = found
        return found

    def _owed_now(self, relation: Relation) -> dict[str, Owed]:
        out: dict[str, Owed] = {}
        names = [parts_of(relation.name), *[parts_of(parent) for parent in relation.parents]]
        for column in relation.columns:
            places = [(name, column) for name in names]
            for origin in relation.column_origins.get(column, ()):
                places.append((parts_of(origin.relation), origin.column))
            owed = self._owed_at(places)
            if owed is not None:
                out[column] = owed
        return out

    def owed_by_name(self, origin: Origin) -> Owed | None:
        """Return what a column owes by its own name alone, for one whose relation the statement does not list."""
        return self._owed_at([(parts_of(origin.relation), origin.column)])

    def _owed_at(self, places: list[tuple[tuple[str, ...], str]]) -> Owed | None:
        duty: MaskDuty | None = None
        asks: list[AskTerms] = []
        for mask in self.column_masks:
            if any(mask.names(name, column) for name, column in places):
                duty = mask.duty if duty is None else strictest(duty, mask.duty)
                if mask.terms is not None:
                    asks.append(mask.terms)
        return None if duty is None else Owed(duty, tuple(asks))


def fits(rule: Rule, effect: Effect) -> bool:
    """Whether a rule's verbs and objects fit an effect, looking through views for an allow."""
    if not rule.verb_fits(effect) or (rule.incomplete and rule.matches is None):
        return False
    if effect.housekeeping and rule.kind == ASK and rule.general():
        return False
    return rule.object_fits(effect) or rule.names_view(effect)
