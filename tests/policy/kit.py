"""Small builders for policy tests: a protocol of tables, functions and channels, and statements in it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from checkrein.core.facts import FactRecord, SessionFacts
from checkrein.core.identity import Principal
from checkrein.core.spec import ProtocolSpec, SelectorVocabulary
from checkrein.core.statement import Effect, Origin, Output, Relation, Statement
from checkrein.core.target import Profile, Target
from checkrein.core.verdict import Verdict
from checkrein.policy.compile import compile_directory
from checkrein.policy.snapshot import Snapshot

VERBS = frozenset({"select", "insert", "update", "delete", "call", "notify", "listen", "create", "alter", "show"})


def read(text: str, catalog: Any) -> Iterable[Statement]:
    """Read `verb object column,column` clauses joined by ';', or concede on `?`."""
    if text.startswith("?"):
        return [Statement(protocol="toy", text=text, complete=False, conceded="it begins with a question mark")]
    effects, outputs, relations = [], [], []
    for clause in text.split(";"):
        words = clause.split()
        verb, name = words[0], words[1]
        columns = tuple(words[2].split(",")) if len(words) > 2 else ()
        effects.append(effect(verb, name, columns))
        relations.append(Relation(name, columns=tuple((catalog or {}).get(name, columns))))
        outputs += [Output(name=c, how="bare", origins=(Origin(name, c),)) for c in columns]
    return [statement(*effects, text=text, outputs=tuple(outputs), relations=tuple(relations))]


SPEC = ProtocolSpec(
    name="toy",
    default_port=1,
    vocabulary=SelectorVocabulary(
        verbs=VERBS,
        objects={
            "touches": frozenset({"table", "view"}),
            "functions": frozenset({"function"}),
            "channels": frozenset({"channel"}),
        },
        columns=True,
    ),
    session=lambda context: None,  # type: ignore[arg-type,return-value]
    guardrails={"files": "It reads files of the server."},
    doors={"secret_door": "It shows secrets."},
    read=read,
    catalog_of=lambda schema: schema,
)
PLAIN = ProtocolSpec(
    name="plain",
    default_port=2,
    vocabulary=SelectorVocabulary(
        verbs=frozenset({"get"}), objects={"keys": frozenset({"key"})}, strategies=frozenset({"redact"})
    ),
    session=lambda context: None,  # type: ignore[arg-type,return-value]
)
SPECS = {"toy": SPEC, "plain": PLAIN}
DETECTORS = frozenset({"credit_card", "email", "us_ssn", "api_key"})
TARGET = Target(
    name="orders",
    protocol="toy",
    host="h",
    port=1,
    labels={"env": "prod"},
    profiles={"default": Profile("default", "u")},
)
BOT = Principal(
    subject="bot", issuer="corp", groups=("agents", "corp:agents"), claims={"team": "a", "tags": ["x", "y"]}
)
HEAD = "apiVersion: checkrein/v1\nkind: Policy\nmetadata: {name: p}\nspec:\n"


def policy(body: str, name: str = "p", subjects: str = "{groups: [agents]}") -> str:
    """Return a policy's text; `body` is the inside of spec, indented by two."""
    lines = "\n".join("  " + line for line in body.strip("\n").splitlines())
    head = HEAD.replace("name: p}", f"name: {name}}}")
    return f"{head}  subjects: {subjects}\n{lines}\n"


def rules(*lines: str) -> str:
    """Return a policy of rules, each a flow mapping, named r1, r2 ... where no name is given."""
    named = [line if line.startswith("name:") else f"name: r{i + 1}, {line}" for i, line in enumerate(lines)]
    return policy("rules:\n" + "\n".join(f"  - {{{line}}}" for line in named))


def snapshot(*texts: str) -> Snapshot:
    """Compile policies against the toy protocol and its one target."""
    files = [(f"{i}.yaml", text) for i, text in enumerate(texts)]
    return compile_directory(files, SPECS, [TARGET], DETECTORS).snapshot


def effect(verb: str, name: str, columns: tuple[str, ...] | None = (), **more: Any) -> Effect:
    """Return an effect on a table, or of the `kind` given."""
    return Effect(verb=verb, object=name, columns=columns, **more)


def statement(*effects: Effect, text: str = "text", **more: Any) -> Statement:
    """Return a complete statement of these effects."""
    verbs = tuple(dict.fromkeys(one.verb for one in effects))
    return Statement(protocol="toy", text=text, verbs=verbs, effects=effects, **more)


def facts(what: Statement, principal: Principal = BOT, target: Target = TARGET, **more: Any) -> FactRecord:
    """Return the record of a statement sent by the bot at noon of 2026-01-01 UTC."""
    session = SessionFacts("s1", target.name, "default", client="10.0.0.1:5", application="app")
    given = {"profile": "default", "now": 1767268800.0, "counters": {"statements": 3}, **more}
    return FactRecord(principal=principal, target=target, statement=what, session=session, **given)


def decide(texts: str | Snapshot, *effects: Effect, **more: Any) -> Verdict:
    """Judge effects under one policy text."""
    chosen = texts if isinstance(texts, Snapshot) else snapshot(texts)
    return chosen.decide(facts(statement(*effects, **more)))
