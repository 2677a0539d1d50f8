"""A decision is a function of what is on record (I7): every recorded one is made again from the recording alone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import msgspec
import psycopg
import pytest

from checkrein.core.facts import FactRecord, SessionFacts
from checkrein.core.identity import Actor, Principal
from checkrein.core.statement import Effect, Output, Relation, Statement, Use
from checkrein.core.target import Profile, Target
from checkrein.masking.detectors import KNOWN
from checkrein.policy.compile import compile_directory
from checkrein.policy.snapshot import Snapshot
from checkrein.protocols import PROTOCOLS
from tests.e2e.flows import ASKING, Held, approve, asking, run
from tests.support.gateway import Gateway
from tests.support.postgres import PostgresServer

POLICY = ASKING.replace(
    "  masks:",
    """    - {name: big, deny: {verbs: [delete], touches: [public.free], when: "!statement.bounded"}, message: No.}
    - {name: late, deny: {verbs: [select], touches: [public.tied], when: "counters.statements > 3"}}
    - {name: letters, deny: {verbs: [insert], touches: [public.free], when: "statement.parameters[0] == 'no'"}}
  masks:""",
)

TEXTS = """
SELECT 1|SELECT id, name, ssn FROM people|SELECT upper(ssn) FROM people|SELECT name FROM people WHERE ssn = 'x'
SELECT count(*) FROM orders o JOIN people p ON p.id = o.id|DELETE FROM free|DELETE FROM free WHERE id = 1
DROP TABLE free|INSERT INTO free (word) SELECT name FROM people|SELECT id FROM tied|SELECT pg_read_file('x')
SHOW work_mem|SELECT * FROM pg_authid|DO $$ BEGIN END $$|SELECT nosuch()|BEGIN|SELECT id FROM tied|ROLLBACK
SELECT id FROM people FOR UPDATE|TRUNCATE free|SELECT id FROM tied
"""


@pytest.fixture(scope="module")
def gateway(postgres: PostgresServer) -> Iterator[Gateway]:
    with asking(postgres, policy=POLICY) as found:
        yield found


def archived(gateway: Gateway, id: str) -> Snapshot:
    """Compile a snapshot from the archive of the data folder."""
    document = json.loads((gateway.data / "policies" / f"{id}.json").read_text())
    files = [(one["name"], one["text"]) for one in document["files"]]
    return compile_directory(files, {spec.name: spec for spec in PROTOCOLS}, None, KNOWN).snapshot


def statement_of(event: dict[str, Any], facts: dict[str, Any]) -> Statement:
    """Build the statement that a decided event and its facts tell of."""
    relations = [
        {**one, "column_origins": one.pop("origins")} for one in (dict(relation) for relation in facts["relations"])
    ]
    parameters = event["parameters"]
    return Statement(
        protocol=facts["protocol"],
        text=event["statement"],
        verbs=tuple(event["verbs"]),
        effects=msgspec.convert(event["effects"], tuple[Effect, ...]),
        complete=facts["complete"],
        conceded=facts["conceded"],
        parameters=None if parameters is None else tuple(parameters),
        parameters_read=facts.get("parameters_read", True),
        outputs=msgspec.convert(facts["outputs"], tuple[Output, ...] | None),
        opaque_rows=facts["opaque_rows"],
        uses=msgspec.convert(facts["uses"], tuple[Use, ...]),
        relations=msgspec.convert(relations, tuple[Relation, ...]),
        writes=facts["writes"],
        filtered=facts["filtered"],
        bounded=facts["bounded"],
        bounded_keys=facts["bounded_keys"],
        version=facts["version"],
    )


def test_decisions_are_made_again(gateway: Gateway) -> None:
    """Allowed, denied, asked, conceded, masked, counted: the recorded facts and snapshot give the recorded verdict."""
    with gateway.connect() as connection:
        for text in TEXTS.strip().replace("\n", "|").split("|"):
            try:
                connection.execute(text.encode())
            except psycopg.Error:
                if text == "BEGIN":
                    raise
        for word in ("yes", "no"):
            try:
                connection.execute("INSERT INTO free (word) VALUES (%s)", [word])
            except psycopg.Error:
                assert word == "no"
        held = Held(connection, run("UPDATE orders SET amount = %s WHERE id = 1", 5))
        approve(gateway, held.id)
        held.end()
        id = gateway.sessions()[0]["id"]
        events = gateway.events(id)
    opened = next(event for event in events if event["kind"] == "opened")
    target = Target(
        opened["target"], opened["protocol"], "h", 1, labels=opened["labels"],
        unguarded=opened["unguarded"], housekeeping=opened["housekeeping"],
        profiles={opened["profile"]: Profile(opened["profile"], "u")},
    )  # fmt: skip
    principal = Principal(
        opened["principal"], opened["issuer"], tuple(opened["groups"]),
        msgspec.convert(opened["actors"], tuple[Actor, ...]), opened["claims"], tuple(opened["roles"]),
    )  # fmt: skip
    session = SessionFacts(id, target.name, opened["profile"], opened["client"], opened["application"], opened["at"])
    snapshots: dict[str, Snapshot] = {}
    known: dict[int, dict[str, Any]] = {}
    seen = set()
    for event in (event for event in events if event["kind"] == "decided"):
        facts = event["facts"]
        if isinstance(facts, int):
            facts = known[facts]
        known[event["decision"]] = facts
        snapshot = snapshots.setdefault(event["snapshot"], archived(gateway, event["snapshot"]))
        assert snapshot.id == event["snapshot"], "the archive compiles to the very snapshot"
        read = event.get("read", {"now": event["at"], "counters": {}})
        record = FactRecord(
            principal, target, opened["profile"], statement_of(event, facts), session,
            read["now"], read["counters"], event.get("phase") != "prepare",
        )  # fmt: skip
        again = snapshot.decide(record)
        assert (again.outcome, again.policy, again.rule) == (event["verdict"], event["policy"], event["rule"]), event
        seen.add((event["verdict"], event["rule"]))
    rules = {rule for _, rule in seen}
    assert {"allow", "deny", "ask"} == {verdict for verdict, _ in seen}
    assert {"big", "late", "letters", "writes", "read"} <= rules, rules
