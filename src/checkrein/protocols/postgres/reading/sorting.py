"""What comes after the target list: GROUP BY, HAVING, WINDOW, DISTINCT, ORDER BY, LIMIT."""

from __future__ import annotations

from checkrein.protocols.postgres.reading import operators
from checkrein.protocols.postgres.reading.scope import Item, Scope, Source
from checkrein.protocols.postgres.reading.state import Node, Reader, strings_of
from checkrein.protocols.sql.lineage import Column, Value

_WINDOW = frozenset(
    {"name", "refname", "partitionClause", "orderClause", "frameOptions", "startOffset", "endOffset", "location"}
)


def read_tail(reader: Reader, node: Node, scope: Scope, found: list[Column], set_operation: bool = False) -> None:
    """Read the clauses that follow the target list; `found` are its output columns."""
    if set_operation:
        scope.items = [Item(Source("", found))]
    for item in node.get("groupClause", []):
        _group(reader, item, scope, found)
    reader.used(node.get("havingClause"), scope, "HAVING")
    for item in node.get("windowClause", []):
        read_window(reader, item.get("WindowDef", {}), scope)
    for item in node.get("sortClause", []):
        _sort(reader, item, scope, found)
    _distinct(reader, node.get("distinctClause"), scope, found)
    reader.used(node.get("limitCount"), scope, "LIMIT")
    reader.used(node.get("limitOffset"), scope, "OFFSET")


def _distinct(reader: Reader, nodes: list[Node] | None, scope: Scope, found: list[Column]) -> None:
    """DISTINCT compares every output, DISTINCT ON the given ones."""
    if nodes is None:
        return
    if not nodes or nodes == [{}]:
        for column in found:
            reader.log.use(column.value, "DISTINCT", 0)
        return
    for node in nodes:
        reader.log.use(_output_or_expression(reader, node, scope, found), "DISTINCT ON", 0)


def _sort(reader: Reader, item: Node, scope: Scope, found: list[Column]) -> None:
    """ORDER BY: an output's name or number, else an expression."""
    sort = item.get("SortBy", {})
    value = _output_or_expression(reader, sort.get("node", {}), scope, found)
    _order_operator(reader, sort, value)
    reader.log.use(value, "ORDER BY", reader.at(_location(sort.get("node", {}))))


def _order_operator(reader: Reader, sort: Node, value: Value) -> None:
    """USING names the operator that sorts, which may be a user's."""
    reader.only("SortBy", sort, frozenset({"node", "sortby_dir", "sortby_nulls", "useOp", "location"}))
    if "useOp" in sort:
        operators.check(reader, strings_of(sort["useOp"]), (value.type, value.type))


def _location(node: Node) -> int:
    """Return the byte offset of a node, -1 when it has none."""
    for inner in node.values():
        return int(inner.get("location", -1)) if isinstance(inner, dict) else -1
    return -1


def _output_or_expression(reader: Reader, node: Node, scope: Scope, found: list[Column]) -> Value:
    """Return what a sort key is, by SQL92's rule: output names and numbers come first."""
    reference = node.get("ColumnRef")
    if reference is not None and len(reference["fields"]) == 1:
        name = strings_of(reference["fields"])[0]
        matches = [column for column in found if column.name == name]
        if matches:
            return _same(reader, matches, name)
    number = _position(reader, node, found)
    return reader.expr(node, scope) if number is None else number


def _same(reader: Reader, matches: list[Column], name: str) -> Value:
    """Return the output of that name; several of one origin are one."""
    first = matches[0].value
    for column in matches[1:]:
        if column.value.origins != first.origins or column.value.witness != first.witness or first.witness is None:
            reader.concede(f'"{name}" names several outputs')
    return first


def _position(reader: Reader, node: Node, found: list[Column]) -> Value | None:
    """Return the output that an integer constant points at; any other constant is an error at the server."""
    constant = node.get("A_Const")
    if constant is None or "ival" not in constant:
        return None
    reader.reads_constants = True
    number = int(constant["ival"].get("ival", 0))
    if not 1 <= number <= len(found):
        reader.concede(f"position {number} is not in the select list")
    return found[number - 1].value


def _group(reader: Reader, node: Node, scope: Scope, found: list[Column]) -> None:
    """GROUP BY: input columns come before output names; grouping sets nest."""
    if "GroupingSet" in node:
        reader.only("GroupingSet", node["GroupingSet"], frozenset({"kind", "content", "location"}))
        for item in node["GroupingSet"].get("content", []):
            _group(reader, item, scope, found)
        return
    if "RowExpr" in node:
        for item in node["RowExpr"].get("args", []):
            _group(reader, item, scope, found)
        return
    reference = node.get("ColumnRef")
    if reference is not None and len(reference["fields"]) == 1 and _in_from(scope, strings_of(reference["fields"])[0]):
        value = reader.expr(node, scope)
    else:
        value = _output_or_expression(reader, node, scope, found)
    reader.log.use(value, "GROUP BY", 0)


def _in_from(scope: Scope, name: str) -> bool:
    """Whether a name is a column of this query's own FROM items."""
    alone = Scope()
    alone.items = scope.items
    return bool(alone.find_column(name))


def read_window(reader: Reader, node: Node, scope: Scope) -> None:
    """Read a window definition: everything in it is a use."""
    reader.only("WindowDef", node, _WINDOW)
    for item in node.get("partitionClause", []):
        reader.used(item, scope, "PARTITION BY")
    read_order(reader, node.get("orderClause"), scope, "window ORDER BY")
    reader.used(node.get("startOffset"), scope, "frame")
    reader.used(node.get("endOffset"), scope, "frame")


def read_order(reader: Reader, nodes: list[Node] | None, scope: Scope, place: str) -> None:
    """Read an ORDER BY that knows no output names (in aggregates and windows)."""
    for item in nodes or []:
        sort = item.get("SortBy", {})
        _order_operator(reader, sort, reader.used(sort.get("node"), scope, place))
