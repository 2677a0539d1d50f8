"""Compiled policies: rules, masks and who and what they speak of. Made by `compile`, read by `view` and `engine`."""

from __future__ import annotations

from typing import Any, Final

from checkrein.core.identity import Actor, Principal
from checkrein.core.statement import Effect
from checkrein.core.target import Target
from checkrein.core.verdict import ALLOW, ASK, DENY, AskTerms, DetectDuty, MaskDuty
from checkrein.policy.conditions import Condition, Regex
from checkrein.policy.names import ColumnPattern, NamePattern, glob, parts_of

NO: Final = 0
YES: Final = 1
ERROR: Final = 2


class Rule:
    """One rule. `verbs` is None for any; `objects` pairs the effect kinds a word speaks of with its patterns."""

    __slots__ = (
        "column_kinds",
        "columns",
        "incomplete",
        "instead",
        "kind",
        "matches",
        "message",
        "name",
        "objects",
        "output_clear",
        "patterns",
        "policy",
        "protocols",
        "reads",
        "terms",
        "verbs",
        "when",
    )

    def __init__(self, policy: str, name: str, kind: str) -> None:
        self.policy = policy
        self.name = name
        self.kind = kind
        self.protocols: frozenset[str] = frozenset()
        self.verbs: frozenset[str] | None = None
        self.objects: tuple[tuple[frozenset[str], tuple[NamePattern, ...]], ...] = ()
        self.columns: tuple[ColumnPattern, ...] = ()
        self.column_kinds: frozenset[str] = frozenset()
        self.when: Condition | None = None
        self.matches: Regex | None = None
        self.patterns: tuple[Regex, ...] = ()
        self.incomplete = False
        self.output_clear = False
        self.message = ""
        self.instead = ""
        self.terms: AskTerms | None = None
        self.reads: frozenset[str] = frozenset()

    def copy(self) -> Rule:
        """Return another rule with the same parts: the same words in another protocol's vocabulary."""
        other = Rule(self.policy, self.name, self.kind)
        other.protocols, other.verbs, other.objects = self.protocols, self.verbs, self.objects
        other.columns, other.column_kinds = self.columns, self.column_kinds
        other.when, other.matches, other.patterns = self.when, self.matches, self.patterns
        other.incomplete, other.output_clear = self.incomplete, self.output_clear
        other.message, other.instead = self.message, self.instead
        other.terms, other.reads = self.terms, self.reads
        return other

    @property
    def key(self) -> str:
        """`policy/rule`, as coverage and explanations name it."""
        return f"{self.policy}/{self.name}"

    def general(self) -> bool:
        """Whether it names neither verbs, objects, columns nor text: such an ask does not reach housekeeping."""
        return self.verbs is None and not self.objects and not self.columns and not self.matches and not self.patterns

    def verb_fits(self, effect: Effect) -> bool:
        """Whether its verbs include the effect's."""
        return self.verbs is None or effect.verb in self.verbs

    def object_fits(self, effect: Effect) -> bool:
        """Whether every object word it uses speaks of this effect and names its object."""
        for kinds, patterns in self.objects:
            if effect.kind not in kinds or not any(pattern.matches(effect.object) for pattern in patterns):
                return False
        return True

    def names_view(self, effect: Effect) -> bool:
        """Whether it names, without a wildcard, a view through which the effect reached its object (allow only)."""
        if self.kind != ALLOW or not effect.via or self.columns or len(self.objects) != 1:
            return False
        kinds, patterns = self.objects[0]
        return effect.kind in kinds and any(pattern.literal in effect.via for pattern in patterns if pattern.literal)

    def names_object(self, effect: Effect) -> bool:
        """Whether it names the effect's object without a wildcard: what opens a door."""
        if self.incomplete and self.matches is not None:
            return True
        return any(pattern.literal == effect.object for _, patterns in self.objects for pattern in patterns)

    def columns_on(self, effect: Effect) -> tuple[ColumnPattern, ...]:
        """Return its column patterns that speak of the effect's object."""
        if effect.kind not in self.column_kinds:
            return ()
        relation = parts_of(effect.object)
        return tuple(pattern for pattern in self.columns if pattern.on(relation))


class ColumnMask:
    """A mask on columns: patterns, the duty, and who is asked when its inference verdict is ask."""

    __slots__ = ("duty", "patterns", "terms")

    def __init__(self, patterns: tuple[ColumnPattern, ...], duty: MaskDuty, terms: AskTerms | None) -> None:
        self.patterns = patterns
        self.duty = duty
        self.terms = terms

    def names(self, relation: tuple[str, ...], column: str) -> bool:
        """Whether it masks this column."""
        return any(pattern.on(relation) and pattern.covers(column) for pattern in self.patterns)

    def touches(self, parts: tuple[str, ...]) -> bool:
        """Whether something it masks is, or is inside, the object with these parts."""
        return any(pattern.pattern.prefix_matches(parts) for pattern in self.patterns)


class SubjectMatcher:
    """Which principals a policy speaks of. A pattern with a colon is `issuer:subject`, else a subject of any issuer.

    Groups are told apart: a pattern without a colon speaks of plain ones, which an issuer must be allowed to assert.
    Where its `*` reaches over `issuer:` alone the match is an ERROR: it denies, asks and masks, and allows nothing.
    """

    __slots__ = ("actors", "claims", "groups", "issuers", "subjects", "when")

    def __init__(self) -> None:
        self.groups: tuple[str, ...] = ()
        self.subjects: tuple[str, ...] = ()
        self.issuers: tuple[str, ...] = ()
        self.actors: tuple[str, ...] = ()
        self.claims: dict[str, tuple[Any, ...]] = {}
        self.when: Condition | None = None

    def match(self, principal: Principal, data: dict[str, Any]) -> int:
        """Return NO, YES or ERROR; `data` are the variables of `conditions.principal_data`."""
        grouped = self._grouped(principal)
        if grouped == NO or not self._listed(principal) or not self._claimed(principal.claims):
            return NO
        if self.when is None:
            return grouped
        value = self.when.evaluate(data)
        return ERROR if value is None else grouped if value else NO

    def _grouped(self, principal: Principal) -> int:
        if not self.groups:
            return YES
        own = f"{principal.issuer}:"
        found = NO
        for pattern in self.groups:
            for group in principal.groups:
                if glob(pattern, group):
                    if pattern == "*" or ":" in pattern or not group.startswith(own):
                        return YES
                    found = ERROR
        return found

    def _listed(self, principal: Principal) -> bool:
        if self.issuers and not any(glob(p, principal.issuer) for p in self.issuers):
            return False
        if self.subjects and not any(_named(p, principal.issuer, principal.subject) for p in self.subjects):
            return False
        return not self.actors or any(_acts(p, principal.actors) for p in self.actors)

    def _claimed(self, claims: dict[str, Any]) -> bool:
        for claim, wanted in self.claims.items():
            value = claims.get(claim)
            values = value if isinstance(value, list | tuple) else (value,)
            if not any(type(one) is type(want) and one == want for one in values for want in wanted):
                return False
        return True


def _named(pattern: str, issuer: str, subject: str) -> bool:
    if ":" not in pattern:
        return glob(pattern, subject)
    wanted_issuer, wanted_subject = pattern.split(":", 1)
    return glob(wanted_issuer, issuer) and glob(wanted_subject, subject)


def _acts(pattern: str, actors: tuple[Actor, ...]) -> bool:
    return any(_named(pattern, actor.issuer, actor.subject) for actor in actors)


class TargetMatcher:
    """Which targets and credential profiles a policy speaks of."""

    __slots__ = ("labels", "names", "profiles", "protocols")

    def __init__(self) -> None:
        self.names: tuple[str, ...] = ()
        self.protocols: tuple[str, ...] = ()
        self.profiles: tuple[str, ...] = ("default",)
        self.labels: dict[str, tuple[str, ...]] = {}

    def match_target(self, target: Target) -> bool:
        """Whether the target matches, whatever the profile."""
        if self.names and not any(glob(p, target.name) for p in self.names):
            return False
        if self.protocols and target.protocol not in self.protocols:
            return False
        return all(
            key in target.labels and any(glob(p, target.labels[key]) for p in patterns)
            for key, patterns in self.labels.items()
        )

    def match(self, target: Target, profile: str) -> bool:
        """Whether target and profile match."""
        return any(glob(p, profile) for p in self.profiles) and self.match_target(target)


class Policy:
    """One compiled policy."""

    __slots__ = ("column_masks", "detect", "name", "observe", "read_only", "rules", "subjects", "targets")

    def __init__(self, name: str) -> None:
        self.name = name
        self.observe = False
        self.subjects = SubjectMatcher()
        self.targets = TargetMatcher()
        self.rules: tuple[Rule, ...] = ()
        self.column_masks: tuple[ColumnMask, ...] = ()
        self.detect: tuple[DetectDuty, ...] = ()
        self.read_only = False


_STRICTNESS: Final = {"null": 0, "redact": 1, "hash": 2, "token": 3, "partial": 4}
_VERDICTS: Final = {DENY: 0, ASK: 1, ALLOW: 2}


def _rank(duty: MaskDuty) -> tuple[int, int, bool, str]:
    kept = duty.keep_first + duty.keep_last
    return _STRICTNESS.get(duty.strategy, 0), kept, duty.joinable, duty.policy


def strictest(one: MaskDuty, other: MaskDuty) -> MaskDuty:
    """Return the stricter of two masks on one column, with the stricter of their inference verdicts."""
    winner = min(one, other, key=_rank)
    inference = min(one.inference, other.inference, key=lambda verdict: _VERDICTS.get(verdict, 0))
    if inference == winner.inference:
        return winner
    return MaskDuty(
        strategy=winner.strategy,
        keep_first=winner.keep_first,
        keep_last=winner.keep_last,
        text=winner.text,
        joinable=winner.joinable,
        inference=inference,
        policy=winner.policy,
    )
