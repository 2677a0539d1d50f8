"""Looking through views: what a view's definition reads, and what its columns derive from.

A definition is read once per catalog version, in the search path the side link had ('': only pg_catalog is implicit).
"""

from __future__ import annotations

from typing import Final

from checkrein.core import limits
from checkrein.core.errors import Conceded
from checkrein.core.statement import Effect, Use
from checkrein.protocols.postgres import parser
from checkrein.protocols.postgres.catalog import CatalogRelation, Names
from checkrein.protocols.postgres.housekeeping import is_system
from checkrein.protocols.postgres.reading.scope import Scope
from checkrein.protocols.postgres.reading.state import Reader
from checkrein.protocols.sql.lineage import Read, Value

_QUALIFIED: Final = Names(search_path=("pg_catalog",), version="definition")


class ViewReading:
    """What one definition says. `always` are reads whatever columns are used."""

    __slots__ = ("always", "calls", "changes_names", "conceded", "relations", "uses", "values", "writes")

    def __init__(self) -> None:
        self.values: list[Value] = []
        self.always: list[Read] = []
        self.calls: list[Effect] = []
        self.uses: list[Use] = []
        self.relations: dict[int, CatalogRelation] = {}
        self.conceded = ""
        self.changes_names = False
        self.writes = False


_CACHE: dict[tuple[int, int], ViewReading] = {}


def looked_through(relation: CatalogRelation) -> bool:
    """Whether a relation is a view (materialised or not) that is not the system's own."""
    return relation.kind in "vm" and not is_system(relation)


def lineage(reader: Reader, relation: CatalogRelation) -> list[Value] | None:
    """Return what each column of a view derives from, None for what is not a view. Concedes as reading it does."""
    if not looked_through(relation):
        return None
    found = reading_of(reader, relation)
    if found.conceded:
        reader.concede(f'view "{relation.name}": {found.conceded}')
    return found.values


def reading_of(reader: Reader, relation: CatalogRelation) -> ViewReading:
    """Return the reading of a view's definition, cached: for this statement alone where it may not hold for others.

    One that conceded inside another view may be read when it stands alone.
    """
    key = (reader.catalog.identity, relation.oid)
    uncommitted = not reader.catalog.identity
    if relation.name in reader.names.temporary and relation.schema not in reader.catalog.schemas:
        uncommitted = True
    found: ViewReading | None = reader.work.views.get(relation.oid)
    if found is None and not uncommitted:
        found = _CACHE.get(key)
    if found is None:
        found = reader.work.views[relation.oid] = _read(reader, relation)
        if len(_CACHE) >= limits.READING_VIEWS_KEPT:
            _CACHE.clear()
        if not uncommitted and not (found.conceded and reader.views):
            _CACHE[key] = found
    return found


def _read(reader: Reader, relation: CatalogRelation) -> ViewReading:
    """Read a definition."""
    made = ViewReading()
    touched = reader.catalog.uncommitted
    if not relation.definition:
        why = "it was made or changed in this transaction; commit first"
        made.conceded = why if relation.oid in touched else "its definition is not known"
        return made
    if reader.views >= limits.READING_VIEWS:
        made.conceded = "views are nested too deeply"
        return made
    inner = Reader(relation.definition, reader.around, reader.catalog, _QUALIFIED)
    inner.views = reader.views + 1
    inner.work.views = reader.work.views
    inner.expressions = reader.expressions
    inner.select = reader.select
    inner.write_statement = reader.write_statement
    try:
        _read_definition(inner, relation, made)
    except Conceded as problem:
        made.conceded = str(problem)
    except RecursionError:
        made.conceded = "it is nested too deeply"
    if touched and not made.conceded and not touched.isdisjoint(made.relations):
        # The view goes by object ids, its text as committed by names, which this transaction may have given to others.
        made.conceded = "what it reads was changed in this transaction; commit first"
    return made


def _read_definition(inner: Reader, relation: CatalogRelation, made: ViewReading) -> None:
    """Fill in the reading of one definition."""
    json = parser.parse_json(relation.definition)
    if isinstance(json, parser.SyntaxProblem):
        raise Conceded("its definition cannot be parsed")
    statements = parser.decode(json).get("stmts", [])
    if len(statements) != 1 or "SelectStmt" not in statements[0].get("stmt", {}):
        raise Conceded("its definition is not one query")
    found = inner.select(inner, statements[0]["stmt"]["SelectStmt"], Scope())
    if len(found) != len(relation.columns):
        raise Conceded("its definition has other columns than the view")
    made.values = [column.value for column in found]
    made.always = inner.log.reads
    made.calls = inner.log.effects
    made.uses = list(inner.log.uses)
    made.relations = inner.relations
    made.changes_names = inner.changes_names
    made.writes = inner.writes


def base_tables(reader: Reader, relation: CatalogRelation) -> list[int]:
    """Return the relations that a view's definition names, views inside it followed."""
    if not looked_through(relation):
        return []
    found: dict[int, None] = {}
    left = [relation]
    while left:
        for read in reading_of(reader, left.pop()).always:
            inner = reader.catalog.relations_by_oid.get(read.oid)
            if read.oid not in found and inner is not None and looked_through(inner):
                left.append(inner)
            found[read.oid] = None
    return list(found)
