"""An immutable compiled set of policies: what the gate judges by (gate.ports.PolicySnapshot)."""

from __future__ import annotations

from collections.abc import Mapping

from checkrein.core.facts import FactRecord
from checkrein.core.identity import Principal
from checkrein.core.limits import POLICY_VIEWS
from checkrein.core.spec import ProtocolSpec
from checkrein.core.target import Target
from checkrein.core.verdict import ALLOW, DENY, DetectDuty, Obligations, Verdict
from checkrein.policy.conditions import principal_data
from checkrein.policy.engine import decide
from checkrein.policy.rules import ERROR, NO, YES, ColumnMask, Policy, Rule, strictest
from checkrein.policy.trace import Trace
from checkrein.policy.view import View


class Snapshot:
    """A compiled set. Views are prepared on first use and kept, at most POLICY_VIEWS of them."""

    __slots__ = ("_guards", "_id", "_views", "_words", "policies")

    def __init__(self, id: str, policies: tuple[Policy, ...], specs: Mapping[str, ProtocolSpec]) -> None:
        self._id = id
        self.policies = policies
        self._guards = {name: (spec.guardrails, spec.doors) for name, spec in specs.items()}
        self._words = {name: spec.vocabulary.objects for name, spec in specs.items()}
        self._views: dict[tuple[int, int, str], View] = {}

    @property
    def id(self) -> str:
        """Digest of the set, as the journal names it."""
        return self._id

    def may_enter(self, principal: Principal, target: Target, profile: str) -> str:
        """Return an empty string, or the sentence that says why this principal may not log in there."""
        if self.view(principal, target, profile).may_enter:
            return ""
        groups = ", ".join(principal.groups[:10]) or "none"
        return (
            f"No policy lets {principal.name} (groups: {groups}) use target {target.name} with profile {profile}; "
            f"an operator adds one whose subjects and targets match and that has an allow or ask rule"
        )

    def decide(self, facts: FactRecord, trace: Trace | None = None) -> Verdict:
        """Judge. Total and pure: never raises. With `trace`, every rule is noted (for explanations)."""
        try:
            return decide(self.view(facts.principal, facts.target, facts.profile), facts, trace)
        except Exception as error:  # noqa: BLE001 - whatever is wrong with the facts, the answer is a denial
            reason = f"The policy could not be evaluated ({type(error).__name__}), so the statement is refused"
            return Verdict(
                outcome=DENY, code="unavailable", reason=reason, snapshot=self._id, reads=frozenset({"text"})
            )

    def duties(self, principal: Principal, target: Target, profile: str) -> Obligations:
        """Return what holds for a whole session there: detectors, redact_unknown_calls, read_only, record."""
        return self.view(principal, target, profile).session_duties

    def word_for(self, protocol: str, kind: str) -> str:
        """Return the selector word that speaks of a kind of object in a protocol, else an empty string."""
        for word, kinds in self._words.get(protocol, {}).items():
            if kind in kinds:
                return word
        return ""

    def view(self, principal: Principal, target: Target, profile: str) -> View:
        """Return the prepared view; kept per principal and target object, so that a new token gets a new one."""
        key = (id(principal), id(target), profile)
        found = self._views.get(key)
        if found is not None and found.principal is principal and found.target is target:
            return found
        made = self._view(principal, target, profile)
        if len(self._views) >= POLICY_VIEWS:
            self._views.clear()
        self._views[key] = made
        return made

    def _view(self, principal: Principal, target: Target, profile: str) -> View:
        view = View(self._id, principal, target, profile)
        view.fixed = principal_data(principal, target, profile)
        view.guardrails, view.doors = self._guards.get(target.protocol, ({}, {}))
        parts = _Parts()
        for policy in self.policies:
            if not policy.observe and policy.targets.match_target(target):
                parts.guarded.extend(policy.column_masks)
            if policy.targets.match(target, profile):
                parts.add(policy, policy.subjects.match(principal, view.fixed), target.protocol)
        view.rules, view.observed = tuple(parts.rules), tuple(parts.observed)
        view.column_masks, view.guarded_masks = tuple(parts.masks), tuple(parts.guarded)
        view.detect = tuple(parts.detect.values())
        view.read_only, view.may_enter = parts.read_only, parts.may_enter
        view.finish()
        return view


class _Parts:
    """What the matching policies add up to."""

    def __init__(self) -> None:
        self.rules: list[Rule] = []
        self.observed: list[Rule] = []
        self.masks: list[ColumnMask] = []
        self.guarded: list[ColumnMask] = []
        self.detect: dict[tuple[str, object], DetectDuty] = {}
        self.read_only = False
        self.may_enter = False

    def add(self, policy: Policy, matched: int, protocol: str) -> None:
        """Add a policy whose targets match; one whose subjects erred gives only what is stricter."""
        if matched == NO:
            return
        spoken = [rule for rule in policy.rules if protocol in rule.protocols]
        rules = [rule for rule in spoken if matched != ERROR or rule.kind != ALLOW]
        if policy.observe:
            self.observed.extend(rules)
            return
        self.rules.extend(rules)
        self.may_enter = self.may_enter or (matched == YES and any(rule.kind != DENY for rule in rules))
        self.masks.extend(policy.column_masks)
        for duty in policy.detect:
            self._detect(duty)
        self.read_only = self.read_only or policy.read_only

    def _detect(self, duty: DetectDuty) -> None:
        """Keep the strictest mask of each detector, and the stricter word on functions."""
        key = (duty.detector, duty.definition)
        earlier = self.detect.get(key)
        if earlier is None:
            self.detect[key] = duty
            return
        self.detect[key] = DetectDuty(
            detector=duty.detector,
            duty=strictest(earlier.duty, duty.duty),
            transformed=DENY if DENY in (earlier.transformed, duty.transformed) else ALLOW,
            definition=duty.definition,
        )
