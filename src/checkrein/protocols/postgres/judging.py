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
from checkrein.protocols.postgres.acts import Act, Reading
from checkrein.protocols.postgres.catalog import CatalogChange, CatalogQuestion, CatalogSnapshot, Names
from checkrein.protocols.postgres.exchange import Portal, Prepared
from checkrein.protocols.postgres.reading.kept import without_parameters
from checkrein.protocols.postgres.reading.names import relation_name
from checkrein.protocols.postgres.state import DEFINING, ENDS_BLOCK, State
from checkrein.protocols.postgres.surroundings import BEHIND, Surroundings

_CATALOG: Final = Query(CatalogQuestion())
_FRESH: Final = Query(CatalogQuestion(), fresh=True)
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


class Reader(Protocol):
    """Reading of SQL, pure (statements.py)."""

    def kept(
        self, text: str, catalog: CatalogSnapshot | None, names: Names, simple: bool = False
    ) -> tuple[Reading, ...] | None:
        """Return the readings of a text that was read before under the same names, None when there are none."""

    def read(self, text: str, around: Surroundings, parsed: Any = None) -> tuple[Reading, ...]:
        """Return one Reading a statement; concedes instead of raising."""

    def needs_worker(self, text: str) -> bool:
        """Say whether the text must be parsed in the worker."""


class Judging:
    """Reads and decides for one session."""

    def __init__(self, state: State, reader: Reader) -> None:
        self._state = state
        self._reader = reader
        self.prompt = state.context.prompt
        self._settled = Query(CatalogChange(state.changer, settled=True), fresh=True)

    # --- the catalog ---------------------------------------------------------------------------

    def asked(self, anew: bool = False) -> Query:
        """Return the question for the target's catalog as it is now, to be yielded. `anew`: asked for now."""
        state = self._state
        if state.catalog_stale and state.status == 73 and not state.queue and not state.dirty:
            return self._settled
        return _FRESH if anew else _CATALOG

    def took(self, found: Any, asked: Query) -> None:
        """Take its answer; the catalog is None where the side link cannot say."""
        state = self._state
        if asked is self._settled:
            state.catalog_stale = False
            state.redefined.clear()
        state.take_catalog(found if isinstance(found, CatalogSnapshot) else None)

    def refresh(self, anew: bool = False) -> Steps[None]:
        """Take the target's catalog as it is now."""
        question = self.asked(anew)
        self.took((yield question), question)

    # --- reading -------------------------------------------------------------------------------

    def kept(self, text: str, unsettled: bool, simple: bool = False) -> tuple[Reading, ...] | None:
        """Return the readings of a text that was read before under these very names, None when it must be read."""
        state = self._state
        if unsettled or state.redefined or state.uncommitted is not None:
            return None
        return self._reader.kept(text, state.catalog, state.names, simple)

    def read(self, text: str, unsettled: bool = False, simple: bool = False) -> Steps[tuple[Reading, ...]]:
        """Return the readings of a request's statements, at least one, under the catalog that was taken last.

        `unsettled`: unqualified names concede. `simple`: a Query, which has no parameters, and that is known. What uses
        an object that the open transaction may have redefined concedes, unless the catalog shows it as it is now.
        """
        readings = self.kept(text, unsettled, simple)
        if readings is not None:
            return readings
        readings = yield from self._read(text, unsettled)
        if simple:
            readings = tuple([without_parameters(one) for one in readings])
        redefined = self._redefined(unsettled)
        return tuple([_conceding(one, redefined) for one in readings]) if redefined else readings

    def _redefined(self, unsettled: bool) -> set[str]:
        """Return the names of objects that may mean something else by now than the catalog shows."""
        state = self._state
        if not unsettled and state.sees_uncommitted():
            return set()
        made = state.uncommitted.relations if state.uncommitted is not None else ()
        return state.redefined.union([relation_name(one) for one in made]) if made else state.redefined

    def is_current(self, prepared: Prepared, unsettled: bool) -> bool:
        """Whether a prepared statement was read under the names and the catalog of now."""
        state = self._state
        return not unsettled and prepared.version == state.version and prepared.catalog is state.catalog

    def renew(self, prepared: Prepared, unsettled: bool) -> Steps[Decision | None]:
        """Read again at Bind what was prepared under other names or another catalog, since the server plans it then.

        Returns the Decision that refuses it now, None when it may be bound.
        """
        state = self._state
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
        names = Names(known=False, version=f"{state.version}?", why=BEHIND) if unsettled else state.names
        return Surroundings(
            catalog=state.catalog,
            names=names,
            prepared=state.prepared_texts(),
            declared=state.declared_types(),
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
                reading = Reading(reading.statement.conceding(why), reading.act)
            found.append(reading)
            ends = self._state.names_moved and reading.act.kind in ENDS_BLOCK
            renamed = renamed or reading.act.changes_names or ends
            remade = remade or reading.act.kind in CHANGES_EARLIER
        return tuple(found)

    def decide(
        self, statement: Statement, final: bool, again: Decision | None = None, act: Act | None = None
    ) -> Steps[Decision]:
        """Return the gate's Decision."""
        decided: Decision = yield self.step(statement, final, again, act)
        return decided

    def step(self, statement: Statement, final: bool, again: Decision | None, act: Act | None) -> Decide:
        """Return the step that asks for a Decision. `act`, where known, tells when what it writes takes effect."""
        if act is None or not final:
            return Decide(statement, final, again)
        state = self._state
        deferred = (
            state.status == 84
            and not state.block_over
            and act.row_write
            and not any(entry.results for entry in state.queue)
            and all(effect.verb in TAKEN_BACK for effect in statement.effects)
        )
        return Decide(statement, final, again, deferred, act.kind not in KEEPS_OPEN)


def _conceding(reading: Reading, names: set[str]) -> Reading:
    """Return the reading, conceded where it reads or writes an object of these names, or through one."""
    for effect in reading.statement.effects:
        if effect.verb not in DEFINING and (effect.object in names or not names.isdisjoint(effect.via)):
            why = f"{effect.object} was redefined in this transaction by what was not answered yet; commit first"
            return Reading(reading.statement.conceding(why), reading.act)
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
    made = with_parameters(reading.statement, run.parameters, run.parameters_read, run.parameter_types)
    return Reading(made, reading.act)


def with_parameters(
    statement: Statement, parameters: tuple[str | None, ...], read: bool = True, types: tuple[int, ...] = ()
) -> Statement:
    """Return a statement with its parameters known, and the types that were declared for them."""
    if not parameters and statement.parameters is not None:
        return statement
    return statement.with_parameters(parameters, read, types)


def bound(statement: Statement, portal: Portal) -> Statement:
    """Return a portal's statement with what was bound to it."""
    return with_parameters(statement, portal.parameters, portal.read, portal.prepared.declared)


def shown(decision: Decision) -> tuple[Refusal, str]:
    """Return a refused Decision's refusal and SQLSTATE: plain syntax errors and cancelled questions have their own."""
    refusal = decision.refusal
    assert refusal is not None
    facts = decision.statement.facts
    if refusal.code == "conceded" and "syntax_error" in facts:
        reason, position = str(facts["syntax_error"]), int(facts.get("position", 0))
        return msgspec.structs.replace(refusal, reason=reason, position=position), "42601"
    if refusal.code == "conceded" and "sqlstate" in facts:
        reason, position = decision.statement.conceded, int(facts.get("position", 0))
        return msgspec.structs.replace(refusal, reason=reason, position=position), str(facts["sqlstate"])
    if refusal.code == "approval_withdrawn" and "cancel" in refusal.reason:
        return refusal, "57014"
    return refusal, ""
