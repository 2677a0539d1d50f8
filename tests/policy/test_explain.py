"""Explanations: every rule considered, why it did not match, what is masked, and the change that would flip it."""

from __future__ import annotations

import json

import pytest

from checkrein.core.statement import Origin, Output, Relation, Statement, Use
from checkrein.policy.explain import explain
from tests.policy.kit import effect, facts, policy, snapshot, statement

TEXT = policy(
    "rules:\n"
    "  - {name: read, allow: {verbs: [select], columns: [public.t.id, public.t.ssn]}}\n"
    "  - {name: bulk, deny: {verbs: [delete], when: '!statement.bounded'}, instead: one by one}\n"
    "  - {name: person, ask: {verbs: [insert]}, approvers: {groups: [oncall]}}\n"
    "masks:\n  - {columns: [public.t.ssn], with: partial, keep_last: 4}\n  - {detect: [email], with: redact}\n"
)
T = Relation("public.t", columns=("id", "ssn"))


def explained(what: Statement) -> dict:
    found = explain(snapshot(TEXT), facts(what))
    assert json.loads(json.dumps(found)) == found
    return found


def test_an_allowed_statement():
    """The rule that won, why the others did not match, and what each output owes."""
    outputs = (Output(name="n", how="bare", origins=(Origin("public.t", "ssn"),)), Output(name="one", how="computed"))
    found = explained(statement(effect("select", "public.t", ("ssn",)), outputs=outputs, relations=(T,)))
    assert (found["verdict"], found["policy"], found["rule"]) == ("allow", "p", "read")
    assert found["considered"] == [
        {"effect": 0, "policy": "p", "rule": "read", "kind": "allow", "matched": True},
        {
            "effect": 0, "policy": "p", "rule": "bulk", "kind": "deny", "matched": False,
            "why": "verbs: select is not among them",
        },
        {
            "effect": 0, "policy": "p", "rule": "person", "kind": "ask", "matched": False,
            "why": "verbs: select is not among them",
        },
    ]  # fmt: skip
    assert found["effects"] == [{"verb": "select", "object": "public.t", "kind": "table", "columns": ["ssn"]}]
    assert found["masks"] == {"outputs": {"n": "partial"}, "detect": {"email": "redact"}}
    assert "p/read" in found["flip"]


@pytest.mark.parametrize(
    ("what", "verdict", "flip"),
    [
        (statement(effect("select", "public.t", ("id", "name"))), "deny", "columns: [public.t.name]"),
        (statement(effect("insert", "public.t")), "ask", "p/person"),
        (statement(effect("delete", "public.t")), "deny", "remove or narrow rule p/bulk"),
        (statement(effect("call", "x.f", kind="function")), "deny", "functions: [x.f]"),
        (statement(effect("select", "public.t", ("id",), guard="files")), "deny", "unguarded"),
        (statement(effect("select", "public.t", ("id",), door="secret_door")), "deny", "touches: [public.t]"),
        (Statement(protocol="toy", text="?", complete=False), "deny", "incomplete: true"),
        (
            statement(effect("select", "public.t", ("id",)), uses=(Use(Origin("public.t", "ssn"), "WHERE"),)),
            "deny",
            "inference",
        ),
        (statement(), "allow", "patterns"),
    ],
)
def test_flip(what, verdict, flip):
    """Each row: a statement and the change that would give another verdict."""
    found = explained(what)
    assert found["verdict"] == verdict
    assert flip in found["flip"]
