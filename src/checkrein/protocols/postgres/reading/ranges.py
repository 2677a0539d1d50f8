"""FROM items: tables, views, sub-selects, functions, joins, and the columns they offer."""

from __future__ import annotations

from typing import Final

from checkrein.core.statement import Effect, full_name
from checkrein.protocols.postgres import housekeeping
from checkrein.protocols.postgres.catalog import CatalogRelation
from checkrein.protocols.postgres.reading import joins, views
from checkrein.protocols.postgres.reading.functions import read_row_source
from checkrein.protocols.postgres.reading.names import (
    UNKNOWN,
    find_type,
    origin_of,
    relation_kind,
    relation_name,
    relation_of,
)
from checkrein.protocols.postgres.reading.scope import Item, Scope, Source
from checkrein.protocols.postgres.reading.state import Node, Reader, strings_of
from checkrein.protocols.sql.lineage import BARE, Column, Read, Value, compute

_RANGE: Final = frozenset({"catalogname", "schemaname", "relname", "inh", "relpersistence", "alias", "location"})
_SUBSELECT: Final = frozenset({"lateral", "subquery", "alias"})
_FUNCTION: Final = frozenset({"lateral", "ordinality", "is_rowsfrom", "functions", "alias", "coldeflist"})
_SAMPLE: Final = frozenset({"relation", "method", "args", "repeatable", "location"})


def add_item(reader: Reader, node: Node, scope: Scope) -> None:
    """Read one FROM item and add what it offers to the scope."""
    scope.items.extend(read_item(reader, node, scope))


def read_item(reader: Reader, node: Node, scope: Scope) -> list[Item]:
    """Read one FROM item; `scope` holds those to its left, for LATERAL. Return what it adds to the namespace."""
    reader.enter()
    found: list[Item] = []
    for kind, inner in node.items():
        if kind == "RangeVar":
            found = [Item(_table(reader, inner, scope))]
        elif kind == "RangeSubselect":
            found = [Item(_subselect(reader, inner, scope))]
        elif kind == "RangeFunction":
            found = [Item(_function(reader, inner, scope))]
        elif kind == "JoinExpr":
            found = _join(reader, inner, scope)
        elif kind == "RangeTableSample":
            found = _sample(reader, inner, scope)
        else:
            reader.concede(f"{kind} in FROM is not read")
    reader.leave()
    return found


def _join(reader: Reader, node: Node, scope: Scope) -> list[Item]:
    """Read both sides, the right one with the left in sight, and put them together."""
    left = read_item(reader, node["larg"], scope)
    sight = Scope(scope.parent)
    sight.ctes = scope.ctes
    sight.items = [*scope.items, *left]
    right = read_item(reader, node["rarg"], sight)
    return joins.joined(reader, node, scope, left, right)


def _sample(reader: Reader, node: Node, scope: Scope) -> list[Item]:
    """TABLESAMPLE: the method must be the system's, its arguments are uses."""
    reader.only("RangeTableSample", node, _SAMPLE)
    if strings_of(node.get("method"))[-1] not in ("bernoulli", "system"):
        reader.concede("an unknown sampling method")
    for argument in node.get("args", []):
        reader.used(argument, scope, "TABLESAMPLE")
    reader.used(node.get("repeatable"), scope, "TABLESAMPLE")
    return read_item(reader, node["relation"], scope)


def aliased(reader: Reader, alias: Node | None, source: Source) -> Source:
    """Give a source the name and column names of its alias."""
    if alias is None:
        return source
    source.alias = str(alias.get("aliasname", source.alias))
    source.aliased = True
    names = strings_of(alias.get("colnames"))
    if names:
        if len(names) > len(source.columns) and not source.open:
            reader.concede("there are more column aliases than columns")
        renamed = [column.named(name) for column, name in zip(source.columns, names, strict=False)]
        if source.open and source.fallback is not None and len(names) > len(source.columns):
            renamed = [Column(name, source.fallback.value) for name in names]
        source.columns = renamed + source.columns[len(names) :]
    return source


def _table(reader: Reader, node: Node, scope: Scope) -> Source:
    """A table, view or WITH query by its name."""
    reader.only("RangeVar", node, _RANGE)
    name = str(node.get("relname", ""))
    if "schemaname" not in node:
        cte = scope.cte(name)
        if cte is not None:
            if cte.columns is None:
                reader.concede(f'WITH query "{name}" is used before it is known')
            return aliased(reader, node.get("alias"), Source(name, list(cte.columns)))
    relation = relation_of(reader, node)
    return aliased(reader, node.get("alias"), table_source(reader, relation, int(node.get("location", -1))))


def table_source(reader: Reader, relation: CatalogRelation, location: int = -1, needed: bool = True) -> Source:
    """Return a relation as a FROM item, its read noted. Rewrite rules of tables are for writes alone (manual 41.4)."""
    read = Read(relation.oid, reader.at(location), needed)
    reader.log.reads.append(read)
    reader.relations[relation.oid] = relation
    source = Source(relation.name, [], aliased=False)
    source.relation = relation
    source.read = read
    source.columns = [Column(name, value, read) for name, value in relation_values(reader, relation)]
    return source


def relation_values(reader: Reader, relation: CatalogRelation) -> list[tuple[str, Value]]:
    """Return a relation's columns with what they derive from: themselves, and through views the base tables."""
    inner = views.lineage(reader, relation)
    found: list[tuple[str, Value]] = []
    for number, column in enumerate(relation.columns):
        own = origin_of(relation, column.name, column.number)
        value = Value(BARE, (own,), (relation.oid, column.number), type=column.type_oid)
        if inner is not None and number < len(inner):
            below = inner[number]
            value = Value(below.how, (*below.origins, own), value.witness, below.kind, below.calls, column.type_oid)
        if housekeeping.holds_missing_values(relation, column.name):
            value.calls = (f"{relation_name(relation)}.{column.name}",)
        value.typmod = column.typmod
        found.append((column.name, value))
    return found


def _subselect(reader: Reader, node: Node, scope: Scope) -> Source:
    """A sub-select; it sees the items to its left only when LATERAL."""
    reader.only("RangeSubselect", node, _SUBSELECT)
    query = node.get("subquery", {})
    if "SelectStmt" not in query:
        reader.concede("a sub-select is not a SELECT")
    inner = Scope(scope if node.get("lateral") else outer_of(scope))
    found = reader.select(reader, query["SelectStmt"], inner)
    return aliased(reader, node.get("alias"), Source("", found))


def outer_of(scope: Scope) -> Scope:
    """Return what a FROM item that is not LATERAL sees: the WITH queries of this level, and the queries around it."""
    seen = Scope(scope.parent)
    seen.ctes = scope.ctes
    return seen


def _function(reader: Reader, node: Node, scope: Scope) -> Source:
    """Functions in FROM see the items to their left (they are LATERAL by themselves)."""
    reader.only("RangeFunction", node, _FUNCTION)
    alias = node.get("alias")
    source = Source("", [])
    calls = [one for item in node.get("functions", []) for one in _unnests(item)]
    for item in calls:
        _one_function(reader, item, scope, source, alias if len(calls) == 1 else None)
    if "coldeflist" in node:
        whole = compute([column.value for column in (*source.columns, source.fallback) if column is not None])
        source.columns = []
        _defined_columns(reader, node["coldeflist"], source, whole)
    if node.get("ordinality"):
        if not source.open:
            source.columns.append(Column("ordinality", Value(type=20)))
        source.scalar = False
    return aliased(reader, alias, source)


def _unnests(item: Node) -> list[Node]:
    """`unnest(a, b)` in FROM is one unnest an argument, as the server reads it (parse_clause.c, RangeFunction)."""
    parts = item.get("List", {}).get("items", [])
    call = parts[0].get("FuncCall", {}) if parts else {}
    arguments = call.get("args", [])
    decorated = call.keys() - {"funcname", "args", "funcformat", "location"} or (len(parts) > 1 and parts[1])
    if len(arguments) < 2 or decorated or strings_of(call.get("funcname")) != ["unnest"]:
        return [item]
    name = [{"String": {"sval": "pg_catalog"}}, {"String": {"sval": "unnest"}}]
    return [{"List": {"items": [{"FuncCall": {**call, "funcname": name, "args": [one]}}]}} for one in arguments]


def _one_function(reader: Reader, item: Node, scope: Scope, source: Source, alias: Node | None) -> None:
    """Add one function's columns to the source; everything it is given is used."""
    parts = item.get("List", {}).get("items", [])
    name, outputs, value, scalar = read_row_source(reader, parts[0], scope)
    source.alias = source.alias or name
    if len(parts) > 1 and parts[1]:
        _defined_columns(reader, parts[1].get("List", {}).get("items", []), source, value)
        return
    if outputs is None:
        source.open = True
        source.fallback = Column("", compute([value]))
        return
    source.scalar = scalar and not source.columns
    if scalar and alias is not None:
        outputs = [str(alias.get("aliasname", name))]
    type = value.type if scalar else 0
    source.columns.extend(
        Column(output, Value(value.how, value.origins, None, value.kind, value.calls, type)) for output in outputs
    )


def _defined_columns(reader: Reader, nodes: list[Node], source: Source, base: Value) -> None:
    """A column definition list, AS t(a int, b text): its columns stand in the place of the one record."""
    for item in nodes:
        definition = item.get("ColumnDef", {})
        found = find_type(reader, definition.get("typeName", {}))
        columns = Value(base.how, base.origins, None, "other", base.calls, found.oid)
        source.columns.append(Column(str(definition.get("colname", "")), columns))
    source.open = False
    source.fallback = None


def new_name(reader: Reader, node: Node) -> str:
    """Return the full name of an object that a statement creates: in its schema, or the first of the path."""
    schema = str(node.get("schemaname", ""))
    if not schema and node.get("relpersistence") == "t":
        schema = "pg_temp"
    if not schema:
        if not reader.names.known:
            reader.concede(reader.names.why or UNKNOWN)
        usable = [part for part in reader.names.search_path if part not in ("pg_catalog", "pg_temp")]
        schema = usable[0] if usable else ""
    return full_name(schema, str(node.get("relname", "")))


def lock_through(reader: Reader, relation: CatalogRelation) -> None:
    """FOR UPDATE of a view locks the tables under it."""
    for oid in views.base_tables(reader, relation):
        base = reader.catalog.relations_by_oid.get(oid)
        if base is not None:
            reader.effect(
                Effect(
                    verb="lock", object=relation_name(base), kind=relation_kind(base), oid=oid,
                    via=(relation_name(relation),),
                )
            )  # fmt: skip
