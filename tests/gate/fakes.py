"""Pure stand-ins for the gate's ports, for tests of the gate alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from checkrein.core.errors import Unavailable
from checkrein.core.facts import FactRecord
from checkrein.core.identity import Principal
from checkrein.core.maskplan import ColumnInfo, MaskPlan
from checkrein.core.session import SessionContext
from checkrein.core.spec import ProtocolSpec
from checkrein.core.steps import Verb, steps_of
from checkrein.core.target import Profile, Target
from checkrein.core.verdict import AskTerms, Obligations, Refusal, Verdict
from checkrein.gate.gate import Gate
from checkrein.gate.ports import Gateway

TERMS = AskTerms(policy="p", rule="asks", approvers=("oncall",), digest="d1")
PRINCIPAL = Principal(subject="bot", issuer="corp", groups=("corp:bots",))
TARGET = Target(name="words", protocol="echo", host="h", port=1, profiles={"default": Profile("default", "u")})


class Snapshot:
    """A policy that is a function of the statement's first object."""

    def __init__(self, rules: dict[str, str], id: str = "s1", terms: AskTerms = TERMS) -> None:
        self.id = id
        self.rules = rules
        self.terms = terms
        self.decided = 0

    def may_enter(self, principal: Principal, target: Target, profile: str) -> str:
        return self.rules.get("enter", "")

    def decide(self, facts: FactRecord) -> Verdict:
        self.decided += 1
        effects = facts.statement.effects
        outcome = self.rules.get(effects[0].object, "deny") if effects else "deny"
        asks = (self.terms,) if outcome == "ask" else ()
        return Verdict(
            outcome=outcome, policy="p", rule=outcome, reason=f"rule says {outcome}", asks=asks, snapshot=self.id
        )

    def duties(self, principal: Principal, target: Target, profile: str) -> Obligations:
        return Obligations()


class Policies:
    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot

    def current(self) -> Snapshot:
        return self.snapshot


class Masker:
    def plan(
        self, obligations: Obligations, principal: Principal, columns: tuple[ColumnInfo, ...]
    ) -> MaskPlan | Refusal | None:
        return None

    def scrub(
        self, obligations: Obligations, principal: Principal, texts: tuple[bytes, ...], counts: dict[str, int]
    ) -> tuple[bytes, ...]:
        return tuple(text.replace(b"secret", b"******") for text in texts)

    def digest(self, value: bytes) -> str:
        return "digest"


class Journal:
    """Remembers what was written, in order; `written` counts events that a flush carried."""

    def __init__(self, log: list[Any]) -> None:
        self.log = log
        self.events: list[tuple[str, dict[str, Any]]] = []
        self.written = 0
        self.broken = False

    def append(self, kind: str, fields: dict[str, Any], encoded: bytes = b"") -> None:
        self.events.append((kind, fields | msgspec.json.decode(b"{" + encoded + b"}")))

    def flush(self) -> None:
        if self.broken:
            raise Unavailable("disk full")
        self.log += [("journal", kind) for kind, _ in self.events[self.written :]]
        self.written = len(self.events)

    def close(self, reason: str, totals: dict[str, Any]) -> None:
        self.append("closed", {"reason": reason, **totals})
        self.flush()

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [fields for name, fields in self.events if name == kind]


class Journals:
    def __init__(self) -> None:
        self.log: list[Any] = []
        self.journal = Journal(self.log)
        self.refused: list[dict[str, Any]] = []
        self.well = True

    def open(self, session: str, fields: dict[str, Any]) -> Journal:
        self.journal.append("opened", fields)
        return self.journal

    def healthy(self) -> bool:
        return self.well

    def login_refused(self, fields: dict[str, Any]) -> None:
        self.refused.append(fields)


class Desk:
    def __init__(self) -> None:
        self.withdrawn: list[tuple[str, str]] = []

    def withdraw(self, id: str, reason: str) -> None:
        self.withdrawn.append((id, reason))


class NoCatalogs:
    def cached(self, target: Target, profile: str) -> Any:
        return None

    def gone(self, changer: object) -> None:
        pass


class World:
    """One gate with fake ports, and a driver that performs its steps."""

    def __init__(self, spec: ProtocolSpec, rules: dict[str, str]) -> None:
        self.policies = Policies(Snapshot(rules))
        self.journals = Journals()
        self.desk = Desk()
        gateway = Gateway({"words": TARGET}, self.policies, Masker(), self.journals, self.desk, NoCatalogs())
        context = SessionContext(id="1", client="c:1", random=lambda n: b"r" * n)
        self.gate = Gate(gateway, spec, context)

    @property
    def log(self) -> list[Any]:
        """Journal writes and transport steps in the order in which they happened."""
        return self.journals.log

    def run(self, verb: Verb, answer: Callable[[Any], Any] = lambda step: None) -> list[Any]:
        """Run a verb to its end; return what it yielded."""
        steps = steps_of(verb)
        yielded = []
        reply = None
        while True:
            try:
                step = steps.send(reply)
            except StopIteration:
                return yielded
            yielded.append(step)
            self.log.append(step)
            reply = answer(step)
