"""What a write tells by the keys that the server checks for it."""

from __future__ import annotations

from checkrein.core.statement import Origin
from checkrein.protocols.postgres.catalog import CatalogRelation, ForeignKey
from checkrein.protocols.postgres.reading import finish
from checkrein.protocols.postgres.reading.names import origin_of
from checkrein.protocols.postgres.reading.state import Reader
from checkrein.protocols.sql.lineage import Value


def probed(reader: Reader, written: CatalogRelation, columns: list[tuple[Origin, ...]]) -> None:
    """Writing a column that stands in a unique key or at either end of a foreign key tells whether a value is there.

    Through a view, the columns of the tables under it are written: `columns` are the base columns behind each.
    """
    known: dict[int, tuple[set[str], list[ForeignKey]]] = {}
    for origin in [origin for origins in columns for origin in origins]:
        if origin.oid not in known:
            relation = reader.catalog.relations_by_oid.get(origin.oid, written)
            known[origin.oid] = _telling(reader, relation)
        telling, foreign = known[origin.oid]
        if origin.column in telling:
            reader.log.use(Value(origins=(origin,)), "written to a key", 0)
        for key in foreign:
            if origin.column in key.columns:
                refers(reader, key.referenced_oid, key.referenced_columns)


def refers(reader: Reader, oid: int, names: tuple[str, ...]) -> None:
    """Note that a foreign key tells whether values stand in these columns of the relation that it refers to."""
    for relation in reader.related((oid,)):
        reader.relations[relation.oid] = relation
        found = [origin for origin in [_origin(relation, name) for name in names] if origin is not None]
        reader.log.use(Value(origins=tuple(found)), "referred to by a key", 0)


def _telling(reader: Reader, relation: CatalogRelation) -> tuple[set[str], list[ForeignKey]]:
    """Return the columns that keys look at, here and in partitions and children, where the rows may go, and the
    foreign keys there."""
    found: set[str] = set()
    foreign: list[ForeignKey] = []
    for one in _descent(reader, relation):
        found.update(one.keyed)
        for unique in one.unique_keys:
            found.update(unique)
        for key in one.foreign_keys:
            found.update(key.columns)
            foreign.append(key)
        found.update(_referenced(reader, one))
    return found, foreign


def _descent(reader: Reader, relation: CatalogRelation) -> list[CatalogRelation]:
    """Return a relation and all that inherits from it, each once."""
    found = {relation.oid: relation}
    left = [relation]
    while left:
        for oid in left.pop().children:
            child = reader.catalog.relations_by_oid.get(oid)
            if child is not None and oid not in found:
                found[oid] = child
                left.append(child)
    return list(found.values())


def _referenced(reader: Reader, relation: CatalogRelation) -> set[str]:
    """Return the columns of a relation that foreign keys elsewhere refer to."""
    return set(finish.referenced_columns(reader.catalog).get(relation.oid, ()))


def _origin(relation: CatalogRelation, name: str) -> Origin | None:
    """Return a column of a relation as an origin, None when it has none of that name."""
    for column in relation.columns:
        if column.name == name:
            return origin_of(relation, name, column.number)
    return None
