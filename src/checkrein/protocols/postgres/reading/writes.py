"""INSERT, UPDATE, DELETE and MERGE, at top level and in WITH."""

from __future__ import annotations

from typing import Final

from checkrein.core.statement import Effect, Origin
from checkrein.protocols.postgres.catalog import CatalogRelation
from checkrein.protocols.postgres.doors import RAW_STORAGE, SETTING
from checkrein.protocols.postgres.housekeeping import is_system
from checkrein.protocols.postgres.reading import conditions, finish, keys, queries, ranges, targets, views
from checkrein.protocols.postgres.reading.names import relation_kind, relation_name, relation_of
from checkrein.protocols.postgres.reading.scope import Item, Scope, Source
from checkrein.protocols.postgres.reading.state import Node, Reader
from checkrein.protocols.sql.lineage import Column, Value, bare

_INSERT: Final = frozenset(
    {"relation", "cols", "selectStmt", "onConflictClause", "returningClause", "withClause", "override"}
)
_UPDATE: Final = frozenset({"relation", "targetList", "whereClause", "fromClause", "returningClause", "withClause"})
_DELETE: Final = frozenset({"relation", "usingClause", "whereClause", "returningClause", "withClause"})
_CONFLICT: Final = frozenset({"action", "infer", "targetList", "whereClause", "location"})
_INFER: Final = frozenset({"indexElems", "whereClause", "conname", "location"})
_ELEMENT: Final = frozenset(
    {"name", "expr", "indexcolname", "collation", "opclass", "ordering", "nulls_ordering", "opclassopts", "location"}
)


class Target:
    """The table that a write is on, as a FROM item."""

    __slots__ = ("relation", "source")

    def __init__(self, reader: Reader, node: Node) -> None:
        self.relation = relation_of(reader, node)
        _rewritten(reader, self.relation)
        location = int(node.get("location", -1))
        self.source = ranges.aliased(
            reader, node.get("alias"), ranges.table_source(reader, self.relation, location, needed=False)
        )
        reader.writes = True


def read_write(reader: Reader, kind: str, node: Node, scope: Scope) -> list[Column]:
    """Read one write in the given, still empty, scope. Return the columns of RETURNING."""
    reader.enter()
    if "withClause" in node:
        queries.read_with(reader, node["withClause"], scope)
    if kind == "InsertStmt":
        found = _insert(reader, node, scope)
    elif kind == "UpdateStmt":
        found = _update(reader, node, scope)
    elif kind == "DeleteStmt":
        found = _delete(reader, node, scope)
    else:
        found = reader.merge(reader, node, scope)
    reader.leave()
    return found


def _insert(reader: Reader, node: Node, scope: Scope) -> list[Column]:
    """INSERT: its inputs are written; ON CONFLICT compares and may update."""
    reader.only("InsertStmt", node, _INSERT)
    target = Target(reader, node["relation"])
    names = [str(item.get("ResTarget", {}).get("name", "")) for item in node.get("cols", [])]
    for item in node.get("cols", []):
        subscripts(reader, item.get("ResTarget", {}), scope)
    every = [column.name for column in target.relation.columns]
    width = _input(reader, node.get("selectStmt"), scope, target, names or every)
    names = names or every[:width]  # without a list, the first columns (manual, INSERT)
    write_effect(reader, "insert", target, names, node["relation"])
    if "onConflictClause" in node:
        _conflict(reader, node["onConflictClause"], scope, target, node["relation"])
    return returning(reader, node, scope, target)


def _star(node: Node) -> bool:
    """Whether an expression is `*`, `t.*` or `(t).*`, which stands for several values."""
    steps = node.get("ColumnRef", {}).get("fields") or node.get("A_Indirection", {}).get("indirection") or [{}]
    return "A_Star" in steps[-1]


def _width(items: list[Node], names: list[str]) -> int:
    """Return how many columns a row of VALUES gives values for: all of them where that is not plain to see."""
    return len(names) if any(map(_star, items)) else len(items)


def _input(reader: Reader, query: Node | None, scope: Scope, target: Target, names: list[str]) -> int:
    """Read what is inserted: constants stand beside their columns, columns are copied elsewhere. Return its width."""
    if query is None:  # DEFAULT VALUES
        return len(names)
    select = query.get("SelectStmt", {})
    rows = select.get("valuesLists")
    if rows is not None and len(rows) == 1 and "sortClause" not in select and "withClause" not in select:
        items = rows[0].get("List", {}).get("items", [])
        width = _width(items, names)
        written(reader, target, names[:width], read_rows(reader, target, names, [items], Scope(scope)))
        return width
    if rows is not None and "withClause" not in select:
        listed = [row.get("List", {}).get("items", []) for row in rows]
        read = read_rows(reader, target, names, listed, Scope(scope))
        written(reader, target, names[: len(read[0])], read)
    found = reader.select(reader, select, Scope(scope))
    written(reader, target, names[: len(found)], [[column.value for column in found]])
    return len(found)


def read_rows(
    reader: Reader, target: Target, names: list[str], rows: list[list[Node]], scope: Scope
) -> list[list[Value]]:
    """Read rows of expressions that are written to these columns: constants within stand beside them."""
    origins = [base_origins(reader, target, name) for name in names]
    log = reader.log
    found: list[list[Value]] = []
    for row in rows:
        read: list[Value] = []
        for at, item in enumerate(row):
            first = len(log.constants)
            read.append(reader.expr(item, scope))
            if at < len(origins) and not bare(read[at]):
                log.within(first, len(log.constants), origins[at])
        found.append(read)
    return found


def written(reader: Reader, target: Target, names: list[str], rows: list[list[Value]]) -> None:
    """Note what is written to which column. Concedes when there are more values than columns."""
    columns = {column.name: column for column in target.relation.columns}
    origins: list[tuple[Origin, ...]] = []
    for name in names:
        column = columns.get(name)
        if column is None:
            reader.concede(f'column "{target.relation.name}.{name}" does not exist', "42703")
        origins.append(base_origins(reader, target, name))
    for row in rows:
        if len(row) > len(names):
            reader.concede("there are more values than columns")
        for value, beside in zip(row, origins, strict=False):
            if value.constant:
                reader.log.beside(value, beside)
            else:
                reader.log.store(value, "written elsewhere")


def base_origins(reader: Reader, target: Target, name: str) -> tuple[Origin, ...]:
    """Return the base columns behind a column of a write's target."""
    for column in target.source.columns:
        if column.real == name:
            return column.value.origins
    return ()


def _conflict(reader: Reader, node: Node, scope: Scope, target: Target, relation: Node) -> None:
    """ON CONFLICT: the key is compared; DO UPDATE sees the row that is there and the one that was to be."""
    reader.only("OnConflictClause", node, _CONFLICT)
    alone = Scope(scope)
    alone.items = [Item(target.source)]
    infer = node.get("infer")
    if infer is not None:
        reader.only("InferClause", infer, _INFER)
        for item in infer.get("indexElems", []):
            element = item.get("IndexElem", {})
            reader.only("IndexElem", element, _ELEMENT)
            if "name" in element:
                reference = {"ColumnRef": {"fields": [{"String": {"sval": element["name"]}}], "location": -1}}
                reader.used(reference, alone, "ON CONFLICT")
            reader.used(element.get("expr"), alone, "ON CONFLICT")
        reader.used(infer.get("whereClause"), alone, "ON CONFLICT")
    if node.get("action") != "ONCONFLICT_UPDATE":
        return
    excluded = Source("excluded", target.source.columns)
    both = Scope(scope)
    both.items = [Item(target.source), Item(excluded, True, False)]
    names = assignments(reader, node.get("targetList", []), both, target)
    reader.used(node.get("whereClause"), both, "WHERE")
    write_effect(reader, "update", target, names, relation)


def _update(reader: Reader, node: Node, scope: Scope) -> list[Column]:
    """UPDATE ... SET ... FROM ... WHERE."""
    reader.only("UpdateStmt", node, _UPDATE)
    target = Target(reader, node["relation"])
    scope.items.append(Item(target.source))
    for item in node.get("fromClause", []):
        ranges.add_item(reader, item, scope)
    names = assignments(reader, node.get("targetList", []), scope, target)
    bounds = conditions.where(reader, node.get("whereClause"), scope, target.source, target.relation)
    write_effect(reader, "update", target, names, node["relation"], bounds)
    return returning(reader, node, scope, target)


def _delete(reader: Reader, node: Node, scope: Scope) -> list[Column]:
    """DELETE ... USING ... WHERE."""
    reader.only("DeleteStmt", node, _DELETE)
    target = Target(reader, node["relation"])
    scope.items.append(Item(target.source))
    for item in node.get("usingClause", []):
        ranges.add_item(reader, item, scope)
    bounds = conditions.where(reader, node.get("whereClause"), scope, target.source, target.relation)
    write_effect(reader, "delete", target, [], node["relation"], bounds)
    return returning(reader, node, scope, target)


def assignments(reader: Reader, nodes: list[Node], scope: Scope, target: Target) -> list[str]:
    """Read `column = expression` pairs; return the columns."""
    names: list[str] = []
    for item in nodes:
        part = item.get("ResTarget", {})
        name = str(part.get("name", ""))
        subscripts(reader, part, scope)
        if any("A_Indices" in step for step in part.get("indirection", [])):  # it fails by what is there
            reader.log.use(Value(origins=base_origins(reader, target, name)), "assigned in part", 0)
        first = len(reader.log.constants)
        value = reader.expr(part.get("val"), scope)
        if not bare(value):
            reader.log.within(first, len(reader.log.constants), base_origins(reader, target, name))
        names.append(name)
        written(reader, target, [name], [[value]])
    return names


def subscripts(reader: Reader, part: Node, scope: Scope) -> None:
    """Read the subscripts and fields of an assignment's left side."""
    for step in part.get("indirection", []):
        bounds = step.get("A_Indices")
        if bounds is not None:
            reader.used(bounds.get("lidx"), scope, "subscript")
            reader.used(bounds.get("uidx"), scope, "subscript")
        elif "String" not in step:
            reader.concede("an unknown subscript of a target")


def returning(reader: Reader, node: Node, scope: Scope, target: Target) -> list[Column]:
    """Read RETURNING, OLD and NEW included."""
    clause = node.get("returningClause")
    if clause is None:
        return []
    reader.only("ReturningClause", clause, frozenset({"options", "exprs"}))
    if "options" in clause:
        reader.concede("RETURNING WITH is not read")
    inner = Scope(scope.parent)
    inner.ctes = scope.ctes
    present = any(item.source is target.source for item in scope.items)
    inner.items = list(scope.items) if present else [Item(target.source), *scope.items]
    if reader.catalog.server_version >= 180000:
        for name in ("old", "new"):
            if not inner.find_sources(name):
                inner.items.append(Item(Source(name, target.source.columns), True, False))
    return targets.read_targets(reader, clause.get("exprs", []), inner)


def write_effect(
    reader: Reader, verb: str, target: Target, names: list[str], node: Node, bounds: conditions.Bounds | None = None
) -> None:
    """Note a write on its relation, its partitions and parents, and through an updatable view on the table under it,
    and what keys tell by it."""
    found = bounds or conditions.Bounds()
    keys.told(reader, verb, target.relation, target.source, names)
    position = reader.at(int(node.get("location", -1)))
    _write(reader, verb, target.relation, names, (), found, position)
    _write_through(reader, verb, target, names, found)


def _write(
    reader: Reader, verb: str, relation: CatalogRelation, names: list[str], via: tuple[str, ...],
    bounds: conditions.Bounds, position: int,
) -> None:  # fmt: skip
    """Note one write and those of the same rows' other relations."""
    guard = SETTING if relation.schema == "pg_catalog" and relation.name == "pg_settings" else ""
    door = RAW_STORAGE if is_system(relation) and not guard else ""
    reader.effect(
        Effect(
            verb=verb, object=relation_name(relation), kind=relation_kind(relation), columns=tuple(names) or None,
            via=via, oid=relation.oid, filtered=bounds.filtered,
            bounded=bounds.keys is not None, bounded_keys=bounds.keys, guard=guard, door=door, position=position,
        )
    )  # fmt: skip
    for other in finish.family(reader, relation):
        reader.effect(
            Effect(
                verb=verb, object=relation_name(other), kind=relation_kind(other), columns=tuple(names) or None,
                via=(*via, relation_name(relation)), oid=other.oid, filtered=bounds.filtered,
                bounded=bounds.keys is not None, bounded_keys=bounds.keys,
            )
        )  # fmt: skip


def _write_through(reader: Reader, verb: str, target: Target, names: list[str], bounds: conditions.Bounds) -> None:
    """A write on a view is a write on the tables that its definition names directly; it reads the view as well."""
    relation = target.relation
    if not views.looked_through(relation):
        return
    if target.source.read is not None:
        target.source.read.needed = True
    via: tuple[str, ...] = (relation_name(relation),)
    for oid in views.base_tables(reader, relation):
        base = reader.catalog.relations_by_oid.get(oid)
        if base is None:
            reader.concede("a relation of a view is not in the catalog")
        _rewritten(reader, base)
        renamed = sorted(
            {origin.column for name in names for origin in base_origins(reader, target, name) if origin.oid == base.oid}
        )
        _write(reader, verb, base, renamed, via, conditions.Bounds(bounds.filtered), 0)


def _rewritten(reader: Reader, relation: CatalogRelation) -> None:
    """Concede where a write is turned into another: by rewrite rules, or by a view's INSTEAD OF triggers."""
    if relation.rules:
        reader.concede(f'"{relation.name}" has rewrite rules')
    if relation.triggers and relation.kind == "v":
        reader.concede(f'view "{relation.name}" has triggers')
