"""The SQL/JSON constructors and query functions (manual 9.16); older servers take them for names of functions."""

from __future__ import annotations

from typing import Final

from checkrein.protocols.postgres.reading.scope import Scope
from checkrein.protocols.postgres.reading.state import Handler, Node, Reader
from checkrein.protocols.sql.lineage import Value, compute

_SINCE: Final = {
    "JsonObjectConstructor": 160000, "JsonArrayConstructor": 160000, "JsonArrayQueryConstructor": 160000,
    "JsonObjectAgg": 160000, "JsonArrayAgg": 160000, "JsonIsPredicate": 160000, "JsonParseExpr": 170000,
    "JsonScalarExpr": 170000, "JsonSerializeExpr": 170000, "JsonFuncExpr": 170000, "JsonTable": 170000,
}  # fmt: skip
_PLAIN: Final = frozenset(
    {
        "location", "absent_on_null", "unique", "unique_keys", "format", "op", "wrapper", "quotes", "column_name",
        "omit_quotes", "item_type", "output", "btype", "behavior", "name", "coerce",
    }
)  # fmt: skip
_WALKED: Final = frozenset(
    {
        "exprs", "expr", "key", "value", "raw_expr", "formatted_expr", "context_item", "pathspec", "passing",
        "on_empty", "on_error", "constructor", "arg", "val",
    }
)  # fmt: skip
_INNER: Final = frozenset(
    {"JsonKeyValue", "JsonValueExpr", "JsonArgument", "JsonBehavior", "JsonOutput", "JsonFormat", "JsonReturning"}
)


def _read(reader: Reader, kind: str, node: Node, scope: Scope) -> Value:
    """Read a constructor or query function: everything in it is used, the result computed."""
    if reader.catalog.server_version < _SINCE[kind]:
        reader.concede(f"{kind} means something else on this server")
    values: list[Value] = []
    _walk(reader, kind, node, scope, values)
    for value in values:
        if value.origins:
            reader.log.use(value, "json", reader.at(int(node.get("location", -1))))
    return compute(values, "boolean" if kind == "JsonIsPredicate" else "other")


def _walk(reader: Reader, kind: str, node: Node, scope: Scope, values: list[Value]) -> None:
    """Collect the values of a node's expression fields, through the grammar's wrapping nodes."""
    if "agg_filter" in node or "over" in node or "agg_order" in node:
        reader.concede(f"{kind} with FILTER, ORDER BY or OVER is not read")
    for field, inner in node.items():
        if field in _WALKED:
            for item in inner if isinstance(inner, list) else [inner]:
                _item(reader, item, scope, values)
        elif field not in _PLAIN:
            reader.concede(f"{kind}.{field} is not read")


def _item(reader: Reader, item: Node, scope: Scope, values: list[Value]) -> None:
    """Collect from one wrapped or plain expression."""
    for kind, inner in item.items():
        if kind in _INNER:
            _walk(reader, kind, inner, scope, values)
        elif kind[:1].isupper():
            values.append(reader.expr(item, scope))
        else:
            _walk(reader, "Json", item, scope, values)
            return


def _handler(kind: str) -> Handler:
    def handle(reader: Reader, node: Node, scope: Scope) -> Value:
        return _read(reader, kind, node, scope)

    return handle


def table() -> dict[str, Handler]:
    """Return the handlers by node type; JSON_TABLE concedes."""
    return {kind: _handler(kind) for kind in _SINCE if kind != "JsonTable"}
