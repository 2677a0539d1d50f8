"""CEL and RE2: typed when loaded, bounded and total when evaluated."""

from __future__ import annotations

import pytest

from checkrein.policy.conditions import Condition, ConditionError, Regex, statement_data
from tests.policy.kit import TARGET, effect, facts, statement


def evaluate(text: str, **more: object) -> bool | None:
    """Evaluate against a delete of public.orders."""
    record = facts(statement(effect("delete", "public.orders"), **more))
    from checkrein.policy.conditions import principal_data

    return Condition(text).evaluate(statement_data(record, principal_data(record.principal, TARGET, "default")))


@pytest.mark.parametrize(
    "text",
    [
        "principal.subject == 'bot' && principal.name == 'corp:bot' && 'agents' in principal.groups",
        "principal.claims.team == 'a' && 'x' in principal.claims.tags",
        "target.labels.env == 'prod' && target.profile == 'default' && target.protocol == 'toy'",
        "statement.verbs == ['delete'] && 'public.orders' in statement.touches",
        "!statement.filtered && !statement.bounded && statement.complete",
        "now.getFullYear() == 2026 && now.getHours() == 12",
        "counters.statements == 3 && client.startsWith('10.') && session.application == 'app'",
        "size(actors) == 0 && statement.text == 'text'",
    ],
)
def test_variables(text):
    """Every documented variable has its value."""
    assert evaluate(text) is True


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("statement.bounde", (1, 10)),
        ("nothing", (1, 1)),
        ("now &&", (1, 7)),
        ("true &&\n statement.bounded + 1 == 2", (2, 20)),
        ("statement.bounded_keys", (1, 1)),
        ("statement", (1, 1)),
    ],
)
def test_wrong_expressions(text, where):
    """Undeclared variables, wrong types and syntax are found when the policy is loaded, with their place."""
    with pytest.raises(ConditionError) as caught:
        Condition(text)
    assert (caught.value.line, caught.value.column) == where


@pytest.mark.parametrize(
    "text",
    [
        "principal.claims.absent == 'x'",
        "statement.bounded_keys > 5",
        "1 / 0 == 1",
        "principal.claims.team > 5",
        "[1,2,3,4,5,6,7,8,9,10].all(a,[1,2,3,4,5,6,7,8,9,10].all(b,[1,2,3,4,5,6,7,8,9,10].all(c,"
        "[1,2,3,4,5,6,7,8,9,10].all(d,[1,2,3,4,5,6,7,8,9,10].all(e,true)))))",
    ],
)
def test_errors_are_values(text):
    """What cannot be evaluated (missing, mistyped, too much work) is None, never an exception and never true."""
    assert evaluate(text) is None


def test_subject_conditions_see_no_statement():
    """Who a policy speaks of cannot depend on the statement: views are prepared once."""
    assert Condition("principal.issuer == 'corp'", subject=True).reads == frozenset()
    with pytest.raises(ConditionError, match=r"statement\.text"):
        Condition("statement.text == 'x'", subject=True)


@pytest.mark.parametrize(
    ("text", "reads"),
    [
        ("statement.bounded", set()),
        ("now.getHours() > 8", {"time"}),
        ("counters['refused'] > 3 || statement.parameters[0] == 'x'", {"counters", "parameters"}),
        ("[1].all(now, now > 0)", set()),
        ("client != ''", {"session"}),
        ("statement.text.contains('now')", {"text"}),
    ],
)
def test_reads(text, reads):
    """What forbids caching is found from the expression itself; a shadowed or quoted name is no use."""
    assert Condition(text).reads == reads


def test_regexes():
    """RE2: whole or anywhere; what it cannot compile is refused; a text that is not Unicode has no answer."""
    assert Regex("a+").whole("aa")
    assert not Regex("a+").whole("aab")
    assert Regex("(?i)drop").anywhere("x DROP y")
    assert Regex("a").whole("\ud800") is None
    assert Regex("a").anywhere("\ud800") is None
    for bad in ("(", "(?=x)", "a{5000}", r"(a)\1"):
        with pytest.raises(ConditionError, match="not an RE2"):
            Regex(bad)
