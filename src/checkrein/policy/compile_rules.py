"""Rules of one policy to compiled rules, held against the protocols' vocabularies."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Final

from checkrein.core.spec import ProtocolSpec, SelectorVocabulary
from checkrein.core.verdict import ALLOW, ASK, DENY, AskTerms
from checkrein.policy.conditions import Regex
from checkrein.policy.documents import Document
from checkrein.policy.model import Approvers, Grant, MaskModel, PolicyModel, RuleModel, Selector, Wait
from checkrein.policy.names import ColumnPattern, NamePattern
from checkrein.policy.report import Report
from checkrein.policy.rules import Rule
from checkrein.policy.suggest import suggestion
from checkrein.policy.yamltree import Path

_STRICT: Final = {DENY: 0, ASK: 1, ALLOW: 2}
_OWN_WORDS: Final = ("verbs", "columns", "when", "matches", "patterns", "incomplete", "output")


def compile_rules(
    document: Document[PolicyModel], specs: Mapping[str, ProtocolSpec], report: Report
) -> tuple[Rule, ...]:
    """Return the compiled rules, one for each protocol of `specs` whose vocabulary has the rule's words."""
    policy = document.value.metadata.name
    models = document.value.spec.rules
    out: list[Rule] = []
    for index, model in enumerate(models):
        path: Path = ("rules", index, model.kind)
        _check_selector(model, path, specs, report)
        terms = _terms(policy, model, ("rules", index), report)
        template = _template(policy, model, path, report)
        for name, spec in specs.items():
            rule = _for_protocol(template, model.selector, spec.vocabulary, path, report)
            if rule is not None:
                rule.protocols = frozenset({name})
                rule.terms = terms
                out.append(rule)
    _check_names(models, report)
    _check_shadows(models, report)
    return tuple(out)


def _check_selector(model: RuleModel, path: Path, specs: Mapping[str, ProtocolSpec], report: Report) -> None:
    """Report words that no addressed protocol knows, and combinations that cannot mean anything."""
    selector = model.selector
    vocabularies = [spec.vocabulary for spec in specs.values()]
    words = {word for vocabulary in vocabularies for word in vocabulary.objects}
    for word in selector.objects:
        if word not in words:
            report.error((*path, word), f"unknown selector {word}{suggestion(word, [*words, *_OWN_WORDS])}")
    verbs = {verb for vocabulary in vocabularies for verb in vocabulary.verbs}
    for index, verb in enumerate(selector.verbs or ()):
        if verb != "*" and verb not in verbs:
            report.error((*path, "verbs", index), f"unknown verb {verb}{suggestion(verb, verbs)}")
    if selector.columns and not any(vocabulary.columns for vocabulary in vocabularies):
        report.error((*path, "columns"), "columns have no meaning for the protocols of this policy's targets")
    for message in _misfits(model.kind, selector):
        report.error(path, message)
    if model.kind == ALLOW and selector.incomplete and selector.matches is None:
        report.warn(path, "this allows every statement that cannot be read; narrow it by matches")
    _warn_short_names(selector, path, vocabularies, report)


def _misfits(kind: str, selector: Selector) -> list[str]:
    texts = selector.matches or selector.patterns or selector.when or selector.incomplete
    effects = selector.verbs or selector.columns or selector.objects
    out: list[str] = []
    if not texts and not effects:
        out.append('a rule selects something; verbs: ["*"] stands for everything')
    if selector.incomplete and effects:
        out.append("a conceded statement has no effects that can be relied on: with incomplete, select by matches")
    if kind == ALLOW and selector.patterns:
        out.append("patterns find a part of a text and are for deny and ask; an allow uses matches, the whole text")
    if selector.output and (kind != ALLOW or "functions" not in selector.objects):
        out.append("output belongs to an allow of functions")
    if len(selector.objects) > 1:
        out.append(f"{' and '.join(selector.objects)} never name the same object; write one rule for each")
    if selector.columns and "functions" in selector.objects:
        out.append("functions have no columns; write two rules")
    return out


def _warn_short_names(selector: Selector, path: Path, vocabularies: list[SelectorVocabulary], report: Report) -> None:
    """Warn of `touches: [orders]`: where tables have columns their names have a schema."""
    if not any(vocabulary.columns for vocabulary in vocabularies):
        return
    for index, name in enumerate(selector.objects.get("touches", ())):
        if "." not in name and name != "*":
            report.warn((*path, "touches", index), f"{name} has no schema; tables are named schema.table")


def _template(policy: str, model: RuleModel, path: Path, report: Report) -> Rule:
    """Compile what does not depend on a protocol."""
    selector = model.selector
    rule = Rule(policy, model.name, model.kind)
    if selector.verbs and "*" not in selector.verbs:
        rule.verbs = frozenset(selector.verbs)
    rule.columns = report.all_made((*path, "columns"), ColumnPattern, selector.columns or ())
    rule.when = report.condition((*path, "when"), selector.when)
    rule.matches = report.regex((*path, "matches"), selector.matches)
    rule.patterns = report.all_made((*path, "patterns"), Regex, selector.patterns or ())
    rule.incomplete = selector.incomplete
    rule.output_clear = selector.output == "clear"
    rule.message, rule.instead = model.message, model.instead
    texts = frozenset({"text"}) if selector.matches or selector.patterns else frozenset()
    rule.reads = texts | (rule.when.reads if rule.when is not None else frozenset())
    for word, names in selector.objects.items():
        report.all_made((*path, word), NamePattern, names)
    return rule


def _for_protocol(
    template: Rule, selector: Selector, vocabulary: SelectorVocabulary, path: Path, report: Report
) -> Rule | None:
    """Return the rule as it reads in one protocol's words, None where it has none of them."""
    if any(word not in vocabulary.objects for word in selector.objects):
        return None
    if template.verbs is not None and not template.verbs & vocabulary.verbs:
        return None
    if selector.columns and not vocabulary.columns:
        return None
    rule = template.copy()
    silent = Report(report.document, [])  # bad names are reported once, by the template
    rule.objects = tuple(
        (vocabulary.objects[word], silent.all_made((*path, word), NamePattern, names))
        for word, names in selector.objects.items()
    )
    every = frozenset().union(*vocabulary.objects.values()) if vocabulary.objects else frozenset()
    rule.column_kinds = vocabulary.objects.get("touches", every)
    return rule


def _terms(policy: str, model: RuleModel, path: Path, report: Report) -> AskTerms | None:
    if model.approvers is None or model.kind != ASK:
        return None
    grant = model.grant or Grant()
    _check_grant(grant, (*path, "grant"), report)
    digest = hashlib.sha256(f"{policy}\0{model.model_dump_json(by_alias=True)}".encode()).hexdigest()
    times = model.wait or Wait()
    _check_count(model.approvers, (*path, "approvers", "count"), report)
    return AskTerms(
        policy=policy,
        rule=model.name,
        approvers=model.approvers.groups,
        hold=times.hold,
        expire=times.expire,
        session_only=grant.session,
        message=model.message,
        digest=digest,
    )


def _check_grant(grant: Grant, path: Path, report: Report) -> None:
    if grant.for_ is not None:
        report.not_built((*path, "for"), "a grant by time (for)")
    if grant.shape:
        report.not_built((*path, "shape"), "a grant by shape")
    if grant.uses != 1:
        report.not_built((*path, "uses"), "a grant of several uses")


def inference_terms(policy: str, index: int, mask: MaskModel, report: Report) -> AskTerms | None:
    """Return who is asked when a masked column is used in a place from which it could be inferred, None when nobody."""
    if mask.inference != ASK or mask.approvers is None:
        return None
    _check_count(mask.approvers, ("masks", index, "approvers", "count"), report)
    times = mask.wait or Wait()
    return AskTerms(
        policy=policy,
        rule=f"mask-{index + 1}",
        approvers=mask.approvers.groups,
        hold=times.hold,
        expire=times.expire,
        digest=hashlib.sha256(f"{policy}\0{mask.model_dump_json(by_alias=True)}".encode()).hexdigest(),
    )


def _check_count(approvers: Approvers, path: Path, report: Report) -> None:
    if approvers.count != 1:
        report.not_built(path, "approval by several people (count)")


def _check_names(models: tuple[RuleModel, ...], report: Report) -> None:
    seen: dict[str, int] = {}
    for index, model in enumerate(models):
        if seen.setdefault(model.name, index) != index:
            report.error(("rules", index, "name"), f"rule {model.name} is already in this policy")


def _check_shadows(models: tuple[RuleModel, ...], report: Report) -> None:
    """Report rules that can never decide anything: the same selectors as an earlier one, one of them unconditional."""
    seen: dict[str, list[RuleModel]] = {}
    for index, model in enumerate(models):
        selectors = model.selector.model_dump_json(exclude={"when"})
        for earlier in seen.setdefault(selectors, []):
            dead = _dead(earlier, model)
            if dead:
                report.error(("rules", index), f"{model.name} has the same selectors as {earlier.name}: {dead}")
                break
        seen[selectors].append(model)


def _asks_others(earlier: RuleModel, later: RuleModel) -> bool:
    """Whether the later of two asks adds something: every asking rule's approvers are needed."""
    first, second = earlier.approvers, later.approvers
    if first is None or second is None:
        return first is not second
    return (frozenset(first.groups), first.count) != (frozenset(second.groups), second.count)


def _dead(earlier: RuleModel, later: RuleModel) -> str:
    """Return which of two rules with the same selectors never decides, else an empty string."""
    first, second = _STRICT[earlier.kind], _STRICT[later.kind]
    if earlier.kind == later.kind == ASK and _asks_others(earlier, later):
        return ""
    if earlier.selector.when is None and first <= second:
        return f"{later.name} never decides"
    if later.selector.when is None and second < first:
        return f"{earlier.name} never decides"
    return ""
