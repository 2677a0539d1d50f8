"""Masks: which columns owe what, through parents, lineage and views, and what counts as inference."""

from __future__ import annotations

import msgspec
import pytest

from checkrein.core.statement import Origin, Output, Relation, Statement, Use
from checkrein.core.verdict import Obligations, Verdict
from tests.policy.kit import BOT, TARGET, decide, effect, facts, policy, snapshot, statement

OPEN = "rules:\n  - {name: all, allow: {verbs: ['*']}}\n  - {name: f, allow: {functions: [x.clear], output: clear}}\n"
SSN = "masks:\n  - {columns: [public.customers.ssn, '*.*.card_number'], with: partial, keep_last: 4}\n"
CUSTOMERS = Relation("public.customers", columns=("id", "name", "ssn"))


def masked(masks: str, what: Statement) -> Verdict:
    """Judge under a policy that allows everything and owes these masks."""
    return snapshot(policy(OPEN + masks)).decide(facts(what))


def reading(*outputs: Output, uses: tuple[Use, ...] = (), relations: tuple[Relation, ...] = (CUSTOMERS,)) -> Statement:
    """Return a select on customers."""
    touched = effect("select", "public.customers", ("id", "ssn"))
    return statement(touched, outputs=outputs, uses=uses, relations=relations)


def out(how: str, column: str = "ssn", relation: str = "public.customers", **more: object) -> Output:
    return Output(name="o", how=how, origins=(Origin(relation, column),), **more)


def test_bare_outputs_owe_the_mask():
    """A masked column as it is may be selected; its duty is named by relation and column."""
    verdict = masked(SSN, reading(out("bare")))
    assert verdict.outcome == "allow"
    duties = verdict.obligations
    assert list(duties.columns) == [("public.customers", "ssn")]
    duty = duties.columns[("public.customers", "ssn")]
    assert (duty.strategy, duty.keep_last, duty.policy) == ("partial", 4, "p")
    assert duties.fixed_texts
    assert duties.redact_unknown_calls
    assert duties.owed


def test_nothing_owed_elsewhere():
    """A relation without a masked column owes no column, keeps its texts; only the target-wide duty remains."""
    verdict = masked(
        SSN, statement(effect("select", "public.o", ("a",)), relations=(Relation("public.o", columns=("a",)),))
    )
    assert verdict.obligations == Obligations(redact_unknown_calls=True)


@pytest.mark.parametrize(
    ("inference", "outcome", "code"), [("deny", "deny", "inference"), ("allow", "allow", ""), ("ask", "ask", "")]
)
@pytest.mark.parametrize("by", ["use", "computed"])
def test_inference(inference, outcome, code, by):
    """A use or a computed output of a masked column gets that mask's inference verdict, with place and column named."""
    approvers = ", approvers: {groups: [privacy]}" if inference == "ask" else ""
    masks = f"masks:\n  - {{columns: [public.customers.ssn], with: redact, inference: {inference}{approvers}}}\n"
    uses = (Use(Origin("public.customers", "ssn"), "WHERE", 31),) if by == "use" else ()
    verdict = masked(masks, reading(out("computed") if by == "computed" else out("bare"), uses=uses))
    assert (verdict.outcome, verdict.code) == (outcome, code)
    if inference == "deny":
        assert "public.customers.ssn is masked by policy p" in verdict.reason
        assert verdict.position == (31 if by == "use" else 0)
    if inference == "ask":
        assert verdict.asks[0].approvers == ("privacy",)


def test_safe_outputs_pass():
    """Through functions that cannot fail a masked column passes: masking redacts the output."""
    assert masked(SSN, reading(out("safe"))).outcome == "allow"


def test_uses_of_other_columns_pass():
    """A use of a column without a mask is no inference."""
    assert masked(SSN, reading(out("bare"), uses=(Use(Origin("public.customers", "id"), "WHERE"),))).outcome == "allow"


@pytest.mark.parametrize(
    "relation",
    [
        Relation("public.customers_2026", columns=("id", "ssn"), parents=("public.customers",)),
        Relation("public.report", columns=("id", "ssn"), column_origins={"ssn": (Origin("public.customers", "ssn"),)}),
        Relation("public.other", columns=("id", "ssn"), column_origins={"ssn": (Origin("x.y", "card_number"),)}),
    ],
    ids=["parent", "materialised", "renamed"],
)
def test_masks_follow(relation):
    """Masks follow partition and inheritance parents, and the columns under a materialised view."""
    verdict = masked(SSN, reading(out("bare", relation=relation.name), relations=(relation,)))
    assert set(verdict.obligations.columns) == {(relation.name, "ssn")}
    used = reading(uses=(Use(Origin(relation.name, "ssn"), "WHERE"),), relations=(relation,))
    assert masked(SSN, used).code == "inference"


def test_origins_of_relations_that_are_not_listed():
    """An origin whose relation the statement does not list is masked by its own name."""
    verdict = masked(SSN, reading(out("bare", "card_number", "sales.pay"), relations=()))
    assert set(verdict.obligations.columns) == {("sales.pay", "card_number")}


@pytest.mark.parametrize(
    ("one", "other", "strategy"),
    [
        ("with: partial, keep_last: 4", "with: token", "token"),
        ("with: token", "with: hash", "hash"),
        ("with: hash", "with: redact", "redact"),
        ("with: redact", "with: 'null'", "null"),
    ],
)
def test_the_strictest_mask_wins(one, other, strategy):
    """Over all policies the strictest mask of a column wins, whichever is written first."""
    for first, second in ((one, other), (other, one)):
        texts = [
            policy(OPEN),
            *[
                policy(f"masks:\n  - {{columns: [public.customers.ssn], {w}}}", f"m{i}")
                for i, w in enumerate((first, second))
            ],
        ]
        verdict = snapshot(*texts).decide(facts(reading(out("bare"))))
        assert verdict.obligations.columns[("public.customers", "ssn")].strategy == strategy


def test_ties_go_to_what_shows_less():
    """Of two partial masks the one that keeps less, of two tokens the one that joins less; inference: the stricter."""
    masks = (
        "masks:\n  - {columns: [public.customers.ssn], with: partial, keep_last: 4, inference: allow}\n"
        "  - {columns: ['public.customers.*'], with: partial, keep_first: 1, inference: deny}\n"
        "  - {columns: [public.customers.name], with: token, joinable: true}\n"
        "  - {columns: [public.customers.name], with: token}\n"
    )
    masks = masks.replace("'public.customers.*'", "public.customers.ssn")
    duties = masked(masks, reading(out("bare"))).obligations.columns
    ssn = duties[("public.customers", "ssn")]
    assert (ssn.keep_first, ssn.keep_last, ssn.inference) == (1, 0, "deny")
    assert not duties[("public.customers", "name")].joinable


def test_masks_of_any_policy_apply():
    """A policy of masks alone applies to what another allows; one for other principals or targets does not."""
    allow = policy(OPEN)
    mine = policy(SSN, "m")
    others = policy(SSN, "o", subjects="{groups: [others]}")
    elsewhere = policy("targets: {names: [other]}\n" + SSN, "e")
    observed = policy("mode: observe\n" + SSN, "w")

    def owed(*texts: str) -> bool:
        return snapshot(*texts).decide(facts(reading(out("bare")))).obligations.owed

    assert owed(allow, mine)
    assert not owed(allow, others)
    assert not owed(allow, elsewhere)
    assert not owed(allow, observed)


def test_masked_ddl():
    """DDL on an object that is masked for anybody on the target is refused, for this principal or another."""
    shot = snapshot(policy(OPEN), policy(SSN, "o", subjects="{groups: [others]}"))

    def alter(name: str, *relations: Relation, kind: str = "table") -> Verdict:
        touched = effect("alter", name, kind=kind, guard="masked_ddl")
        return shot.decide(facts(statement(touched, relations=relations)))

    assert alter("public.customers", CUSTOMERS).code == "guardrail"
    assert alter("public", kind="schema").code == "guardrail"
    assert alter("public.plain", Relation("public.plain", columns=("a",))).outcome == "allow"
    assert alter("public.cards", Relation("public.cards", columns=("card_number",))).code == "guardrail"
    assert alter("public.unknown").code == "guardrail"
    child = Relation("public.c2", columns=("ssn",), parents=("public.customers",))
    assert alter("public.c2", child).code == "guardrail"
    assert decide(policy(OPEN), effect("alter", "public.customers", guard="masked_ddl")).outcome == "allow"


def test_clear_calls():
    """A rule that vouches for a function's output names it among the duties."""
    touched = effect("call", "x.clear", None, kind="function")
    verdict = masked(SSN, statement(touched, effect("call", "x.other", None, kind="function")))
    assert verdict.obligations.clear_calls == {"x.clear"}


def test_conceded_statements_keep_fixed_texts():
    """Where it is not known what a statement reads, its error texts are fixed as soon as any column is masked."""
    conceded = Statement(protocol="toy", text="?", complete=False)
    text = OPEN + "  - {name: c, allow: {incomplete: true}}\n"
    verdict = snapshot(policy(text + SSN)).decide(facts(conceded))
    assert verdict.outcome == "allow"
    assert verdict.obligations.fixed_texts
    assert not snapshot(policy(text)).decide(facts(conceded)).obligations.fixed_texts


def test_detectors():
    """Detector duties hold for the whole session, the strictest of each, custom ones with their definition."""
    own = "detectors:\n  - {name: own, pattern: 'E-[0-9]+'}"
    one = "masks:\n  - {detect: [email, own], with: token, joinable: true}\n" + own
    two = "masks:\n  - {detect: [email], with: redact, text: gone, transformed: deny}"
    duties = snapshot(policy(one, "a"), policy(two, "b")).duties(BOT, TARGET, "default")
    found = {duty.detector: duty for duty in duties.detect}
    assert (found["email"].duty.strategy, found["email"].duty.text, found["email"].transformed) == (
        "redact",
        "gone",
        "deny",
    )
    assert found["own"].definition is not None
    assert found["own"].definition.pattern == "E-[0-9]+"
    assert not duties.redact_unknown_calls


def test_transformed():
    """With transformed: deny a function over a column is refused; bare outputs, counts and constants pass."""
    masks = "masks:\n  - {detect: [email], with: redact, transformed: deny}"
    assert masked(masks, reading(out("bare"))).outcome == "allow"
    assert masked(masks, reading(out("safe"))).code == "inference"
    assert masked(masks, reading(out("computed"))).code == "inference"
    assert masked(masks, reading(out("computed", kind="count"))).outcome == "allow"
    assert masked(masks, reading(Output(name="o", how="computed"))).outcome == "allow"


def test_duties_of_refused_statements_are_filled():
    """The journal masks a refused statement's constants by its duties, so a denial carries them."""
    denied = snapshot(policy(SSN + "rules:\n  - {name: d, deny: {verbs: [select]}}")).decide(
        facts(reading(out("bare")))
    )
    assert denied.outcome == "deny"
    assert denied.obligations.columns


def test_duties_do_not_depend_on_the_statement_before():
    """What is remembered of a relation is remembered by its shape, not by its name alone."""
    shot = snapshot(policy(OPEN + SSN))
    first = Relation("public.t", columns=("a",))
    second = msgspec.structs.replace(first, columns=("a", "card_number"))
    assert not shot.decide(facts(reading(relations=(first,)))).obligations.columns
    assert shot.decide(facts(reading(relations=(second,)))).obligations.columns
