"""Documents to a Snapshot: everything that can be known before the first statement is checked here, all at once."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence

from checkrein.core.errors import ConfigurationError, Problem
from checkrein.core.spec import ProtocolSpec
from checkrein.core.target import Target
from checkrein.policy.compile_masks import CheckDetector, compile_masks
from checkrein.policy.compile_rules import compile_rules
from checkrein.policy.documents import Document
from checkrein.policy.load import load_directory
from checkrein.policy.model import PolicyModel, PolicySpec, Subjects, Targets
from checkrein.policy.names import glob
from checkrein.policy.report import Report
from checkrein.policy.rules import Policy, SubjectMatcher, TargetMatcher
from checkrein.policy.snapshot import Snapshot
from checkrein.policy.suggest import suggestion

Files = Sequence[tuple[str, str]]


class Compiled:
    """A snapshot and what it warns of."""

    __slots__ = ("documents", "snapshot", "warnings")

    def __init__(
        self, snapshot: Snapshot, documents: Sequence[Document[PolicyModel]], warnings: tuple[Problem, ...]
    ) -> None:
        self.snapshot = snapshot
        self.documents = documents
        self.warnings = warnings


def compile_directory(
    files: Files,
    specs: Mapping[str, ProtocolSpec],
    targets: Sequence[Target] | None,
    known_detectors: Collection[str],
    check_detector: CheckDetector = lambda definition: "",
) -> Compiled:
    """Read and compile (name, text) pairs. `targets` is None where no configuration is at hand.

    `check_detector` says what masking finds wrong with a detector that a policy defines.

    Raises ConfigurationError with every problem of every file.
    """
    loaded = load_directory(files)
    problems = list(loaded.problems)
    known = _Known(known_detectors, check_detector)
    policies = [_policy(document, specs, targets, known, problems) for document in loaded.policies]
    if any(problem.severity == "error" for problem in problems):
        raise ConfigurationError(tuple(problems))
    snapshot = Snapshot(digest(loaded.policies), tuple(policies), specs)
    return Compiled(snapshot, tuple(loaded.policies), tuple(problems))


class _Known:
    """What masking knows: names of detectors, and what is wrong with a definition."""

    def __init__(self, names: Collection[str], check: CheckDetector) -> None:
        self.names = names
        self.check = check


def digest(documents: Sequence[Document[PolicyModel]]) -> str:
    """Return the identity of a set: SHA-256 over the policies in the order of their names, comments left out."""
    hasher = hashlib.sha256()
    for document in sorted(documents, key=lambda one: one.value.metadata.name):
        hasher.update(document.value.model_dump_json(by_alias=True).encode() + b"\n")
    return hasher.hexdigest()


def _policy(
    document: Document[PolicyModel],
    specs: Mapping[str, ProtocolSpec],
    targets: Sequence[Target] | None,
    known: _Known,
    problems: list[Problem],
) -> Policy:
    report = Report(document, problems)
    spec = document.value.spec
    policy = Policy(document.value.metadata.name)
    policy.observe = spec.mode == "observe"
    policy.targets = _targets(spec.targets)
    policy.subjects = _subjects(spec.subjects, report)
    addressed = _addressed(spec.targets, policy.targets, specs, targets, report)
    policy.rules = compile_rules(document, addressed or specs, report)
    policy.column_masks, policy.detect = compile_masks(document, addressed, known.names, report, known.check)
    policy.read_only = spec.session is not None and spec.session.read_only
    _refuse_unbuilt(spec, report)
    if policy.observe and (spec.masks or spec.session):
        report.warn(("mode",), "an observed policy adds nothing: its masks and session duties do not hold")
    return policy


def _refuse_unbuilt(spec: PolicySpec, report: Report) -> None:
    """Refuse by name what this version cannot do: never accepted and ignored."""
    if spec.limits is not None:
        for key in spec.limits.model_fields_set:
            report.not_built(("limits", key), f"limits.{key}")
        if not spec.limits.model_fields_set:
            report.not_built(("limits",), "limits")
    session = spec.session
    if session is not None and session.max is not None:
        report.not_built(("session", "max"), "session.max (a target's max_session is)")
    if session is not None and session.record != "full":
        report.not_built(("session", "record"), f"session.record: {session.record}")


def _targets(model: Targets) -> TargetMatcher:
    matcher = TargetMatcher()
    matcher.names = model.names or ()
    matcher.protocols = model.protocols or ()
    matcher.profiles = model.profiles
    matcher.labels = {key: (value,) if isinstance(value, str) else value for key, value in (model.labels or {}).items()}
    return matcher


def _subjects(model: Subjects, report: Report) -> SubjectMatcher:
    matcher = SubjectMatcher()
    matcher.groups = model.groups or ()
    matcher.subjects = model.subjects or ()
    matcher.issuers = model.issuers or ()
    matcher.actors = model.actors or ()
    matcher.claims = {key: v if isinstance(v, tuple) else (v,) for key, v in (model.claims or {}).items()}
    matcher.when = report.condition(("subjects", "when"), model.when, subject=True)
    return matcher


def _addressed(
    model: Targets,
    matcher: TargetMatcher,
    specs: Mapping[str, ProtocolSpec],
    targets: Sequence[Target] | None,
    report: Report,
) -> dict[str, ProtocolSpec]:
    """Return the protocols that a policy certainly speaks to: by its words, or by the targets that it matches."""
    for index, name in enumerate(model.protocols or ()):
        if name not in specs:
            report.error(("targets", "protocols", index), f"unknown protocol {name}{suggestion(name, specs)}")
    matched = [target for target in targets or () if matcher.match_target(target)]
    if targets is not None:
        _warn_unmatched(model, matched, report)
    named = {name for name in model.protocols or () if name in specs} or {t.protocol for t in matched}
    return {name: spec for name, spec in specs.items() if name in named}


def _warn_unmatched(model: Targets, matched: list[Target], report: Report) -> None:
    if not matched:
        report.warn(("targets",), "these selectors match no configured target")
        return
    profiles = {profile for target in matched for profile in target.profiles}
    for index, pattern in enumerate(model.profiles):
        if profiles and not any(glob(pattern, profile) for profile in profiles):
            report.warn(("targets", "profiles", index), f"no matched target has a profile {pattern}")
