"""Compiling: everything that can be known before the first statement is told, all at once, at its place."""

from __future__ import annotations

import pytest

from checkrein.core.errors import ConfigurationError
from checkrein.policy.compile import compile_directory
from tests.policy.kit import DETECTORS, HEAD, SPECS, TARGET, policy, rules


def told(*texts: str, targets: object = (TARGET,)) -> list[str]:
    """Return every problem and warning as `line:column: severity: message`."""
    files = [(f"{i}.yaml", text) for i, text in enumerate(texts)]
    try:
        return [str(w).split(":", 1)[1] for w in compile_directory(files, SPECS, targets, DETECTORS).warnings]
    except ConfigurationError as error:
        return [str(problem).split(":", 1)[1] for problem in error.problems]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("allow: {verbs: [selekt]}", "7:34: error: unknown verb selekt (did you mean select?)"),
        ("allow: {touchs: [a.b]}", "error: unknown selector touchs (did you mean touches?)"),
        ("allow: {verbs: [get], touches: [a.b]}", "error: unknown verb get"),
        ("allow: {touches: [a..b]}", "'a..b' is not a name"),
        ("allow: {columns: [ssn]}", "'ssn' names no column"),
        ("allow: {verbs: []}", "at least 1 item"),
        ("allow: {}", "a rule selects something"),
        ("allow: {incomplete: false}", "a rule selects something"),
        ("allow: {verbs: [select], when: statement.bound}", "undeclared reference to 'statement.bound'"),
        ("allow: {verbs: [select], when: statement.bounded_keys}", "a condition is a bool"),
        ("allow: {verbs: [select], when: 'true &&'}", "Syntax error"),
        ("allow: {matches: '('}", "not an RE2 expression"),
        ("deny: {patterns: ['(?=x)']}", "not an RE2 expression"),
        ("allow: {patterns: [x]}", "patterns find a part of a text"),
        ("allow: {incomplete: true, verbs: [select]}", "select by matches"),
        ("allow: {touches: [a.b], functions: [a.c]}", "never name the same object"),
        ("allow: {touches: [a.b], output: clear}", "output belongs to an allow of functions"),
        ("deny: {functions: [a.b], output: clear}", "output belongs to an allow of functions"),
        ("ask: {verbs: [select]}", "names its approvers"),
        ("ask: {verbs: [select]}, approvers: {groups: []}", "at least 1 item"),
        ("allow: {verbs: [select]}, wait: {hold: 5s}", "belong to ask rules"),
        ("allow: {verbs: [select]}, deny: {verbs: [select]}", "exactly one of allow, deny and ask"),
        ("ask: {verbs: [select]}, approvers: {groups: [g], count: 2}", "count) is not built yet"),
        ("ask: {verbs: [select]}, approvers: {groups: [g]}, grant: {for: 30m}", "(for) is not built yet"),
        ("ask: {verbs: [select]}, approvers: {groups: [g]}, grant: {shape: true}", "shape is not built yet"),
        ("ask: {verbs: [select]}, approvers: {groups: [g]}, grant: {uses: 2}", "uses is not built yet"),
        ("ask: {verbs: [select]}, approvers: {groups: [g]}, wait: {hold: 2h}", "expire must be longer than hold"),
        ("allow: {incomplete: true}", "warning: this allows every statement that cannot be read"),
        ("allow: {touches: [orders]}", "warning: orders has no schema"),
    ],
)
def test_rules(line, expected):
    """Each row: a rule and what is told of it."""
    assert any(expected in problem for problem in told(rules(line))), told(rules(line))


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("masks:\n  - {detect: [emial], with: redact}", "unknown detector emial (did you mean email?)"),
        ("masks:\n  - {detect: [email], with: blur}", "7:31: error: spec.masks[0].with"),
        ("masks:\n  - {with: redact}", "exactly one of columns and detect"),
        ("masks:\n  - {columns: [a.b.c], with: partial}", "partial needs keep_first or keep_last"),
        ("masks:\n  - {columns: [a.b.c], with: redact, keep_last: 4}", "belong to partial"),
        ("masks:\n  - {columns: [a.b.c], with: redact, joinable: true}", "joinable belongs to hash and token"),
        ("masks:\n  - {columns: [a.b.c], with: hash, text: x}", "text belongs to redact"),
        ("masks:\n  - {detect: [email], with: hash, inference: deny}", "inference belongs to masks on columns"),
        ("masks:\n  - {columns: [a.b.c], with: hash, transformed: deny}", "transformed belongs to masks on detectors"),
        ("masks:\n  - {columns: [a.b.c], with: hash, inference: ask}", "names its approvers"),
        ("targets: {protocols: [plain]}\nmasks:\n  - {columns: [a.b.c], with: redact}", "plain has no columns to mask"),
        (
            "targets: {protocols: [plain]}\nmasks:\n  - {detect: [email], with: hash}",
            "plain cannot carry the mask hash",
        ),
        ("targets: {protocols: [toi]}", "unknown protocol toi (did you mean toy?)"),
        ("targets: {names: [nothing]}", "warning: these selectors match no configured target"),
        ("targets: {profiles: [adm]}", "warning: no matched target has a profile adm"),
        ("detectors:\n  - {name: email, words: [x]}", "detector email exists already"),
        ("detectors:\n  - {name: own}", "exactly one of pattern and words"),
        ("detectors:\n  - {name: own, pattern: '('}", "not an RE2 expression"),
        ("detectors:\n  - {name: own, pattern: 'x', checksum: luhm}", "luhn or mod11 or mod97 (did you mean luhn?)"),
        ("limits: {rows_per_statement: 5, rows_changed: 50}", "limits.rows_changed is not built yet"),
        ("limits: {}", "limits is not built yet"),
        ("session: {max: 8h}", "session.max (a target's max_session is) is not built yet"),
        ("session: {record: summary}", "session.record: summary is not built yet"),
        ("mode: watch", "spec.mode"),
        ("rulez: []", "unknown key rulez (did you mean rules?)"),
        ("mode: observe\nsession: {read_only: true}", "warning: an observed policy adds nothing"),
    ],
)
def test_bodies(body, expected):
    """Each row: the body of a policy and what is told of it."""
    assert any(expected in problem for problem in told(policy(body))), told(policy(body))


@pytest.mark.parametrize(
    ("first", "second", "dead"),
    [
        ("allow: {verbs: [select]}", "allow: {verbs: [select]}", "r2"),
        ("allow: {verbs: [select]}", "allow: {verbs: [select], when: statement.bounded}", "r2"),
        ("allow: {verbs: [select]}", "deny: {verbs: [select]}", "r1"),
        ("deny: {verbs: [select]}", "allow: {verbs: [select]}", "r2"),
        ("deny: {verbs: [select]}", "allow: {verbs: [select], when: statement.bounded}", "r2"),
        ("allow: {verbs: [select]}", "deny: {verbs: [select], when: statement.bounded}", ""),
        ("allow: {verbs: [select], when: statement.bounded}", "allow: {verbs: [select]}", ""),
        ("allow: {verbs: [select]}", "allow: {verbs: [insert]}", ""),
    ],
)
def test_shadowed_rules(first, second, dead):
    """A rule that can never decide, because another with the same selectors always does, is an error."""
    problems = told(rules(first, second))
    if not dead:
        assert problems == []
    else:
        assert [p.split(" error: ")[1] for p in problems] == [f"r2 has the same selectors as r1: {dead} never decides"]


ASKED = "ask: {verbs: [select]}, approvers: {groups: [%s]}"


@pytest.mark.parametrize(
    ("first", "second", "dead"),
    [
        (ASKED % "oncall", ASKED % "security", ""),
        (ASKED % "oncall", ASKED % "oncall, security", ""),
        (ASKED % "oncall, security", ASKED % "security, oncall", "r2"),
        (ASKED % "oncall", (ASKED % "oncall").replace("select]", "select], when: statement.bounded"), "r2"),
        ((ASKED % "oncall").replace("select]", "select], when: statement.bounded"), ASKED % "oncall", ""),
        (ASKED % "oncall", (ASKED % "security").replace("select]", "select], when: statement.bounded"), ""),
        (ASKED % "oncall", "allow: {verbs: [select]}", "r2"),
        (ASKED % "oncall", "deny: {verbs: [select]}", "r1"),
        ("deny: {verbs: [select]}", ASKED % "oncall", "r2"),
    ],
)
def test_several_may_ask_for_the_same(first, second, dead):
    """Two asks with the same selectors both decide when they ask different people; one that adds nobody does not."""
    problems = told(rules(first, second))
    if dead:
        assert [p.split(" error: ")[1] for p in problems] == [f"r2 has the same selectors as r1: {dead} never decides"]
    else:
        assert problems == []


def test_names_are_unique():
    """Two policies of one name, and two rules of one name in a policy, are refused."""
    assert (
        "policy p is already in 0.yaml:3" in told(rules("allow: {verbs: [select]}"), rules("deny: {verbs: [call]}"))[0]
    )
    twice = rules("name: a, allow: {verbs: [select]}", "name: a, deny: {verbs: [call]}")
    assert "rule a is already in this policy" in told(twice)[0]


def test_everything_is_told_at_once():
    """Problems of all files and of all kinds come together, so that one edit mends them."""
    problems = told(
        rules("allow: {verbs: [selekt]}", "deny: {when: nothing}"),
        policy("masks:\n  - {detect: [nope], with: redact}", "q"),
        "kind: [",
    )
    assert len(problems) == 4


def test_a_test_file_is_no_policy_and_is_checked_too():
    """`*.test.yaml` holds tests only; what is wrong there refuses the set as well."""
    with pytest.raises(ConfigurationError, match="kind must be PolicyTest"):
        compile_directory([("a.test.yaml", rules("allow: {verbs: [select]}"))], SPECS, (TARGET,), DETECTORS)


def test_other_files_are_left_out():
    """Only YAML files are policies."""
    assert compile_directory([("README.md", "# no")], SPECS, (TARGET,), DETECTORS).documents == ()


def test_the_identity_of_a_set():
    """The snapshot's id follows meaning: not file names, order or comments; any change of a rule changes it."""

    def identity(*files: tuple[str, str]) -> str:
        return compile_directory(files, SPECS, (TARGET,), DETECTORS).snapshot.id

    a, b = rules("allow: {verbs: [select]}"), policy("mode: enforce", "q")
    assert identity(("1.yaml", a), ("2.yaml", b)) == identity(("z.yaml", a + "# note\n"), ("y.yml", b))
    assert identity(("1.yaml", a)) != identity(("1.yaml", a.replace("select", "insert")))


def test_without_configuration_nothing_is_warned_of_targets():
    """Where no targets are at hand (a bare `policy check`), selectors are not held against them."""
    assert told(policy("targets: {names: [nothing]}"), targets=None) == []
    assert told(HEAD + "  {}\n", targets=None) == []
