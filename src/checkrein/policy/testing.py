"""Running `*.test.yaml`: raw input read by the protocol itself, judged by the compiled set, compared, and counted."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec

from checkrein.core.errors import CheckreinError, Conceded
from checkrein.core.facts import FactRecord, SessionFacts
from checkrein.core.identity import Actor, Principal
from checkrein.core.spec import ProtocolSpec
from checkrein.core.statement import Statement
from checkrein.core.target import Profile, Target
from checkrein.core.verdict import ASK, DENY, Verdict
from checkrein.policy.cases import AsModel, CaseModel, PolicyTestModel, TestTarget
from checkrein.policy.documents import Document
from checkrein.policy.explain import output_masks
from checkrein.policy.model import PolicyModel
from checkrein.policy.snapshot import Snapshot
from checkrein.policy.trace import Trace

Live = Callable[[Target, str], Any]
"""Fetches the live catalog of a target and profile. Raises CheckreinError."""

_ORDER: Final = {DENY: 0, ASK: 1}


class Outcome(msgspec.Struct, frozen=True):
    """How one case went: `why` is empty when it passed; `line` is where the case stands."""

    file: str
    line: int
    case: str
    why: str = ""


class Results(msgspec.Struct):
    """Every outcome, and how often each rule (`policy/rule`) matched."""

    outcomes: list[Outcome]
    coverage: dict[str, int]

    @property
    def failed(self) -> list[Outcome]:
        """The cases that did not go as expected."""
        return [one for one in self.outcomes if one.why]

    def summary(self) -> dict[str, Any]:
        """Return `{passed, failed, coverage, unnoticed_mutations, failures}` as plain JSON values."""
        failed = self.failed
        return {
            "passed": len(self.outcomes) - len(failed),
            "failed": len(failed),
            "coverage": self.coverage,
            "unnoticed_mutations": None,
            "failures": [msgspec.structs.asdict(one) for one in failed],
        }


class Bench:
    """What tests run on: the compiled set, protocols, configured targets, and live catalogs when asked for."""

    def __init__(
        self,
        snapshot: Snapshot,
        policies: Sequence[Document[PolicyModel]],
        specs: Mapping[str, ProtocolSpec],
        targets: Iterable[Target] = (),
        live: Live | None = None,
    ) -> None:
        self.snapshot = snapshot
        self.policies = policies
        self.specs = specs
        self.targets = {target.name: target for target in targets}
        self.live = live

    def run(self, documents: Iterable[Document[PolicyTestModel]]) -> Results:
        """Run every case of every document."""
        results = Results([], {})
        for policy in self.policies:
            for rule in policy.value.spec.rules:
                results.coverage[f"{policy.value.metadata.name}/{rule.name}"] = 0
        for document in documents:
            self._document(document, results)
        return results

    def _document(self, document: Document[PolicyTestModel], results: Results) -> None:
        model = document.value
        catalogs: dict[str, Any] = {}
        for index, case in enumerate(model.cases):
            line = document.where(("cases", index))[0]
            why = self._guarded_case(model, case, catalogs, results)
            results.outcomes.append(Outcome(document.file, line, case.name, why))

    def _guarded_case(self, model: PolicyTestModel, case: CaseModel, catalogs: dict[str, Any], results: Results) -> str:
        try:
            return self._case(model, case, catalogs, results)
        except CheckreinError as error:
            return str(error)
        except ValueError as error:
            return f"the schema or the input cannot be used: {error}"

    def _case(self, model: PolicyTestModel, case: CaseModel, catalogs: dict[str, Any], results: Results) -> str:
        target = self.target(model.target)
        profile = case.profile or model.profile
        spec = self.specs[target.protocol]
        if profile not in catalogs:
            catalogs[profile] = self._catalog(spec, model, target, profile)
        statements = read_input(spec, case.input, catalogs[profile])
        if not statements:
            return "the input holds no statement"
        principal = principal_of(case.as_ or model.as_)
        refused = self.snapshot.may_enter(principal, target, profile)
        if refused:
            return self._entry(case, refused)
        judged = []
        for statement in statements:
            trace = Trace()
            facts = fact_record(principal, target, profile, statement, case.parameters)
            judged.append((statement, self.snapshot.decide(facts, trace)))
            for key in {f"{one.policy}/{one.rule}" for one in trace.noted if one.matched}:
                results.coverage[key] = results.coverage.get(key, 0) + 1
        return compare(case, judged)

    @staticmethod
    def _entry(case: CaseModel, refused: str) -> str:
        """A principal that may not log in is denied everything; nothing else can be expected of it."""
        if case.expect.verdict == DENY and case.expect.rule is None and case.expect.instead is None:
            return ""
        return f"login is refused: {refused}"

    def _catalog(self, spec: ProtocolSpec, model: PolicyTestModel, target: Target, profile: str) -> Any:
        if self.live is not None:
            return self.live(target, profile)
        if spec.catalog_of is None:
            return None
        return spec.catalog_of({name: list(columns) for name, columns in model.schema_.items()})

    def target(self, wanted: str | TestTarget) -> Target:
        """Return the configured target of that name, else one that carries what the policies select by.

        Raises CheckreinError when its protocol cannot be told.
        """
        if isinstance(wanted, str):
            found = self.targets.get(wanted)
            if found is not None:
                return found
            wanted = TestTarget(name=wanted, labels=self._selected_labels())
        protocol = wanted.protocol or self._only_protocol()
        if protocol not in self.specs:
            raise CheckreinError(f"target {wanted.name}: unknown protocol {protocol}")
        return Target(
            name=wanted.name,
            protocol=protocol,
            host="",
            port=0,
            labels=wanted.labels,
            unguarded=wanted.unguarded,
            housekeeping=wanted.housekeeping,
            profiles={"default": Profile("default", "")},
        )

    def _selected_labels(self) -> dict[str, str]:
        """Return the labels that the policies select by, the first value of each."""
        labels: dict[str, str] = {}
        for policy in self.policies:
            for key, value in (policy.value.spec.targets.labels or {}).items():
                labels.setdefault(key, (value if isinstance(value, str) else value[0]).replace("*", "x"))
        return labels

    def _only_protocol(self) -> str:
        named = {name for policy in self.policies for name in policy.value.spec.targets.protocols or ()}
        chosen = named or set(self.specs)
        if len(chosen) != 1:
            raise CheckreinError("the target's protocol cannot be told: write target: {name: ..., protocol: ...}")
        return chosen.pop()


def read_input(spec: ProtocolSpec, text: str, catalog: Any) -> list[Statement]:
    """Read raw input as the protocol would. An input that cannot be read at all is one conceded statement."""
    if spec.read is None:
        raise CheckreinError(f"{spec.name} cannot read inputs yet")
    try:
        return list(spec.read(text, catalog))
    except Conceded as error:
        return [Statement(protocol=spec.name, text=text, complete=False, conceded=str(error))]


def principal_of(model: AsModel) -> Principal:
    """Return the principal of a test; a group is known by its plain name and as `issuer:group`."""
    groups = dict.fromkeys([*model.groups, *[f"{model.issuer}:{g}" for g in model.groups if ":" not in g]])
    actors = tuple(
        Actor(name.split(":", 1)[1], name.split(":", 1)[0]) if ":" in name else Actor(name, model.issuer)
        for name in model.actors
    )
    return Principal(
        subject=model.subject, issuer=model.issuer, groups=tuple(groups), actors=actors, claims=dict(model.claims)
    )


def fact_record(
    principal: Principal,
    target: Target,
    profile: str,
    statement: Statement,
    parameters: Sequence[str | None] | None = None,
    now: float = 0.0,
) -> FactRecord:
    """Return the record of a statement that runs outside any session, with the parameters given: none unless said."""
    known = statement.with_parameters(tuple(parameters or ()), statement.parameters_read)
    session = SessionFacts("test", target.name, profile)
    return FactRecord(principal, target, profile, known, session, now, {"statements": 1, "refused": 0})


def strictest_of(judged: list[tuple[Statement, Verdict]]) -> tuple[Statement, Verdict]:
    """Return the statement of a request that decides it: one refused refuses all."""
    return min(judged, key=lambda pair: _ORDER.get(pair[1].outcome, 2))


def compare(case: CaseModel, judged: list[tuple[Statement, Verdict]]) -> str:
    """Return what differs from what the case expects, an empty string when nothing does."""
    statement, verdict = strictest_of(judged)
    expect = case.expect
    if verdict.outcome != expect.verdict:
        by = f" by {verdict.policy}/{verdict.rule}" if verdict.rule else ""
        return f"expected {expect.verdict}, got {verdict.outcome}{by}: {verdict.reason}"
    for word in ("rule", "policy", "code", "reason", "instead"):
        wanted, got = getattr(expect, word), getattr(verdict, word)
        if wanted is not None and wanted != got:
            return f"expected {word} {wanted!r}, got {got!r}"
    if expect.masks is not None:
        masks = output_masks(statement, verdict)
        if masks != expect.masks:
            return f"expected masks {expect.masks}, got {masks}"
    return ""
