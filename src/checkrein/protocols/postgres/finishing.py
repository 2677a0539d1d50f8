"""What a session knows of names, prepared statements and cursors after a statement or a transaction ended."""

from __future__ import annotations

from typing import Final

from checkrein.core.errors import MaskError
from checkrein.core.statement import Statement
from checkrein.protocols.postgres.acts import Act
from checkrein.protocols.postgres.exchange import Result
from checkrein.protocols.postgres.state import ENDS_BLOCK, State

RUNS_CODE: Final = frozenset(
    "select values insert update delete merge do call execute explain copy_in copy_out fetch move".split()
)
"""Statements that take a snapshot, and may run functions of users, which may define something."""


def finished(state: State, act: Act, statement: Statement) -> None:
    """A statement succeeded."""
    kind = act.kind
    if kind in ("select", "insert", "update", "delete") and not act.changes_names:
        return
    if act.changes_names or act.ddl:
        state.names_dirty = state.names_moved = True
        state.changed()
    if act.ddl or (act.changes_names and _runs_code(kind, statement)):
        state.defining = True
    if state.defining and kind in ENDS_BLOCK:
        state.defining = False  # a block that is chained to it has no snapshot yet, and made nothing
        state.names_dirty = True
        state.changed()
    if kind == "prepare":
        text = statement.text.encode()
        base = act.start if len(text) == act.end - act.start else 0
        state.sql_prepared[act.name] = text[act.inner_start - base : act.inner_end - base].decode()
        state.sql_declared[act.name] = text[act.start - base : act.inner_start - base].decode()
        state.changed()
    elif kind == "deallocate":
        _deallocate(state, act.name)
    elif kind == "declare":
        state.cursors = {**state.cursors, act.name: statement}
        if act.hold:
            state.held_cursors.add(act.name)
        state.changed()
    elif kind == "close":
        _close(state, act.name)
    elif kind == "discard" and act.name.lower() in ("all", "*", ""):
        _deallocate(state, "")
        _close(state, "")


def _runs_code(kind: str, statement: Statement) -> bool:
    """Whether a statement may have run DDL: by a function of a user's, not by `set_config`."""
    calls = bool(statement.stored_calls) or any(effect.verb == "call" for effect in statement.effects)
    return kind in RUNS_CODE and (calls or not statement.complete)


def _deallocate(state: State, name: str) -> None:
    if name in ("", "*"):
        state.sql_prepared.clear()
        state.sql_declared.clear()
        given = {entry.undo[1] for entry in state.queue if entry.undo is not None and entry.undo[0]}
        state.take_back({(True, key): None for key in given.union(state.statements)})
    else:
        state.sql_prepared.pop(name, None)
        state.sql_declared.pop(name, None)
        state.take_back({(True, name.encode(state.encoding, "replace")): None})
    state.changed()


def _close(state: State, name: str) -> None:
    if name in ("", "*"):
        state.cursors = {}
        state.held_cursors.clear()
        state.portals = {key: one for key, one in state.portals.items() if one.segment == state.segment}
    else:
        state.take_back({(False, name.encode(state.encoding, "replace")): None})
        state.cursors = {key: value for key, value in state.cursors.items() if key != name}
        state.held_cursors.discard(name)
    state.changed()


def rollback_names(state: State) -> None:
    """Something failed: what it had changed for names may be taken back."""
    if state.status != 73:
        state.names_dirty = state.names_dirty or state.defining


def settled(state: State, status: int, segment: int) -> None:
    """ReadyForQuery: with the end of a transaction its portals and cursors are gone, and its names are settled."""
    before = state.status
    state.status = status
    state.block_over = False
    if status != 73:
        return
    state.wrote_masked = None
    if state.portals:
        state.portals = {name: one for name, one in state.portals.items() if one.segment > segment}
    if len(state.cursors) > len(state.held_cursors):
        state.cursors = {name: one for name, one in state.cursors.items() if name in state.held_cursors}
        state.changed()
    if before == 69 or state.names_moved or state.defining or state.uncommitted is not None:
        state.names_moved = state.defining = False
        state.names_dirty = True
        state.changed()


def end_copy(state: State, result: Result) -> str:
    """Send what the masker of a copy still held; return why that cannot be."""
    try:
        frames = result.masker.finish()
    except MaskError as error:
        return f"the copy cannot be masked: {error}"
    if frames:
        result.take(frames)
        state.answer(frames)
    return ""
