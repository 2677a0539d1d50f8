"""Readings that were made before, by exact text or by shape, for one catalog and one meaning of names."""

from __future__ import annotations

from checkrein.core import limits
from checkrein.protocols.postgres.acts import Reading
from checkrein.protocols.postgres.catalog import CatalogSnapshot, Names
from checkrein.protocols.sql.shape import shape_of

Readings = tuple[Reading, ...]
Own = tuple[tuple[tuple[object, object], ...], frozenset[str]]
Space = tuple[int, tuple[str, ...], bool, Own, str]


class Kept:
    """A bounded store of readings, the oldest dropped first. One a process; holds no secrets but texts."""

    __slots__ = ("catalog", "exact", "most", "most_parts", "names", "parts", "shapes", "space", "spaces")

    def __init__(self, most: int = limits.STATEMENT_CACHE, most_parts: int = limits.READING_PARTS) -> None:
        self.most = most
        self.most_parts = most_parts
        self.parts = 0  # of all that is kept
        self.exact: dict[tuple[int, str], Readings] = {}
        self.shapes: dict[tuple[int, bytes], Readings] = {}
        self.spaces: dict[Space, int] = {}
        self.catalog: CatalogSnapshot | None = None  # of the last look-up, with its space: the next is mostly the same
        self.names: Names | None = None
        self.space = 0

    def find(self, text: str, catalog: CatalogSnapshot | None, names: Names, simple: bool) -> Readings | None:
        """Return the readings of a text read before, or of one of its shape.

        `simple`: it came in a Query, which has no parameters, and that is known.
        """
        space = self._space(catalog, names)
        if space < 0:
            return None
        found = self.exact.get((space, text))
        if found is None:
            if len(text) > limits.READING_SHAPE_CHARACTERS:
                return None
            shape = shape_of(text)
            found = None if shape is None else self.shapes.get((space, shape))
            if found is None:
                return None
        if len(found) == 1:
            return (_renewed(found[0], text, simple),)
        return tuple([without_parameters(one) for one in found]) if simple else found

    def keep(self, text: str, catalog: CatalogSnapshot | None, names: Names, readings: Readings) -> None:
        """Keep readings, by shape where no constant was looked at. What depends on more than its key is not kept."""
        space = self._space(catalog, names)
        if space < 0 or len(text) > limits.STATEMENT_IN_PROCESS_BYTES:
            return
        only = readings[0]
        shape = shape_of(text) if len(readings) == 1 and len(text) <= limits.READING_SHAPE_CHARACTERS else None
        parts = _parts(readings)
        if parts > self.most_parts // 8:
            return
        self._make_room(parts)
        if shape is None or only.statement.reads_constants or not only.statement.complete:
            self.parts += parts - _parts(self.exact.get((space, text), ()))
            self.exact[space, text] = readings
        else:
            self.parts += parts - _parts(self.shapes.get((space, shape), ()))
            self.shapes[space, shape] = readings

    def _space(self, catalog: CatalogSnapshot | None, names: Names) -> int:
        """Return the number of what names mean here: one for each catalog, search path and relations of one's own.

        Negative where there is no catalog, or one of a session's own transaction. Temporary relations are told apart by
        what they are: another session's have the same schema's name after it.
        """
        if names is self.names and catalog is self.catalog:
            return self.space
        if catalog is None or not catalog.identity or catalog.uncommitted:
            return -1
        own = (tuple(names.temporary.items()), names.types)
        key = (catalog.identity, names.search_path, names.known, own, names.why)
        number = self.spaces.get(key, -1)
        if number < 0:
            if len(self.spaces) >= limits.READING_SPACES:
                self.spaces.clear()
                self.exact.clear()
                self.shapes.clear()
                self.parts = 0
            number = self.spaces[key] = len(self.spaces)
        self.names, self.catalog, self.space = names, catalog, number
        return number

    def _make_room(self, parts: int) -> None:
        """While it is full, drop the oldest quarter."""
        while max(len(self.exact), len(self.shapes)) >= self.most or self.parts + parts > self.most_parts:
            for text in list(self.exact)[: len(self.exact) // 4 + 1]:
                self.parts -= _parts(self.exact.pop(text))
            for shape in list(self.shapes)[: len(self.shapes) // 4 + 1]:
                self.parts -= _parts(self.shapes.pop(shape))


def _parts(readings: Readings) -> int:
    return sum([reading.statement.parts() for reading in readings])


def without_parameters(reading: Reading) -> Reading:
    """Return the reading of a statement of a Query: that it has no parameters is known."""
    return _renewed(reading, reading.statement.text, True)


def _renewed(reading: Reading, text: str, simple: bool) -> Reading:
    """Return a reading for another text of its shape: but for the text and what is known of parameters the same."""
    statement = reading.statement
    if statement.text != text:
        statement = statement.with_text(text)
    if simple:
        statement = statement.with_parameters(())
    return reading if statement is reading.statement else Reading(statement, reading.act)
