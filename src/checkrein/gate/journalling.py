"""What the gate writes of a decision: facts in full once, then by reference; secret constants digested."""

from __future__ import annotations

import hashlib
from typing import Any, Final

import msgspec

from checkrein.core.identity import Principal
from checkrein.core.statement import Origin, Statement
from checkrein.core.verdict import DetectDuty, Obligations, Verdict
from checkrein.gate.ports import Masker

_ENCODER = msgspec.json.Encoder()


def touches(statement: Statement) -> tuple[str, ...]:
    """Return the objects that a statement touches, each once, in order."""
    return tuple(dict.fromkeys(effect.object for effect in statement.effects))


def facts_of(statement: Statement) -> dict[str, Any]:
    """Return the part of the fact record that the decided event does not say in its own words (I7)."""
    return {
        "protocol": statement.protocol,
        "complete": statement.complete,
        "conceded": statement.conceded,
        "outputs": statement.outputs,
        "opaque_rows": statement.opaque_rows,
        "uses": statement.uses,
        "stored_calls": statement.stored_calls,
        "relations": [
            {"name": r.name, "oid": r.oid, "columns": r.columns, "parents": r.parents, "origins": r.column_origins}
            for r in statement.relations
        ],
        "writes": statement.writes,
        "filtered": statement.filtered,
        "bounded": statement.bounded,
        "bounded_keys": statement.bounded_keys,
        "version": statement.version,
    }


def template(statement: Statement, verdict: Verdict) -> tuple[bytes, bytes]:
    """Return, as JSON, the members of a decided event that every statement of this meaning and verdict shares, and the
    facts, which the first event of a session has in full and later ones refer to."""
    facts = _ENCODER.encode(facts_of(statement))
    effects = _ENCODER.encode(statement.effects)
    fields = {
        "verbs": list(statement.verbs),
        "touches": list(touches(statement)),
        "effects": msgspec.Raw(effects),
        "verdict": verdict.outcome,
        "policy": verdict.policy,
        "rule": verdict.rule,
        "reason": verdict.reason,
        "snapshot": verdict.snapshot,
        "facts_digest": hashlib.sha256(effects + facts).hexdigest(),
    }
    if verdict.observed:
        fields["observed"] = msgspec.Raw(_ENCODER.encode(verdict.observed))
    return _ENCODER.encode(fields)[1:-1], facts


CLEAN_TEXTS: Final = 256
"""Texts of one session in which detectors found nothing: a driver repeats few statements."""

CLEAN_TEXT: Final = 4096
"""Longer ones are looked at again each time: they rarely come again."""


class Redactor:
    """Turns what the client typed into what the journal may keep, for one session."""

    def __init__(self, masker: Masker, principal: Principal) -> None:
        self._masker = masker
        self._principal = principal
        self._clean: set[str] = set()
        self._clean_of: tuple[DetectDuty, ...] = ()

    def shown(self, statement: Statement, duties: Obligations) -> tuple[str, list[str | None] | None]:
        """Return text and parameters: constants of masked columns and passwords digested, detectors applied."""
        text = statement.text
        if statement.literals and any(one.password or owed(one.origins, duties) for one in statement.literals):
            text = self._digest_literals(text, statement, duties)
        given = statement.parameters
        shown: list[str | None] | None = None
        if given is not None:
            shown = list(given)
            if statement.parameter_origins and duties.columns:
                shown = [self._parameter(index, value, statement, duties) for index, value in enumerate(given)]
        return self._detected(text, shown, duties) if duties.detect else (text, shown)

    def _parameter(self, index: int, value: str | None, statement: Statement, duties: Obligations) -> str | None:
        if value is None or not owed(statement.parameter_origins.get(index, ()), duties):
            return value
        return self._digest(value)

    def _detected(
        self, text: str, shown: list[str | None] | None, duties: Obligations
    ) -> tuple[str, list[str | None] | None]:
        """Return text and parameters with what detectors find masked; a text known to be clean is not read again."""
        if duties.detect is not self._clean_of:
            self._clean_of = duties.detect
            self._clean.clear()
        if text not in self._clean:
            found = self._scrub([text], duties)[0]
            if found == text and len(text) <= CLEAN_TEXT:
                if len(self._clean) >= CLEAN_TEXTS:
                    self._clean.clear()
                self._clean.add(text)
            text = found
        if not shown:
            return text, shown
        scrubbed = self._scrub([value or "" for value in shown], duties)
        return text, [None if value is None else scrubbed[at] for at, value in enumerate(shown)]

    def _digest(self, value: str) -> str:
        return self._masker.digest(value.encode())

    def _digest_literals(self, text: str, statement: Statement, duties: Obligations) -> str:
        data = text.encode()
        pieces: list[bytes] = []
        position = 0
        for literal in sorted(statement.literals, key=lambda literal: literal.start):
            if literal.start >= position and (literal.password or owed(literal.origins, duties)):
                pieces += [data[position : literal.start], self._quoted(data[literal.start : literal.end])]
                position = literal.end
        return text if not position else b"".join([*pieces, data[position:]]).decode(errors="replace")

    def _quoted(self, literal: bytes) -> bytes:
        return b"'" + self._masker.digest(literal).encode() + b"'"

    def _scrub(self, texts: list[str], duties: Obligations) -> list[str]:
        given = tuple([text.encode() for text in texts])
        found = self._masker.scrub(duties, self._principal, given, {})
        return texts if found is given else [text.decode(errors="replace") for text in found]


def owed(origins: tuple[Origin, ...], duties: Obligations) -> bool:
    """Whether any of these columns is masked under these duties."""
    columns = duties.columns
    return bool(columns) and any((origin.relation, origin.column) in columns for origin in origins)
