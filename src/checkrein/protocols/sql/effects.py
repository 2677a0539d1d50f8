"""The log that reading a statement writes into: uses, literals and effects, until they become a Statement."""

from __future__ import annotations

from checkrein.core.statement import Effect, Literal, Origin, Relation, Use
from checkrein.protocols.sql.lineage import Read, Value


class EffectLog:
    """What was found so far. `effects` are whole ones; `reads` become (select, relation) effects when reading ends.

    `constants` are all constants and parameters of the text, in the order in which they were read.
    """

    __slots__ = ("constants", "effects", "literals", "parameters", "reads", "relations", "stored", "uses")

    def __init__(self) -> None:
        self.effects: list[Effect] = []
        self.reads: list[Read] = []
        self.uses: dict[Use, None] = {}
        self.stored: dict[str, None] = {}
        self.constants: list[Value] = []
        self.literals: list[Literal] = []
        self.parameters: dict[int, dict[Origin, None]] = {}
        self.relations: dict[int, Relation] = {}

    def use(self, value: Value, place: str, position: int) -> None:
        """Note that every column behind this value is used in a place from which it could be inferred."""
        for origin in value.origins:
            self.uses[Use(origin, place, position)] = None

    def store(self, value: Value, place: str) -> None:
        """Note that this value is kept where a later statement may read it: its columns, and what functions gave."""
        self.use(value, place, 0)
        self.stored.update(dict.fromkeys(value.calls))

    def beside(self, constant: Value, origins: tuple[Origin, ...]) -> None:
        """Note that a constant or parameter stands beside these columns (compared with them or written to them)."""
        if constant.parameter >= 0:
            self.parameters.setdefault(constant.parameter, {}).update(dict.fromkeys(origins))
        elif constant.start >= 0:
            self.literals.append(Literal(constant.start, constant.end, origins))

    def within(self, first: int, end: int, origins: tuple[Origin, ...]) -> None:
        """Note that the constants from the `first` to before the `end` are part of what stands beside these."""
        if origins:
            for constant in self.constants[first:end]:
                self.beside(constant, origins)

    def secret(self, start: int, end: int) -> None:
        """Note a constant that is a credential whatever it stands beside."""
        self.literals.append(Literal(start, end, (), True))


def merge_effects(effects: list[Effect]) -> tuple[Effect, ...]:
    """Return the effects without exact repetitions, and with plain reads of one object put together."""
    seen: dict[tuple[object, ...], int] = {}
    merged: list[Effect] = []
    for effect in effects:
        key = (effect.verb, effect.object, effect.kind, effect.via, effect.guard, effect.door, effect.housekeeping)
        at = seen.get(key, -1)
        if at >= 0 and effect.verb == "select":
            merged[at] = _joined(merged[at], effect)
        elif at < 0 or effect not in merged:
            seen[key] = len(merged)
            merged.append(effect)
    return tuple(merged)


def _joined(first: Effect, second: Effect) -> Effect:
    """Return one read of the columns of both."""
    if first == second or (first.columns is None and not first.any_column):
        return first
    columns: tuple[str, ...] | None
    if second.columns is None and not second.any_column:
        columns = None
    else:
        columns = tuple(sorted({*(first.columns or ()), *(second.columns or ())}))
    return Effect(
        verb=first.verb,
        object=first.object,
        kind=first.kind,
        columns=columns if columns != () else None,
        any_column=columns == (),
        via=first.via,
        oid=first.oid,
        housekeeping=first.housekeeping,
        guard=first.guard,
        door=first.door,
        position=first.position,
    )
