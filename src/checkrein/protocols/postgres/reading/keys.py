"""What keys tell: a write that one refuses, or lets through, says whether another row holds the same values.

A unique or exclusion index compares all columns that it looks at, whichever of them is written; a foreign key those at
both its ends, when a row that refers is written and when one that is referred to changes or goes (manual 5.4).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from checkrein.core import limits
from checkrein.core.statement import Origin
from checkrein.protocols.postgres.catalog import CatalogRelation, CatalogSnapshot, ForeignKey
from checkrein.protocols.postgres.reading import views
from checkrein.protocols.postgres.reading.names import origin_of
from checkrein.protocols.postgres.reading.scope import Source
from checkrein.protocols.postgres.reading.state import Reader
from checkrein.protocols.sql.lineage import Value

Referring = tuple[CatalogRelation, ForeignKey]

_REFERRING: Final[dict[int, dict[int, list[Referring]]]] = {}


def referring(catalog: CatalogSnapshot) -> dict[int, list[Referring]]:
    """Return, by relation, the foreign keys elsewhere that refer to it; worked out once per catalog."""
    found = _REFERRING.get(catalog.identity) if catalog.identity else None
    if found is None:
        found = {}
        for relation in catalog.relations_by_oid.values():
            for key in relation.foreign_keys:
                found.setdefault(key.referenced_oid, []).append((relation, key))
        if len(_REFERRING) >= limits.READING_CATALOGS:
            _REFERRING.clear()
        if catalog.identity:
            _REFERRING[catalog.identity] = found
    return found


def told(reader: Reader, verb: str, relation: CatalogRelation, source: Source, names: list[str]) -> None:
    """Note what a write tells by its keys: an insert or update of these columns, or a delete.

    Through a view, the columns of the tables under it are written. What an INSERT leaves out is written where it has a
    default of the table's own.
    """
    for base in _bases(reader, relation):
        columns = _columns_of(source, base, names)
        if verb == "insert":
            columns.update([column.name for column in base.columns if column.filled])
        for one in descent(reader, base):
            made = columns | {computed for computed, of in one.computed if of in columns}
            if verb != "delete":
                _compared(reader, one, made)
            if verb != "insert":
                _left(reader, one, None if verb == "delete" else made)


def _bases(reader: Reader, relation: CatalogRelation) -> list[CatalogRelation]:
    """Return the relation whose rows are written: itself, or the tables under a view."""
    if not views.looked_through(relation):
        return [relation]
    found = [reader.catalog.relations_by_oid.get(oid) for oid in views.base_tables(reader, relation)]
    return [one for one in found if one is not None and not views.looked_through(one)]


def _columns_of(source: Source, base: CatalogRelation, names: list[str]) -> set[str]:
    """Return the columns of a base relation that are behind these columns of a write's target."""
    wanted = set(names)
    origins = [origin for column in source.columns if column.real in wanted for origin in column.value.origins]
    return {origin.column for origin in origins if origin.oid == base.oid}


def _compared(reader: Reader, relation: CatalogRelation, made: set[str]) -> None:
    """Note the unique keys and foreign keys of a relation that look at what is made in it."""
    for group in {*relation.keyed, *relation.unique_keys}:
        if not made.isdisjoint(group):
            _use(reader, relation, group, "written to a key")
    for key in relation.foreign_keys:
        if not made.isdisjoint(key.columns):
            _use(reader, relation, key.columns, "written to a key")
            refers(reader, key.referenced_oid, key.referenced_columns)


def _left(reader: Reader, relation: CatalogRelation, made: set[str] | None) -> None:
    """Note the foreign keys that refer to rows which go (None), or of which these columns change."""
    for other, key in referring(reader.catalog).get(relation.oid, ()):
        if made is None or not made.isdisjoint(key.referenced_columns):
            _use(reader, relation, key.referenced_columns, "referred to by a key")
            _use(reader, other, key.columns, "referring to what is written")


def refers(reader: Reader, oid: int, names: tuple[str, ...]) -> None:
    """Note that a foreign key tells whether values stand in these columns of the relation that it refers to."""
    for relation in reader.related((oid,)):
        _use(reader, relation, names, "referred to by a key")


def _use(reader: Reader, relation: CatalogRelation, names: Iterable[str], place: str) -> None:
    """Note that columns are compared, and with generated ones those that they are made of."""
    wanted = set(names)
    wanted.update([of for computed, of in relation.computed if computed in wanted])
    found: list[Origin] = [
        origin_of(relation, column.name, column.number) for column in relation.columns if column.name in wanted
    ]
    reader.relations[relation.oid] = relation
    reader.log.use(Value(origins=tuple(found)), place, 0)


def descent(reader: Reader, relation: CatalogRelation) -> list[CatalogRelation]:
    """Return a relation and all that inherits from it, where the rows may go or be, each once."""
    found = {relation.oid: relation}
    left = [relation]
    while left:
        for oid in left.pop().children:
            child = reader.catalog.relations_by_oid.get(oid)
            if child is not None and oid not in found:
                found[oid] = child
                left.append(child)
    return list(found.values())
