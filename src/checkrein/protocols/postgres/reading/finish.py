"""The end of reading: relations that were read become effects, views and partitions are followed."""

from __future__ import annotations

from typing import Final

from checkrein.core import limits
from checkrein.core.statement import Effect, Origin, Relation
from checkrein.protocols.postgres import doors, housekeeping
from checkrein.protocols.postgres.catalog import CatalogRelation
from checkrein.protocols.postgres.reading import views
from checkrein.protocols.postgres.reading.names import relation_kind, relation_name
from checkrein.protocols.postgres.reading.state import Reader
from checkrein.protocols.sql.lineage import Read


def read_effects(reader: Reader, reads: list[Read], via: tuple[str, ...] = ()) -> None:
    """Turn noted reads into effects, those of views' definitions after those of the views."""
    if len(via) > limits.READING_VIEWS:
        reader.concede("views are nested too deeply")
    for read in reads:
        relation = reader.relations.get(read.oid) or reader.catalog.relations_by_oid.get(read.oid)
        if relation is None:
            reader.concede("a relation of a view is not in the catalog")
        reader.relations[relation.oid] = relation
        if not read.needed and not read.columns:
            continue
        _select(reader, relation, read, via)
        if views.looked_through(relation):
            _through(reader, relation, via)


def _select(reader: Reader, relation: CatalogRelation, read: Read, via: tuple[str, ...]) -> None:
    """Note one read, and that of its partitions and parents, covered by an allow of itself."""
    columns = tuple(sorted(read.columns))
    door = housekeeping.door_of(relation, columns) or _missing_values(reader, relation, columns)
    guard = door if door in GUARD_DOORS else ""
    reader.effect(
        Effect(
            verb="select",
            object=relation_name(relation),
            kind=relation_kind(relation),
            columns=columns or None,
            any_column=not columns,
            via=via,
            oid=relation.oid,
            housekeeping=not door and housekeeping.needs_no_rule(relation, columns),
            door="" if guard else door,
            guard=guard,
            position=read.position,
        )
    )
    for other in family(reader, relation):
        known = {column.name for column in other.columns}
        shared = tuple(name for name in columns if name in known)
        reader.effect(
            Effect(
                verb="select", object=relation_name(other), kind=relation_kind(other), columns=shared or None,
                any_column=not shared, via=(*via, relation_name(relation)), oid=other.oid,
            )
        )  # fmt: skip


def _missing_values(reader: Reader, relation: CatalogRelation, columns: tuple[str, ...]) -> str:
    """Return the door of values in the system catalog that are used otherwise than selected, as pg_dump does."""
    for column in columns:
        if housekeeping.holds_missing_values(relation, column):
            for use in reader.log.uses:
                if use.origin.column == column and use.origin.oid == relation.oid and use.place != "CASE":
                    return doors.STATISTICS
    return ""


GUARD_DOORS: Final = frozenset(
    {"credentials", "server_files", "server_program", "replication", "role_switch", "setting"}
)


def _through(reader: Reader, relation: CatalogRelation, via: tuple[str, ...]) -> None:
    """Note what a view's definition reads, calls and compares, once for each way that leads to it."""
    way = (relation.oid, via)
    if way in reader.work.ways:
        return
    reader.work.ways.add(way)
    found = views.reading_of(reader, relation)
    name = relation_name(relation)
    if found.conceded:
        reader.concede(f'view "{relation.name}": {found.conceded}')
    for effect in found.calls:
        reader.effect(_via(effect, (*via, name)))
    for use in found.uses:
        reader.log.uses[use] = None
    reader.relations.update(found.relations)
    reader.changes_names = reader.changes_names or found.changes_names
    reader.writes = reader.writes or found.writes
    read_effects(reader, found.always, (*via, name))


def _via(effect: Effect, via: tuple[str, ...]) -> Effect:
    """Return an effect of a view's definition as reached through the view."""
    return Effect(
        verb=effect.verb, object=effect.object, kind=effect.kind, columns=effect.columns, any_column=effect.any_column,
        via=(*via, *effect.via), oid=effect.oid, housekeeping=effect.housekeeping, guard=effect.guard, door=effect.door,
    )  # fmt: skip


def family(reader: Reader, relation: CatalogRelation) -> list[CatalogRelation]:
    """Return the partitions, children and parents of a relation, near and far: they hold the same rows."""
    if not relation.parents and not relation.children:
        return []
    found: dict[int, CatalogRelation] = {}
    _follow(reader, relation, True, found)
    _follow(reader, relation, False, found)
    found.pop(relation.oid, None)
    return list(found.values())


def _follow(reader: Reader, relation: CatalogRelation, up: bool, found: dict[int, CatalogRelation]) -> None:
    """Collect ancestors or descendants."""
    waiting = list(relation.parents if up else relation.children)
    while waiting:
        oid = waiting.pop()
        if oid in found:
            continue
        other = reader.catalog.relations_by_oid.get(oid)
        if other is None:
            reader.concede("a partition or parent is not in the catalog")
        found[oid] = other
        if len(found) > limits.READING_FAMILY:
            reader.concede("it has too many partitions")
        waiting.extend(other.parents if up else other.children)


def relations(reader: Reader) -> tuple[Relation, ...]:
    """Return the relations that policy matches masks against: those that were met, and what views of them read."""
    made: list[Relation] = []
    for relation in reader.relations.values():
        if housekeeping.is_system(relation):
            continue
        origins: dict[str, tuple[Origin, ...]] = {}
        if relation.kind == "m":
            inner = views.reading_of(reader, relation)
            reader_columns = zip(relation.columns, inner.values, strict=False)
            origins = {column.name: value.origins for column, value in reader_columns if value.origins}
        made.append(
            Relation(
                name=relation_name(relation),
                oid=relation.oid,
                columns=tuple(column.name for column in relation.columns),
                parents=tuple(relation_name(other) for other in family(reader, relation)),
                column_origins=origins,
                definition=relation.definition,
            )
        )
    return tuple(made)
