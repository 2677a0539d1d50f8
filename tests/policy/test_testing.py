"""The runner of policy tests: raw input through the protocol's own reading, comparison, coverage."""

from __future__ import annotations

import pytest

from checkrein.policy.compile import compile_directory
from checkrein.policy.load import load_directory
from checkrein.policy.testing import Bench, Results
from tests.policy.kit import DETECTORS, SPECS, TARGET, policy

POLICY = policy(
    "targets: {labels: {env: prod}, protocols: [toy]}\n"
    "rules:\n"
    "  - {name: read, allow: {verbs: [select], touches: [public.t]}}\n"
    "  - {name: bulk, deny: {verbs: [delete]}, instead: one by one}\n"
    "  - {name: person, ask: {verbs: [insert]}, approvers: {groups: [oncall]}}\n"
    "  - {name: param, deny: {verbs: [update], when: \"statement.parameters[0] == 'x'\"}}\n"
    "  - {name: update, allow: {verbs: [update]}}\n"
    "masks:\n  - {columns: [public.t.ssn], with: partial, keep_last: 4}\n"
)
HEAD = """apiVersion: checkrein/v1
kind: PolicyTest
as: {subject: bot, groups: [agents]}
target: orders
schema: {public.t: [id, ssn]}
cases:
"""


def run(cases: str, head: str = HEAD, targets: tuple = (), live: object = None) -> Results:
    """Run cases, one flow mapping a line."""
    lines = "".join(f"  - {{{line}}}\n" for line in cases.strip().splitlines())
    files = [("p.yaml", POLICY), ("p.test.yaml", head + lines)]
    compiled = compile_directory(files, SPECS, None, DETECTORS)
    return Bench(compiled.snapshot, compiled.documents, SPECS, targets, live).run(load_directory(files).tests)


GOOD = """
name: reads, input: "select public.t id,ssn", expect: {verdict: allow, rule: read, policy: p, masks: {ssn: partial}}
name: no masks, input: "select public.t id", expect: {verdict: allow, masks: {}}
name: bulk, input: "delete public.t", expect: {verdict: deny, rule: bulk, instead: one by one, code: denied}
name: other, input: "select public.u id", expect: {verdict: deny, code: not_allowed}
name: asks, input: "insert public.t", expect: {verdict: ask, rule: person}
name: strictest, input: "select public.t id;delete public.t", expect: {verdict: deny}
name: conceded, input: "?", expect: {verdict: deny, code: conceded}
name: bad parameter, input: "update public.t", parameters: [x], expect: {verdict: deny, rule: param}
name: good parameter, input: "update public.t", parameters: [y], expect: {verdict: allow}
name: stranger, as: {subject: eve}, input: "select public.t id", expect: {verdict: deny}
"""


def test_good_cases_and_coverage():
    """Cases that hold pass; coverage counts the cases that each rule matched, also those that none reached."""
    results = run(GOOD)
    assert results.failed == []
    assert len(results.outcomes) == 10
    assert results.coverage == {"p/read": 3, "p/bulk": 2, "p/person": 1, "p/param": 1, "p/update": 2}
    assert results.summary()["passed"] == 10
    assert results.summary()["unnoticed_mutations"] is None


@pytest.mark.parametrize(
    ("case", "why"),
    [
        ('name: x, input: "select public.t id", expect: {verdict: deny}', "expected deny, got allow by p/read"),
        ('name: x, input: "delete public.t", expect: {verdict: deny, rule: read}', "expected rule 'read', got 'bulk'"),
        ('name: x, input: "delete public.t", expect: {verdict: deny, instead: no}', "expected instead 'no'"),
        ('name: x, input: "select public.t ssn", expect: {verdict: allow, masks: {}}', "got {'ssn': 'partial'}"),
        ('name: x, input: "select public.t id", expect: {verdict: allow, masks: {id: hash}}', "expected masks"),
        ('name: x, as: {subject: eve}, input: "select public.t id", expect: {verdict: allow}', "login is refused"),
        ('name: x, profile: admin, input: "select public.t id", expect: {verdict: allow}', "login is refused"),
    ],
)
def test_bad_cases(case, why):
    """A case that does not hold fails with what was got, where it stands."""
    (failed,) = run(case).failed
    assert why in failed.why
    assert (failed.file, failed.line) == ("p.test.yaml", 7)


def test_targets():
    """A configured target is used as it is; without one the target carries the labels that policies select by."""
    case = 'name: x, input: "select public.t id", expect: {verdict: allow}'
    assert run(case).failed == []
    assert run(case, targets=(TARGET,)).failed == []
    described = HEAD.replace("target: orders", "target: {name: o, protocol: toy, labels: {env: dev}}")
    assert "login is refused" in run(case, described).failed[0].why
    unknown = HEAD.replace("target: orders", "target: {name: o, protocol: nope}")
    assert "unknown protocol nope" in run(case, unknown).failed[0].why


def test_live_catalogs():
    """With a live catalog the schema of the file is not looked at."""
    case = 'name: x, input: "select public.t id", expect: {verdict: allow, masks: {}}'
    seen = []
    results = run(case, targets=(TARGET,), live=lambda target, profile: seen.append((target.name, profile)) or {})
    assert results.failed == []
    assert seen == [("orders", "default")]
