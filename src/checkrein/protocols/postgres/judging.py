"""From a statement's text to its reading under the names of this moment, and to its Decision."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Protocol

import msgspec

from checkrein.core.decision import Decision
from checkrein.core.errors import Unavailable
from checkrein.core.limits import STATEMENT_BYTES
from checkrein.core.statement import Statement
from checkrein.core.steps import Answered, Decide, Offload, Query, Steps
from checkrein.core.verdict import Refusal
from checkrein.protocols.postgres.acts import Act, Reading, Surroundings
from checkrein.protocols.postgres.catalog import CatalogQuestion, CatalogSnapshot, Names
from checkrein.protocols.postgres.exchange import Prepared
from checkrein.protocols.postgres.state import DEFINING, State

QUESTION = CatalogQuestion()
WORKER = "checkrein.protocols.postgres.reading.worker:parse"
USES_EARLIER = frozenset({"execute", "fetch", "move"})
CHANGES_EARLIER = frozenset({"prepare", "deallocate", "declare", "close", "discard", "commit", "rollback"})


TAKEN_BACK: Final = frozenset({"insert", "update", "delete", "select", "lock"})
"""Verbs whose effect in an open transaction is nobody's until COMMIT, and gone with ROLLBACK."""

KEEPS_OPEN: Final = frozenset(
    "select values insert update delete merge show set begin savepoint release rollback rollback_to "
    "explain declare fetch move close prepare deallocate".split()
)
"""Statements that never make an open transaction's writes take effect."""

KEPT_READINGS: Final = 256
"""Texts of one session whose reading is at hand while catalog and names stay as they are."""

KEPT_TEXT: Final = 4096
"""Longer texts are not kept: they rarely come again."""


class Reader(Protocol):
    """Reading of SQL, pure (statements.py)."""

    def read(self, text: str, around: Surroundings, parsed: Any = None) -> tuple[Reading, ...]:
        """Return one Reading a statement; concedes instead of raising."""

    def needs_worker(self, text: str) -> bool:
        """Say whether the text must be parsed in the worker."""


class Judging:
    """Reads and decides for one session."""

    def __init__(self, state: State, reader: Reader) -> None:
        self._state = state
        self._reader = reader
        self._known: dict[tuple[str, bool], tuple[Reading, ...]] = {}
        self._known_catalog: CatalogSnapshot | None = None
        self._known_version = -1

    def refresh(self, anew: bool = False) -> Steps[None]:
        """Take the target's catalog as it is now; None where the side link cannot say. `anew`: asked for now."""
        state = self._state
        settled = state.catalog_stale and state.status == 73 and not state.queue and not state.dirty
        found = yield Query(QUESTION, anew or settled)
        if settled:
            state.catalog_stale = False
            state.redefined.clear()
        state.catalog = found if isinstance(found, CatalogSnapshot) else None

    def read(self, text: str, unsettled: bool = False, simple: bool = False) -> Steps[tuple[Reading, ...]]:
        """Return the readings of a request's statements; what uses an object that the open transaction may have
        redefined concedes, for the catalog shows what was committed."""
        readings = yield from self._readings(text, unsettled, simple)
        redefined = self._state.redefined
        return tuple([_redefined(one, redefined) for one in readings]) if redefined else readings

    def _readings(self, text: str, unsettled: bool, simple: bool) -> Steps[tuple[Reading, ...]]:
        """Return the readings of a request's statements, at least one.

        `unsettled`: unqualified names concede. `simple`: a Query, which has no parameters, and that is known.
        """
        yield from self.refresh()
        state = self._state
        if state.catalog is not self._known_catalog or state.version != self._known_version:
            self._known.clear()
            self._known_catalog, self._known_version = state.catalog, state.version
        if not unsettled:
            known = self._known.get((text, simple))
            if known is not None:
                return known
        readings = yield from self._read(text, unsettled)
        if simple:
            readings = tuple([Reading(with_parameters(one.statement, ()), one.act) for one in readings])
        if not unsettled and len(text) <= KEPT_TEXT and not any(one.act.kind in USES_EARLIER for one in readings):
            if len(self._known) >= KEPT_READINGS:
                self._known.clear()
            self._known[(text, simple)] = readings
        return readings

    def current(self, prepared: Prepared, unsettled: bool) -> Steps[Decision | None]:
        """Read again at Bind what was prepared under other names or another catalog, since the server plans it then.

        Returns the Decision that refuses it now, None when it may be bound.
        """
        state = self._state
        yield from self.refresh()
        if not unsettled and prepared.version == state.version and prepared.catalog is state.catalog:
            return None
        readings = yield from self.read(prepared.text, unsettled)
        decision = yield from self.decide(readings[0].statement, False)
        prepared.version = -1
        if decision.refusal is not None:
            return decision
        prepared.reading, prepared.decision = readings[0], decision
        if not unsettled:
            prepared.version, prepared.catalog = state.version, state.catalog
        return None

    def _read(self, text: str, unsettled: bool) -> Steps[tuple[Reading, ...]]:
        parsed: Any = None
        if len(text) > STATEMENT_BYTES:
            return (conceded(text, f"the statement is longer than {STATEMENT_BYTES} bytes"),)
        if self._reader.needs_worker(text):
            yield from self._state.flush()
            parsed = yield Offload(WORKER, text)
            if isinstance(parsed, Unavailable):
                return (conceded(text, f"the statement could not be parsed in time: {parsed}"),)
        around = self.around(unsettled)
        readings = tuple([_with_cursor(one, around.cursors) for one in self._reader.read(text, around, parsed)])
        if len(readings) > 1 and not unsettled:
            return self._in_order(text, readings, parsed)
        return readings or (Reading(Statement(protocol="postgres", text=text), Act(kind="empty")),)

    def around(self, unsettled: bool) -> Surroundings:
        """Return what a statement is read under now."""
        state = self._state
        names = Names(known=False, version=f"{state.version}?") if unsettled else state.names
        return Surroundings(
            catalog=state.catalog,
            names=names,
            prepared=state.prepared_texts(),
            cursors=state.open_cursors(),
            housekeeping=state.housekeeping,
        )

    def _in_order(self, text: str, readings: tuple[Reading, ...], parsed: Any) -> tuple[Reading, ...]:
        """Behind a statement that changes what names or prepared statements mean, later ones read as unsettled."""
        renamed = False
        remade = False
        found: list[Reading] = []
        blind: tuple[Reading, ...] = ()
        for index, reading in enumerate(readings):
            if renamed:
                blind = blind or self._reader.read(text, self.around(True), parsed)
                reading = blind[index] if len(blind) == len(readings) else conceded(text, "it could not be read again")
            if remade and reading.act.kind in USES_EARLIER:
                why = "what it runs is made by an earlier statement of the same request; send them one by one"
                reading = Reading(msgspec.structs.replace(reading.statement, complete=False, conceded=why), reading.act)
            found.append(reading)
            renamed = renamed or reading.act.changes_names
            remade = remade or reading.act.kind in CHANGES_EARLIER
        return tuple(found)

    def decide(
        self, statement: Statement, final: bool, again: Decision | None = None, act: Act | None = None
    ) -> Steps[Decision]:
        """Return the gate's Decision. `act`, where it is known, tells when what it writes takes effect."""
        if act is None or not final:
            decision: Decision = yield Decide(statement, final, again)
            return decision
        state = self._state
        in_block = state.status == 84 and not any(entry.results for entry in state.queue)
        deferred = in_block and act.row_write and all(effect.verb in TAKEN_BACK for effect in statement.effects)
        decided: Decision = yield Decide(statement, final, again, deferred, act.kind not in KEEPS_OPEN)
        return decided


def _redefined(reading: Reading, names: set[str]) -> Reading:
    """Return the reading, conceded where it reads or writes an object of these names, or through one."""
    for effect in reading.statement.effects:
        if effect.verb not in DEFINING and (effect.object in names or not names.isdisjoint(effect.via)):
            why = f"{effect.object} was redefined in this transaction; commit first"
            statement = msgspec.structs.replace(reading.statement, complete=False, conceded=why)
            return Reading(statement, reading.act)
    return reading


def conceded(text: str, why: str) -> Reading:
    """Return a reading that says only that it could not be read."""
    statement = Statement(protocol="postgres", text=text, complete=False, conceded=why, opaque_rows=True)
    return Reading(statement, Act(kind="utility", end=len(text.encode("utf-8", "replace"))))


def abandoned(decision: Decision) -> Answered:
    """Return the end of a statement that was decided and never ran."""
    return Answered(decision=decision, outcome="abandoned")


def _with_cursor(reading: Reading, cursors: Mapping[str, Statement]) -> Reading:
    """FETCH and MOVE run a portal under the parameters that it was bound with: rules see those."""
    run = cursors.get(reading.act.name) if reading.act.kind in ("fetch", "move") else None
    if run is None or not run.parameters:
        return reading
    return Reading(with_parameters(reading.statement, run.parameters, run.parameters_read), reading.act)


def with_parameters(statement: Statement, parameters: tuple[str | None, ...], read: bool = True) -> Statement:
    """Return a statement with its parameters known."""
    if not parameters and statement.parameters is not None:
        return statement
    return msgspec.structs.replace(statement, parameters=parameters, parameters_read=read)


def shown(decision: Decision) -> tuple[Refusal, str]:
    """Return a refused Decision's refusal and SQLSTATE: plain syntax errors and cancelled questions have their own."""
    refusal = decision.refusal
    assert refusal is not None
    facts = decision.statement.facts
    if refusal.code == "conceded" and "syntax_error" in facts:
        reason, position = str(facts["syntax_error"]), int(facts.get("position", 0))
        return msgspec.structs.replace(refusal, reason=reason, position=position), "42601"
    if refusal.code == "conceded" and "sqlstate" in facts:
        return msgspec.structs.replace(refusal, reason=decision.statement.conceded), str(facts["sqlstate"])
    if refusal.code == "approval_withdrawn" and "cancel" in refusal.reason:
        return refusal, "57014"
    return refusal, ""
