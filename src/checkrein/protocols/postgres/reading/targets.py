"""Target lists: output columns, and the names they get (PostgreSQL's FigureColname)."""

from __future__ import annotations

from typing import Final

from checkrein.core import limits
from checkrein.protocols.postgres.reading import columns
from checkrein.protocols.postgres.reading.names import fields_of
from checkrein.protocols.postgres.reading.scope import Scope
from checkrein.protocols.postgres.reading.state import Node, Reader, string_of, strings_of
from checkrein.protocols.sql.lineage import Column, compute

_FIXED: Final = {
    "GroupingFunc": "grouping", "MergeSupportFunc": "merge_action", "A_ArrayExpr": "array", "RowExpr": "row",
    "CoalesceExpr": "coalesce", "XmlSerialize": "xmlserialize", "JsonParseExpr": "json",
    "JsonScalarExpr": "json_scalar",
    "JsonSerializeExpr": "json_serialize", "JsonObjectConstructor": "json_object", "JsonArrayConstructor": "json_array",
    "JsonArrayQueryConstructor": "json_array", "JsonObjectAgg": "json_objectagg", "JsonArrayAgg": "json_arrayagg",
}  # fmt: skip
_SQL_VALUES: Final = {
    "SVFOP_CURRENT_DATE": "current_date", "SVFOP_CURRENT_TIME": "current_time", "SVFOP_CURRENT_TIME_N": "current_time",
    "SVFOP_CURRENT_TIMESTAMP": "current_timestamp", "SVFOP_CURRENT_TIMESTAMP_N": "current_timestamp",
    "SVFOP_LOCALTIME": "localtime", "SVFOP_LOCALTIME_N": "localtime", "SVFOP_LOCALTIMESTAMP": "localtimestamp",
    "SVFOP_LOCALTIMESTAMP_N": "localtimestamp", "SVFOP_CURRENT_ROLE": "current_role",
    "SVFOP_CURRENT_USER": "current_user", "SVFOP_USER": "user", "SVFOP_SESSION_USER": "session_user",
    "SVFOP_CURRENT_CATALOG": "current_catalog", "SVFOP_CURRENT_SCHEMA": "current_schema",
}  # fmt: skip
_XML: Final = {
    "IS_XMLCONCAT": "xmlconcat", "IS_XMLELEMENT": "xmlelement", "IS_XMLFOREST": "xmlforest",
    "IS_XMLPARSE": "xmlparse", "IS_XMLPI": "xmlpi", "IS_XMLROOT": "xmlroot",
}  # fmt: skip
_JSON: Final = {"JSON_EXISTS_OP": "json_exists", "JSON_QUERY_OP": "json_query", "JSON_VALUE_OP": "json_value"}
_TARGET: Final = frozenset({"name", "val", "location"})


def read_targets(reader: Reader, nodes: list[Node], scope: Scope) -> list[Column]:
    """Read a target list into its output columns, stars spelt out."""
    found: list[Column] = []
    for node in nodes:
        target = node.get("ResTarget")
        if target is None:
            reader.concede("a target is not an expression")
        reader.only("ResTarget", target, _TARGET)
        expanded = _expanded(reader, target, scope)
        if expanded is not None:
            if len(found) + len(expanded) > limits.READING_TARGETS:
                reader.concede(f"a target list has more than {limits.READING_TARGETS} columns")
            found.extend(Column(column.name, column.value) for column in expanded)
            continue
        value = reader.expr(target.get("val"), scope)
        found.append(Column(str(target.get("name") or column_name(target.get("val", {}))), value))
    return found


def _expanded(reader: Reader, target: Node, scope: Scope) -> list[Column] | None:
    """Return the columns behind `*`, `t.*` or `(t).*`; None for anything else."""
    inner = target.get("val", {})
    reference = inner.get("ColumnRef")
    if reference is not None and "A_Star" in reference["fields"][-1]:
        return columns.star(reader, strings_of(reference["fields"][:-1]), scope)
    indirection = inner.get("A_Indirection")
    if indirection is not None and "A_Star" in indirection["indirection"][-1]:
        source = columns.row_source(reader, indirection.get("arg", {}), scope)
        if source is None and len(indirection["indirection"]) == 1:
            return _fields(reader, indirection, scope)
        if source is None or len(indirection["indirection"]) > 1 or source.open:
            reader.concede("the fields of a composite value are not known")
        reader.spell(len(source.columns))
        return [column for column in source.columns if column.used() is not None]
    return None


def _fields(reader: Reader, node: Node, scope: Scope) -> list[Column]:
    """Return the columns of `(expression).*`: each is computed from the whole value."""
    value = reader.expr(node.get("arg"), scope)
    names = fields_of(reader, value.type)
    if names is None:
        reader.concede("the fields of a composite value are not known")
    if value.origins:
        reader.log.use(value, "field", 0)
    return [Column(name, compute([value])) for name in names]


def column_name(node: Node) -> str:
    """Return the name that the server gives an unnamed output."""
    return _figure(node)[0] or "?column?"


def _figure(node: Node) -> tuple[str, int]:
    """Return a name and how strong a claim the node has to it (0 none, 1 weak, 2 strong)."""
    for kind, inner in node.items():
        if kind in _FIXED:
            return _FIXED[kind], 2
        if kind == "ColumnRef":
            return string_of(inner["fields"][-1]), 2
        if kind == "FuncCall":
            return string_of(inner["funcname"][-1]), 2
        if kind == "A_Expr":
            return ("nullif", 2) if inner.get("kind") == "AEXPR_NULLIF" else ("", 0)
        if kind == "SQLValueFunction":
            return _SQL_VALUES.get(inner.get("op", ""), ""), 2
        if kind == "XmlExpr":
            return _XML.get(inner.get("op", ""), ""), 2
        if kind == "JsonFuncExpr":
            return _JSON.get(inner.get("op", ""), ""), 2
        if kind == "MinMaxExpr":
            return ("least" if inner.get("op") == "IS_LEAST" else "greatest"), 2
        return _figure_inner(kind, inner)
    return "", 0


def _figure_inner(kind: str, inner: Node) -> tuple[str, int]:
    """Return the name of a node whose name comes from what it holds."""
    if kind == "A_Indirection":
        names = [name for name in strings_of(inner.get("indirection")) if name]
        return (names[-1], 2) if names else _figure(inner.get("arg", {}))
    if kind == "TypeCast":
        name, strength = _figure(inner.get("arg", {}))
        return (name, strength) if strength > 1 else (string_of(inner["typeName"]["names"][-1]), 1)
    if kind == "CollateClause":
        return _figure(inner.get("arg", {}))
    if kind == "CaseExpr":
        name, strength = _figure(inner.get("defresult", {}))
        return (name, strength) if strength > 1 else ("case", 1)
    if kind == "SubLink":
        return _figure_sublink(inner)
    return "", 0


def _figure_sublink(inner: Node) -> tuple[str, int]:
    """Return the name of a sub-select."""
    kind = inner.get("subLinkType")
    if kind == "EXISTS_SUBLINK":
        return "exists", 2
    if kind == "ARRAY_SUBLINK":
        return "array", 2
    if kind == "EXPR_SUBLINK":
        targets = inner.get("subselect", {}).get("SelectStmt", {}).get("targetList")
        if targets and "ResTarget" in targets[0]:
            target = targets[0]["ResTarget"]
            return (target["name"], 2) if target.get("name") else _figure(target.get("val", {}))
    return "", 0
