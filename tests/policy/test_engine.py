"""Semantics of judging, as tables: each effect on its own over all rules, the strictest for the statement."""

from __future__ import annotations

import msgspec
import pytest

from checkrein.core.identity import Actor
from checkrein.core.statement import Statement
from tests.policy.kit import BOT, TARGET, decide, effect, facts, policy, rules, snapshot, statement

ASKING = "approvers: {groups: [oncall]}"
BASIC = rules(
    "allow: {verbs: [select], touches: [public.orders, public.customers]}",
    "allow: {verbs: [select], columns: [hr.people.id, hr.people.name]}",
    "allow: {verbs: [select], touches: [public.safe_view]}",
    f"ask: {{verbs: [update, delete, insert], touches: [public.orders]}}, {ASKING}",
    'deny: {verbs: [update, delete], when: "!statement.bounded || statement.bounded_keys > 5"}, message: Bounded only.',
    "deny: {verbs: [select], columns: [public.customers.ssn]}",
    "allow: {functions: [reporting.total], output: clear}",
)


def sel(name, *columns, **more):
    return effect("select", name, columns, **more)


@pytest.mark.parametrize(
    ("effects", "outcome", "rule"),
    [
        ([sel("public.orders", "id")], "allow", "r1"),
        ([sel("public.orders", "id"), sel("public.customers", "id")], "allow", "r1"),
        ([sel("public.orders", "id"), sel("public.other", "id")], "deny", ""),
        ([sel("public.customers", "id", "ssn")], "deny", "r6"),
        ([effect("select", "public.customers", None)], "deny", "r6"),
        ([sel("public.customers", any_column=True)], "allow", "r1"),
        ([sel("hr.people", "id", "name")], "allow", "r2"),
        ([sel("hr.people", "id", "salary")], "deny", ""),
        ([effect("select", "hr.people", None)], "deny", ""),
        ([sel("hr.people")], "deny", ""),
        ([sel("hr.people", any_column=True)], "allow", "r2"),
        ([effect("call", "reporting.total", None, kind="function")], "allow", "r7"),
        ([effect("call", "reporting.other", None, kind="function")], "deny", ""),
        ([effect("select", "reporting.total", ("a",))], "deny", ""),
        ([sel("hidden.base", "x", via=("public.safe_view",))], "allow", "r3"),
        ([sel("hidden.base", "x", via=("public.outer", "public.safe_view"))], "allow", "r3"),
        ([sel("hidden.base", "x", via=("public.safe",))], "deny", ""),
        ([effect("update", "hidden.base", ("x",), via=("public.safe_view",))], "deny", "r5"),
        ([effect("insert", "public.orders", ("id",))], "ask", "r4"),
        ([effect("insert", "public.orders", ("id",)), sel("public.other", "x")], "deny", ""),
        ([effect("delete", "public.orders")], "deny", "r5"),
        ([], "allow", ""),
    ],
)
def test_effects(effects, outcome, rule):
    """Each row: the effects of a statement, the outcome, and the rule that is named for it."""
    verdict = decide(BASIC, *effects)
    assert (verdict.outcome, verdict.rule) == (outcome, rule)
    assert bool(verdict.asks) == (outcome == "ask")


def test_bounded_write_is_asked():
    """The same write is asked when its condition is met: deny by condition, ask by rule."""
    verdict = decide(BASIC, effect("delete", "public.orders"), bounded=True, bounded_keys=2)
    assert verdict.outcome == "ask"
    terms = verdict.asks[0]
    assert (terms.policy, terms.rule, terms.approvers, terms.hold, terms.expire) == ("p", "r4", ("oncall",), 50, 3600)
    assert len(terms.digest) == 64


def test_every_asking_rule_is_needed():
    """Where several rules ask, every one's approvers are needed, each once, over all effects."""
    text = rules(
        f"ask: {{verbs: [insert]}}, {ASKING}",
        "ask: {touches: [public.*]}, approvers: {groups: [owners]}",
        "allow: {verbs: ['*']}",
    )
    verdict = decide(text, effect("insert", "public.a"), effect("insert", "public.b"))
    assert [terms.rule for terms in verdict.asks] == ["r1", "r2"]


def test_columns_are_covered_by_several_rules():
    """Every used column must be allowed by some rule; not by one rule alone."""
    text = rules(
        "allow: {verbs: [select], columns: [public.t.a]}",
        f"ask: {{verbs: [select], columns: [public.t.b]}}, {ASKING}",
    )
    assert decide(text, sel("public.t", "a")).outcome == "allow"
    assert decide(text, sel("public.t", "a", "b")).outcome == "ask"
    verdict = decide(text, sel("public.t", "a", "b", "c"))
    assert verdict.outcome == "deny"
    assert verdict.reason == "No rule allows select on public.t.c"


def test_a_view_named_by_wildcard_covers_nothing():
    """Only an exact name covers what a view reads, and only for allow: a deny looks through."""
    effects = [sel("hidden.base", "x", via=("public.v",))]
    assert decide(rules("allow: {touches: ['public.*']}"), *effects).outcome == "deny"
    assert decide(rules("allow: {touches: [public.v]}"), *effects).outcome == "allow"
    both = rules("allow: {touches: [public.v]}", "deny: {touches: [hidden.base]}")
    assert decide(both, *effects).outcome == "deny"
    narrowed = rules("allow: {columns: [public.v.x]}")
    assert decide(narrowed, *effects).outcome == "deny"


def test_deny_of_a_view_does_not_need_its_base():
    """A deny that names the view alone leaves its tables to their own rules."""
    text = rules("allow: {touches: [hidden.base]}", "deny: {touches: [public.v]}")
    assert decide(text, sel("hidden.base", "x", via=("public.v",))).outcome == "allow"


@pytest.mark.parametrize(
    ("line", "outcome"),
    [
        ("allow: {touches: [public.t]}", "allow"),
        ("deny: {touches: [pg.*]}", "deny"),
        ("deny: {verbs: ['*']}", "deny"),
        (f"ask: {{verbs: ['*']}}, {ASKING}", "allow"),
        (f"ask: {{touches: [pg.catalog]}}, {ASKING}", "ask"),
    ],
)
def test_housekeeping(line, outcome):
    """Housekeeping needs no rule; a deny still bites, an ask only where it names what it asks for."""
    text = rules(line, "allow: {touches: [public.other]}")
    assert decide(text, sel("pg.catalog", "x", housekeeping=True)).outcome == outcome


def test_strict_housekeeping():
    """On a strict target housekeeping needs a rule like anything else; a statement without effects does not."""
    target = msgspec.structs.replace(TARGET, housekeeping="strict")
    shot = snapshot(rules("allow: {touches: [public.t]}"))
    housekeeping = statement(sel("pg.catalog", "x", housekeeping=True))
    assert shot.decide(facts(housekeeping, target=target)).outcome == "deny"
    assert shot.decide(facts(statement(), target=target)).outcome == "allow"


def test_guardrails():
    """A guardrail holds whatever the rules say, until an admin marks the target unguarded."""
    shot = snapshot(rules("allow: {verbs: ['*']}"))
    record = facts(statement(sel("public.t", "x", guard="files", position=7)))
    verdict = shot.decide(record)
    assert (verdict.outcome, verdict.code, verdict.position) == ("deny", "guardrail", 7)
    assert "It reads files of the server." in verdict.reason
    unguarded = msgspec.structs.replace(TARGET, unguarded=True)
    assert shot.decide(msgspec.structs.replace(record, target=unguarded)).outcome == "allow"


@pytest.mark.parametrize(
    ("line", "outcome"),
    [
        ("allow: {verbs: ['*']}", "deny"),
        ("allow: {touches: ['public.*']}", "deny"),
        ("allow: {touches: [public.t]}", "allow"),
        ("allow: {touches: [public.u]}", "deny"),
        (f"ask: {{touches: [public.t]}}, {ASKING}", "ask"),
    ],
)
def test_doors(line, outcome):
    """A door is shut unless an allow or ask names the object without a wildcard; `unguarded` does not open it."""
    target = msgspec.structs.replace(TARGET, unguarded=True)
    for where in (TARGET, target):
        record = facts(statement(sel("public.t", "x", door="secret_door", housekeeping=True)), target=where)
        verdict = snapshot(rules(line)).decide(record)
        assert verdict.outcome == outcome
        assert outcome != "deny" or (verdict.code == "door" and "It shows secrets." in verdict.reason)


def conceded(*effects):
    return Statement(
        protocol="toy", text="CALL close()", complete=False, conceded="a procedure", writes=True, effects=effects
    )


CONCEDED = conceded()


@pytest.mark.parametrize(
    ("lines", "outcome", "code"),
    [
        (["allow: {verbs: ['*']}"], "deny", "conceded"),
        ([r"allow: {incomplete: true, matches: '^CALL close\(\)$'}"], "allow", ""),
        (["allow: {incomplete: true, matches: 'close'}"], "deny", "conceded"),
        (["allow: {matches: 'CALL.*'}"], "deny", "conceded"),
        ([r"allow: {incomplete: true, matches: 'CALL.*'}", "deny: {patterns: [close]}"], "deny", "denied"),
        ([r"allow: {incomplete: true, matches: 'CALL.*'}", "deny: {verbs: [delete]}"], "allow", ""),
        ([r"allow: {incomplete: true, matches: 'CALL.*'}", "deny: {incomplete: true}"], "deny", "denied"),
        ([f"ask: {{incomplete: true}}, {ASKING}"], "ask", ""),
        ([r"allow: {incomplete: true, when: 'statement.complete'}"], "deny", "conceded"),
    ],
)
def test_conceded(lines, outcome, code):
    """What could not be read matches only rules that say so, by its whole text; a deny on its text bites too."""
    verdict = snapshot(rules(*lines)).decide(facts(CONCEDED))
    assert (verdict.outcome, verdict.code) == (outcome, code)


def test_known_effects_of_a_conceded_statement_can_deny():
    """What is known of a conceded statement can only make it stricter: denies, guardrails, doors."""
    vouch = "allow: {incomplete: true}"
    for more, code in (({}, "denied"), ({"guard": "files"}, "guardrail"), ({"door": "secret_door"}, "door")):
        known = conceded(effect("delete", "public.t", **more))
        deny = "deny: {touches: [public.t]}" if code == "denied" else "deny: {touches: [public.u]}"
        verdict = snapshot(rules(vouch, deny)).decide(facts(known))
        assert (verdict.outcome, verdict.code) == ("deny", code)


def test_a_vouched_text_holds_when_it_is_read_after_all():
    """A rule with incomplete and matches vouches for the text, also where reading became able to read it."""
    text = rules("allow: {incomplete: true, matches: 'CALL close.*'}")
    assert decide(text, effect("call", "close", kind="function"), text="CALL close()").outcome == "allow"
    assert decide(text, effect("call", "close", kind="function"), text="CALL other()").outcome == "deny"
    everything = rules("allow: {incomplete: true}")
    assert decide(everything, effect("call", "close", kind="function")).outcome == "deny"


@pytest.mark.parametrize(("kind", "outcome"), [("deny", "deny"), ("ask", "ask"), ("allow", "deny")])
def test_errors_of_conditions(kind, outcome):
    """A condition that errs counts as matching for deny and ask, and as not matching for allow."""
    more = f", {ASKING}" if kind == "ask" else ""
    lines = [f"{kind}: {{verbs: [select], when: \"principal.claims.absent == 'x'\"}}{more}"]
    if kind != "allow":
        lines.append("allow: {verbs: [select], touches: [public.t]}")
    assert decide(rules(*lines), sel("public.t", "a")).outcome == outcome


def test_deny_list_of_patterns():
    """The simple deny list speaks of any text, of statements without effects too."""
    text = rules(r"deny: {patterns: ['(?i)\bdrop\s+database\b', FLUSHALL]}", "allow: {verbs: ['*']}")
    assert decide(text, text="SELECT 'DROP  DATABASE x'").outcome == "deny"
    assert decide(text, sel("public.t", "x"), text="drop database").outcome == "deny"
    assert decide(text, sel("public.t", "x"), text="select").outcome == "allow"


def test_parameters_that_are_not_known_yet():
    """While preparing, a rule on parameters neither denies nor withholds; run without them, it errs."""
    allow = rules("allow: {verbs: [select], when: \"statement.parameters[0] == 'ok'\"}")
    deny = rules("allow: {verbs: [select]}", "deny: {verbs: [select], when: \"statement.parameters[0] == 'bad'\"}")
    for text, good, bad in ((allow, ("ok",), ("no",)), (deny, ("ok",), ("bad",))):
        shot = snapshot(text)
        unknown = statement(sel("public.t", "x"), parameters=None)
        preparing = shot.decide(facts(unknown, final=False))
        assert preparing.outcome == "allow"
        assert "parameters" in preparing.reads
        assert shot.decide(facts(unknown)).outcome == "deny"
        assert shot.decide(facts(unknown.with_parameters(good))).outcome == "allow"
        assert shot.decide(facts(unknown.with_parameters(bad))).outcome == "deny"


def test_reads_are_of_consulted_rules_only():
    """Only what was looked at forbids caching."""
    text = rules("allow: {touches: [public.t]}", 'deny: {touches: [public.u], when: "now.getHours() == 3"}')
    assert decide(text, sel("public.t", "x")).reads == frozenset()
    assert decide(text, sel("public.u", "x")).reads == {"time"}


def test_read_only_sessions():
    """read_only refuses every verb that is not reading, and what cannot be read, whatever the rules allow."""
    shot = snapshot(
        rules("allow: {verbs: ['*']}", "allow: {incomplete: true}"), policy("session: {read_only: true}", "ro")
    )
    assert shot.decide(facts(statement(sel("public.t", "x")))).outcome == "allow"
    assert shot.decide(facts(statement(effect("insert", "public.t")))).outcome == "deny"
    assert shot.decide(facts(statement(sel("public.t", "x"), writes=True))).outcome == "deny"
    assert shot.decide(facts(CONCEDED)).outcome == "deny"
    assert shot.duties(BOT, TARGET, "default").read_only


def test_observed_policies_add_nothing():
    """An observed policy's denies and allows change no verdict; what it would have said is recorded."""
    watch = policy(
        "mode: observe\nrules:\n  - {name: d, deny: {verbs: [select]}}\n  - {name: a, allow: {verbs: [insert]}}", "w"
    )
    shot = snapshot(rules("allow: {verbs: [select]}"), watch)
    verdict = shot.decide(facts(statement(sel("public.t", "x"))))
    assert verdict.outcome == "allow"
    assert [(one.policy, one.rule, one.kind) for one in verdict.observed] == [("w", "d", "deny")]
    assert shot.decide(facts(statement(effect("insert", "public.t")))).outcome == "deny"
    assert snapshot(watch).may_enter(BOT, TARGET, "default")


@pytest.mark.parametrize(
    ("subjects", "matches"),
    [
        ("{}", True),
        ("{groups: [agents]}", True),
        ("{groups: ['corp:*']}", True),
        ("{groups: [other]}", False),
        ("{subjects: [bot]}", True),
        ("{subjects: ['b*']}", True),
        ("{subjects: ['corp:bot']}", True),
        ("{subjects: ['evil:bot']}", False),
        ("{issuers: [corp], groups: [agents]}", True),
        ("{issuers: [evil], groups: [agents]}", False),
        ("{claims: {team: a}}", True),
        ("{claims: {team: [b, a]}}", True),
        ("{claims: {tags: x}}", True),
        ("{claims: {team: b}}", False),
        ("{claims: {absent: x}}", False),
        ("{actors: [anna]}", True),
        ("{actors: ['corp:anna']}", True),
        ("{actors: ['evil:anna']}", False),
        ("{when: \"principal.subject == 'bot'\"}", True),
        ("{when: \"principal.claims.absent == 'x'\"}", False),
    ],
)
def test_subjects(subjects, matches):
    """Keys are AND-ed, lists OR-ed; a colon names the issuer; an error does not let in."""
    principal = msgspec.structs.replace(BOT, actors=(Actor("anna", "corp"),))
    shot = snapshot(policy("rules:\n  - {name: r, allow: {verbs: [select]}}", subjects=subjects))
    assert (shot.may_enter(principal, TARGET, "default") == "") is matches
    allowed = shot.decide(facts(statement(sel("public.t", "x")), principal=principal)).outcome
    assert allowed == ("allow" if matches else "deny")


def test_a_subject_cannot_pose_as_another_issuers():
    """A subject that spells `corp:anna` is not corp's anna."""
    shot = snapshot(policy("rules:\n  - {name: r, allow: {verbs: [select]}}", subjects="{subjects: ['corp:anna']}"))
    evil = msgspec.structs.replace(BOT, issuer="evil", subject="corp:anna")
    assert shot.may_enter(evil, TARGET, "default")


def test_erring_subjects_keep_what_is_strict():
    """A policy whose `when` on subjects errs still denies, asks and masks; it allows nothing and lets nobody in."""
    body = (
        "rules:\n  - {name: d, deny: {verbs: [delete]}}\n  - {name: a, allow: {verbs: [insert]}}\n"
        "masks:\n  - {detect: [email], with: redact}"
    )
    erring = policy(body, "e", "{when: \"principal.claims.absent == 'x'\"}")
    shot = snapshot(rules("allow: {verbs: [delete, select]}"), erring)
    assert shot.decide(facts(statement(effect("delete", "public.t")))).rule == "d"
    assert shot.decide(facts(statement(effect("insert", "public.t")))).outcome == "deny"
    assert shot.duties(BOT, TARGET, "default").detect
    assert snapshot(erring).may_enter(BOT, TARGET, "default")
    asking = erring.replace("deny: {verbs: [delete]}", f"ask: {{verbs: [delete]}}, {ASKING}")
    assert snapshot(asking).may_enter(BOT, TARGET, "default")


@pytest.mark.parametrize(
    ("targets", "matches"),
    [
        ("{}", True),
        ("{names: ['ord*']}", True),
        ("{names: [other]}", False),
        ("{labels: {env: prod}}", True),
        ("{labels: {env: [dev, 'pr*']}}", True),
        ("{labels: {env: dev}}", False),
        ("{labels: {absent: '*'}}", False),
        ("{protocols: [toy]}", True),
        ("{protocols: [plain]}", False),
        ("{profiles: [admin]}", False),
        ("{profiles: ['*']}", True),
    ],
)
def test_targets(targets, matches):
    """Names, labels, protocols and profiles select targets; profiles are [default] unless said."""
    line = "{verbs: [get]}" if "plain" in targets else "{verbs: [select]}"
    shot = snapshot(policy(f"targets: {targets}\nrules:\n  - {{name: r, allow: {line}}}"))
    assert (shot.may_enter(BOT, TARGET, "default") == "") is matches


def test_other_profiles_are_not_entered_by_default():
    """A policy that names no profile speaks of `default` alone."""
    shot = snapshot(rules("allow: {verbs: [select]}"))
    assert shot.may_enter(BOT, TARGET, "default") == ""
    sentence = shot.may_enter(BOT, TARGET, "admin")
    assert "corp:bot" in sentence
    assert "admin" in sentence


def test_who_may_enter_needs_an_allow_or_ask():
    """Denies and masks alone let nobody in."""
    assert snapshot(rules("deny: {verbs: [select]}")).may_enter(BOT, TARGET, "default")
    assert snapshot(policy("masks:\n  - {detect: [email], with: redact}")).may_enter(BOT, TARGET, "default")
    assert not snapshot(rules(f"ask: {{verbs: [select]}}, {ASKING}")).may_enter(BOT, TARGET, "default")


def test_total_on_facts_that_make_no_sense():
    """Whatever the facts, the answer is a verdict, and a denial."""
    shot = snapshot(rules("allow: {verbs: [select]}", 'deny: {verbs: [delete], when: "now.getHours() > 30"}'))
    broken = facts(statement(effect("delete", "public.t")), now=float("nan"))
    assert shot.decide(broken).outcome == "deny"
    assert shot.decide(msgspec.structs.replace(broken, statement=None)).code == "unavailable"
