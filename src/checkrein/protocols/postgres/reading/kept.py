"""Readings that were made before, by exact text or by shape, for one catalog and one meaning of names."""

from __future__ import annotations

from checkrein.core import limits
from checkrein.core.statement import Statement
from checkrein.protocols.postgres.acts import Reading, Surroundings
from checkrein.protocols.postgres.catalog import CatalogSnapshot, Names
from checkrein.protocols.sql.shape import shape_of

Readings = tuple[Reading, ...]
Key = tuple[int, str]
Own = tuple[tuple[object, object], ...]
Space = tuple[str, str, tuple[str, ...], bool, Own, Own]


class Kept:
    """A bounded store of readings, the oldest dropped first. One a process; holds no secrets but texts."""

    __slots__ = ("catalog", "exact", "most", "names", "shapes", "space", "spaces")

    def __init__(self, most: int = limits.STATEMENT_CACHE) -> None:
        self.most = most
        self.exact: dict[Key, Readings] = {}
        self.shapes: dict[Key, Readings] = {}
        self.spaces: dict[Space, int] = {}
        self.catalog: CatalogSnapshot | None = None  # of the last look-up, with its space: the next is mostly the same
        self.names: Names | None = None
        self.space = 0

    def find(self, text: str, around: Surroundings) -> Readings | None:
        """Return the readings of a text read before, or of one of its shape."""
        if not keepable(around):
            return None
        space = self._space(around)
        found = self.exact.get((space, text))
        if found is not None:
            return found
        if len(text) > limits.READING_SHAPE_CHARACTERS:
            return None
        shape = shape_of(text)
        if shape is None:
            return None
        found = self.shapes.get((space, shape))
        return None if found is None else _renewed(text, found[0])

    def keep(self, text: str, around: Surroundings, readings: Readings) -> None:
        """Keep readings, by shape where no constant was looked at. What depends on more than its key is not kept."""
        if len(text) > limits.STATEMENT_IN_PROCESS_BYTES or not keepable(around):
            return
        space = self._space(around)
        only = readings[0]
        shape = shape_of(text) if len(readings) == 1 and len(text) <= limits.READING_SHAPE_CHARACTERS else None
        if shape is None or only.statement.reads_constants or not only.statement.complete:
            _put(self.exact, (space, text), readings, self.most)
        else:
            _put(self.shapes, (space, shape), readings, self.most)

    def _space(self, around: Surroundings) -> int:
        """Return the number of what names mean here: one for each catalog version and version of names."""
        if around.names is self.names and around.catalog is self.catalog:
            return self.space
        names, catalog = around.names, around.catalog
        version = catalog.version if catalog is not None else ""
        # A version of names is one session's own count: what a session has to itself is told apart by what it is.
        temporary, uncommitted = tuple(names.temporary.items()), tuple(names.uncommitted.items())
        key = (version, names.version, names.search_path, names.known, temporary, uncommitted)
        number = self.spaces.get(key)
        if number is None:
            if len(self.spaces) >= limits.READING_SPACES:
                self.spaces.clear()
                self.exact.clear()
                self.shapes.clear()
            number = self.spaces[key] = len(self.spaces)
        self.names, self.catalog, self.space = names, catalog, number
        return number


def keepable(around: Surroundings) -> bool:
    """Whether the version of the names tells everything that they depend on."""
    names = around.names
    return around.catalog is not None and (bool(names.version) or not (names.temporary or names.uncommitted))


def _renewed(text: str, reading: Reading) -> Readings:
    """Return a reading for another text of its shape: nothing but the text differs."""
    if reading.statement.text == text:
        return (reading,)
    return (Reading(_with_text(reading.statement, text), reading.act),)


def _with_text(old: Statement, text: str) -> Statement:
    """Return a statement with another text; spelt out, since msgspec's replace takes thrice as long."""
    return Statement(
        protocol=old.protocol, text=text, verbs=old.verbs, effects=old.effects, complete=old.complete,
        conceded=old.conceded, parameters=old.parameters, outputs=old.outputs, opaque_rows=old.opaque_rows,
        uses=old.uses, stored_calls=old.stored_calls, relations=old.relations, writes=old.writes,
        filtered=old.filtered, bounded=old.bounded,
        bounded_keys=old.bounded_keys, reads_constants=old.reads_constants, literals=old.literals,
        parameter_origins=old.parameter_origins, version=old.version, facts=old.facts,
    )  # fmt: skip


def _put(store: dict[Key, Readings], key: Key, readings: Readings, most: int) -> None:
    """Add an entry; when full, drop the oldest quarter."""
    if len(store) >= most:
        for old in list(store)[: most // 4]:
            del store[old]
    store[key] = readings
