"""What names mean at one place of a query: FROM items, outer queries, WITH queries (parse_relation.c)."""

from __future__ import annotations

from checkrein.core.statement import Origin, full_name
from checkrein.protocols.postgres.catalog import CatalogRelation
from checkrein.protocols.sql.lineage import BARE, Column, Read, Value

SYSTEM_COLUMNS = {"ctid": -1, "xmin": -2, "cmin": -3, "xmax": -4, "cmax": -5, "tableoid": -6}


class Source:
    """One range table entry: its columns, and the relation behind it if it is a plain one.

    `open` marks a source whose columns are not known by name (a function's record): its `fallback` stands for any.
    """

    __slots__ = ("alias", "aliased", "columns", "fallback", "open", "read", "relation", "scalar")

    def __init__(self, alias: str, columns: list[Column], aliased: bool = True) -> None:
        self.alias = alias
        self.aliased = aliased
        self.columns = columns
        self.relation: CatalogRelation | None = None
        self.read: Read | None = None
        self.open = False
        self.fallback: Column | None = None
        self.scalar = False  # a function of one value: its name alone is that value


class Item:
    """A source in a namespace: whether its name and its columns may be referred to."""

    __slots__ = ("columns_visible", "name_visible", "source")

    def __init__(self, source: Source, name_visible: bool = True, columns_visible: bool = True) -> None:
        self.source = source
        self.name_visible = name_visible
        self.columns_visible = columns_visible


class Cte:
    """One WITH query. `columns` is None while it is being read and no column is known (recursion concedes then)."""

    __slots__ = ("columns", "name")

    def __init__(self, name: str, columns: list[Column] | None) -> None:
        self.name = name
        self.columns = columns


class Scope:
    """One query level. `parent` is the query around it (for LATERAL, with the FROM items to its left)."""

    __slots__ = ("ctes", "items", "parent")

    def __init__(self, parent: Scope | None = None) -> None:
        self.parent = parent
        self.items: list[Item] = []
        self.ctes: dict[str, Cte] = {}

    def cte(self, name: str) -> Cte | None:
        """Return the WITH query of that name that is nearest, if there is one."""
        scope: Scope | None = self
        while scope is not None:
            found = scope.ctes.get(name)
            if found is not None:
                return found
            scope = scope.parent
        return None

    def find_column(self, name: str) -> list[tuple[Source, Column]]:
        """Return what an unqualified column name may mean at the nearest level that has it; several are ambiguous."""
        scope: Scope | None = self
        while scope is not None:
            found: list[tuple[Source, Column]] = []
            for item in scope.items:
                if item.columns_visible:
                    found.extend(columns_named(item.source, name))
            if found:
                return found
            scope = scope.parent
        return []

    def find_sources(self, name: str) -> list[Source]:
        """Return the FROM items of that name at the nearest level that has one; several are ambiguous."""
        scope: Scope | None = self
        while scope is not None:
            found = [item.source for item in scope.items if item.name_visible and item.source.alias == name]
            if found:
                return found
            scope = scope.parent
        return []

    def find_relation(self, oid: int) -> list[Source]:
        """Return the FROM items that are this relation under its own name (for `schema.table.column`)."""
        scope: Scope | None = self
        while scope is not None:
            found = [
                item.source
                for item in scope.items
                if item.name_visible
                and not item.source.aliased
                and item.source.relation is not None
                and item.source.relation.oid == oid
            ]
            if found:
                return found
            scope = scope.parent
        return []


def columns_named(source: Source, name: str) -> list[tuple[Source, Column]]:
    """Return the columns of a source that bear the name; of an open source, its stand-in."""
    found = [(source, column) for column in source.columns if column.name == name]
    if found:
        return found
    if source.open and source.fallback is not None:
        return [(source, source.fallback)]
    system = _system_column(source, name)
    return [] if system is None else [(source, system)]


def _system_column(source: Source, name: str) -> Column | None:
    """Return the system column of a stored relation (manual 5.6), or None."""
    number = SYSTEM_COLUMNS.get(name, 0)
    relation = source.relation
    if number == 0 or relation is None or relation.kind not in "rpmf":
        return None
    origin = Origin(full_name(relation.schema, relation.name), name, relation.oid, number)
    return Column(name, Value(BARE, (origin,), (relation.oid, number)), source.read)
