"""What holds for every set of rules and every statement, by generation."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from checkrein.core.statement import Effect, Origin, Output, Relation, Statement, Use
from checkrein.core.verdict import Verdict
from tests.policy.kit import facts, policy, snapshot

ORDER = {"deny": 0, "ask": 1, "allow": 2}
VERBS = ["select", "insert", "call"]
OBJECTS = ["public.a", "public.b", "hr.a"]
COLUMNS = ["x", "y", "ssn"]
CONDITIONS = ["statement.bounded", "!statement.bounded", "principal.claims.absent == 'x'", "statement.bounded_keys > 1"]


@st.composite
def selectors(draw):
    """A selector as YAML flow text; never empty."""
    parts = [f"verbs: [{', '.join(draw(st.lists(st.sampled_from(VERBS), min_size=1, unique=True)))}]"]
    what = draw(st.sampled_from(["", "touches", "columns", "incomplete"]))
    if what == "incomplete":
        return "{incomplete: true, matches: '.*'}"
    if what == "touches":
        parts.append(f"touches: ['{draw(st.sampled_from([*OBJECTS, 'public.*', '*.a']))}']")
    if what == "columns":
        parts.append(f"columns: ['{draw(st.sampled_from(OBJECTS))}.{draw(st.sampled_from([*COLUMNS, '*']))}']")
    if draw(st.booleans()):
        parts.append(f'when: "{draw(st.sampled_from(CONDITIONS))}"')
    return "{" + ", ".join(parts) + "}"


def rule_texts(kinds=("allow", "deny", "ask")):
    """Rules without names."""
    return st.builds(
        lambda kind, selector: f"{kind}: {selector}" + (", approvers: {groups: [g]}" if kind == "ask" else ""),
        st.sampled_from(kinds),
        selectors(),
    )


MASKS = [
    "{columns: ['*.*.ssn'], with: redact}",
    "{columns: [public.a.ssn], with: partial, keep_last: 4, inference: allow}",
    "{columns: ['public.*.y'], with: 'null', inference: allow}",
]
origins = st.builds(Origin, st.sampled_from(OBJECTS), st.sampled_from(COLUMNS))
effects = st.builds(
    Effect,
    verb=st.sampled_from(VERBS),
    object=st.sampled_from(OBJECTS),
    kind=st.sampled_from(["table", "function"]),
    columns=st.none() | st.lists(st.sampled_from(COLUMNS), unique=True).map(tuple),
    any_column=st.booleans(),
    via=st.sampled_from([(), ("public.b",)]),
    housekeeping=st.booleans(),
    guard=st.sampled_from(["", "", "", "files", "masked_ddl"]),
    door=st.sampled_from(["", "", "", "secret_door"]),
)
statements = st.builds(
    Statement,
    protocol=st.just("toy"),
    text=st.text(),
    effects=st.lists(effects, max_size=3).map(tuple),
    complete=st.booleans(),
    bounded=st.booleans(),
    bounded_keys=st.none() | st.integers(0, 3),
    relations=st.lists(st.builds(Relation, st.sampled_from(OBJECTS), columns=st.just(tuple(COLUMNS))), max_size=2).map(
        tuple
    ),
    uses=st.lists(st.builds(Use, origins, st.just("WHERE")), max_size=1).map(tuple),
    outputs=st.none()
    | st.lists(
        st.builds(
            Output,
            name=st.just("o"),
            how=st.sampled_from(["bare", "safe", "computed"]),
            origins=st.lists(origins, max_size=2).map(tuple),
        ),
        max_size=2,
    ).map(tuple),
)


def written(lines: list[str], masks: list[str] = ()) -> str:  # type: ignore[assignment]
    """Return one policy; each rule in a policy of its own would be judged alike."""
    body = "".join(f"  - {{name: r{i}, {line}}}\n" for i, line in enumerate(lines))
    held = "".join(f"  - {mask}\n" for mask in masks)
    return policy((f"rules:\n{body}" if lines else "") + (f"masks:\n{held}" if masks else "") or "mode: enforce")


def judge(lines: list[str], statement: Statement, masks: list[str] = ()) -> Verdict:  # type: ignore[assignment]
    """Judge under one policy a rule, so that no rule is refused as another's shadow."""
    texts = [policy(f"rules:\n  - {{name: r, {line}}}", f"p{i}") for i, line in enumerate(lines)]
    return snapshot(*texts, *([written([], masks)] if masks else [])).decide(facts(statement))


several = st.lists(rule_texts(), max_size=5)
quick = settings(max_examples=60, deadline=None)


@quick
@given(several, rule_texts(("deny",)), statements)
def test_adding_a_deny_never_widens(lines, deny, statement):
    """With one more deny the outcome is the same or stricter."""
    assert ORDER[judge([*lines, deny], statement).outcome] <= ORDER[judge(lines, statement).outcome]


@quick
@given(several, rule_texts(("allow",)), statements)
def test_removing_an_allow_never_widens(lines, allow, statement):
    """Without an allow the outcome is the same or stricter."""
    assert ORDER[judge(lines, statement).outcome] <= ORDER[judge([*lines, allow], statement).outcome]


@quick
@given(several, statements, st.sampled_from(MASKS), st.lists(st.sampled_from(MASKS), unique=True))
def test_adding_a_mask_never_widens(lines, statement, mask, others):
    """With one more mask the outcome is the same or stricter, and no column loses its duty."""
    more, fewer = judge(lines, statement, [*others, mask]), judge(lines, statement, others)
    assert ORDER[more.outcome] <= ORDER[fewer.outcome]
    assert set(fewer.obligations.columns) <= set(more.obligations.columns)


@quick
@given(st.lists(rule_texts(), min_size=2, max_size=5), statements, st.randoms(use_true_random=False))
def test_order_is_irrelevant(lines, statement, random):
    """The order of rules and policies changes neither outcome, code, who is asked, nor what is owed."""
    shuffled = list(lines)
    random.shuffle(shuffled)
    one, other = judge(lines, statement), judge(shuffled, statement)
    assert (one.outcome, one.code, one.obligations) == (other.outcome, other.code, other.obligations)
    assert len(one.asks) == len(other.asks)


@quick
@given(several, statements, st.lists(st.sampled_from(MASKS), unique=True))
def test_allowed_means_every_effect_was(lines, statement, masks):
    """An allowed complete statement has each effect allowed alone, no guardrail, and no masked use that is denied."""
    verdict = judge(lines, statement, masks)
    assert verdict.code != "unavailable"
    if verdict.outcome != "allow" or not statement.complete:
        return
    for effect in statement.effects:
        alone = Statement(
            protocol="toy",
            text=statement.text,
            effects=(effect,),
            bounded=statement.bounded,
            bounded_keys=statement.bounded_keys,
            relations=statement.relations,
        )
        assert judge(lines, alone, masks).outcome == "allow"
        assert effect.guard != "files"


@quick
@given(st.lists(rule_texts(("allow", "deny")), max_size=4), statements)
def test_explaining_judges_alike(lines, statement):
    """The verdict with a trace is the verdict without one."""
    from checkrein.policy.trace import Trace

    texts = [policy(f"rules:\n  - {{name: r, {line}}}", f"p{i}") for i, line in enumerate(lines)]
    shot = snapshot(*texts, policy("mode: enforce", "none"))
    plain, traced = shot.decide(facts(statement)), shot.decide(facts(statement), Trace())
    assert (plain.outcome, plain.policy, plain.code, plain.reason) == (
        traced.outcome,
        traced.policy,
        traced.code,
        traced.reason,
    )
