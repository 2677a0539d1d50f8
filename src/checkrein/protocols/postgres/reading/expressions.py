"""Expressions: every node type that may stand where a value stands, and what its value derives from."""

from __future__ import annotations

import re

from checkrein.core.statement import Statement
from checkrein.protocols.postgres.reading import casts, coercion, columns, json_expressions, operators
from checkrein.protocols.postgres.reading.functions import read_call, read_grouping
from checkrein.protocols.postgres.reading.literals import token_end
from checkrein.protocols.postgres.reading.names import array_of
from checkrein.protocols.postgres.reading.scope import Scope
from checkrein.protocols.postgres.reading.state import Handler, Node, Reader, strings_of
from checkrein.protocols.sql.lineage import BOOLEAN, COMPUTED, Value, compute, safely

_VALUE_TYPES = {"ival": 23, "boolval": 16, "sval": 0, "bsval": 1560}
_WHOLE = re.compile("-?[0-9]+")
_DECIMAL = re.compile("-?(?:[0-9]+[.]?[0-9]*|[.][0-9]+)(?:[eE][+-]?[0-9]+)?")
_INT8_DIGITS = 20
_JSONB = 3802
_CASE = frozenset({"arg", "args", "defresult", "location"})
_WHEN = frozenset({"expr", "result", "location"})
_SUBLINK = frozenset({"subLinkType", "testexpr", "operName", "subselect", "location"})
_SQLVALUE_NEEDS_NOTHING = frozenset({"op", "type", "typmod", "location"})


def constant(reader: Reader, node: Node, scope: Scope) -> Value:
    """A constant of the text. Its extent is kept for the journal."""
    value = Value(constant=True)
    for field in node:
        value.type = _VALUE_TYPES.get(field, value.type)
    if "fval" in node:
        value.type = _number_type(str(node["fval"].get("fval", "")))
    start = int(node.get("location", 0))
    if not reader.views and start >= 0:
        value.start = start
        value.end = token_end(reader.data, start)
        reader.log.constants.append(value)
    return value


def _number_type(text: str) -> int:
    """Return the type of a number that is no int4 in the grammar (make_const in parse_node.c); 0 when not sure."""
    if _WHOLE.fullmatch(text):
        number = int(text) if len(text) <= _INT8_DIGITS else 1 << 63
        if -(1 << 31) <= number < 1 << 31:
            return 23
        return 20 if -(1 << 63) <= number < 1 << 63 else 1700
    return 1700 if _DECIMAL.fullmatch(text) else 0


def parameter(reader: Reader, node: Node, scope: Scope) -> Value:
    """A parameter of the extended protocol or of PREPARE."""
    value = Value(constant=True)
    if not reader.views:
        value.parameter = int(node.get("number", 0)) - 1
        reader.log.constants.append(value)
        reader.log.parameters.setdefault(value.parameter, {})
    return value


def boolean(reader: Reader, node: Node, scope: Scope) -> Value:
    """AND, OR, NOT."""
    reader.only("BoolExpr", node, frozenset({"boolop", "args", "location"}))
    values = reader.exprs(node.get("args"), scope)
    return _tested(reader, values, "condition", int(node.get("location", -1)))


def null_test(reader: Reader, node: Node, scope: Scope) -> Value:
    """IS [NOT] NULL, IS TRUE and their like."""
    reader.only("NullTest", node, frozenset({"arg", "nulltesttype", "booltesttype", "argisrow", "location"}))
    return _tested(reader, [reader.expr(node.get("arg"), scope)], "test", int(node.get("location", -1)))


def _tested(reader: Reader, values: list[Value], place: str, location: int) -> Value:
    """A truth value made of others."""
    for value in values:
        if value.origins:
            reader.log.use(value, place, reader.at(location))
    return compute(values, "boolean", 16) if values else BOOLEAN


def case(reader: Reader, node: Node, scope: Scope) -> Value:
    """CASE: conditions are uses; the results are alternatives, computed since which one is taken tells something."""
    reader.only("CaseExpr", node, _CASE)
    location = int(node.get("location", -1))
    argument = reader.used(node.get("arg"), scope, "CASE", location)
    told = [argument]
    results: list[Value] = []
    for item in node.get("args", []):
        when = item.get("CaseWhen")
        if when is None:
            reader.concede("CASE without WHEN")
        reader.only("CaseWhen", when, _WHEN)
        condition = reader.used(when.get("expr"), scope, "CASE", location)
        if "arg" in node:
            compared = operators.type_of(node["arg"], argument)
            compared = coercion.TEXT if compared == coercion.UNKNOWN else compared
            operators.check(reader, ["="], (compared, operators.type_of(when.get("expr"), condition)))
        _beside(reader, argument, condition)
        told.append(condition)
        results.append(reader.expr(when.get("result"), scope))
    if "defresult" in node:
        results.append(reader.expr(node["defresult"], scope))
    for result in results:
        reader.log.use(result, "CASE", reader.at(location))
    for value in told:
        if value.calls:  # which result is given tells of it, and the results alone would say CASE as well
            reader.log.use(value, "CASE condition", reader.at(location))
    return compute(results)


def _beside(reader: Reader, one: Value, other: Value) -> None:
    """Note a constant beside columns, whichever side it stands on."""
    if other.constant and one.origins:
        reader.log.beside(other, one.origins)
    elif one.constant and other.origins:
        reader.log.beside(one, other.origins)


def coalesce(reader: Reader, node: Node, scope: Scope) -> Value:
    """COALESCE: one of its arguments, cannot fail."""
    reader.only("CoalesceExpr", node, frozenset({"args", "location"}))
    values: list[Value] = []
    told = 0
    for item in node.get("args", []):
        before = reader.subselects
        value = reader.expr(item, scope)
        # a sub-select fails where it gives several rows, and that it is reached tells that those before were NULL
        if values and (reader.subselects > before or not _always_gives(item, value)):
            used_up(reader, values[told:], "COALESCE", int(node.get("location", -1)))
            told = len(values)
        values.append(value)
    return safely(values, _common(reader, node.get("args"), values))


def _always_gives(node: Node, value: Value) -> bool:
    """Whether an expression can neither fail nor do anything else that is seen: constants and columns, safely changed.

    A text that is cast twice may fail when it is reached; a parameter's type is not known, so its cast may as well.
    """
    inner = node.get("TypeCast", {}).get("arg", {})
    if value.constant:
        plain = "A_Const" in node or "ParamRef" in node or "A_Const" in inner
        return plain or ("ParamRef" in inner and value.type in (casts.TEXT, casts.VARCHAR))
    if "SQLValueFunction" in node:
        return True
    return bool(value.origins) and value.how != COMPUTED and not value.calls


def extremes(reader: Reader, node: Node, scope: Scope) -> Value:
    """GREATEST and LEAST: they compare."""
    reader.only("MinMaxExpr", node, frozenset({"args", "op", "location"}))
    values = reader.exprs(node.get("args"), scope)
    made = used_up(reader, values, "comparison", int(node.get("location", -1)))
    return made.typed(_common(reader, node.get("args"), values))


def _common(reader: Reader, nodes: list[Node] | None, values: list[Value]) -> int:
    """Return the type that alternatives are given; 0 when that is not sure."""
    types = [operators.type_of(node, value) for node, value in zip(nodes or [], values, strict=True)]
    return coercion.common_type(reader.catalog, types)


def used_up(reader: Reader, values: list[Value], place: str, location: int) -> Value:
    """A value computed from others in a way that may fail or tell of them."""
    for value in values:
        if value.origins:
            reader.log.use(value, place, reader.at(location))
    return compute(values)


def array(reader: Reader, node: Node, scope: Scope) -> Value:
    """ARRAY[...]."""
    reader.only("A_ArrayExpr", node, frozenset({"elements", "location", "list_start", "list_end"}))
    values = reader.exprs(node.get("elements"), scope)
    made = used_up(reader, values, "array", int(node.get("location", -1)))
    made.constant = all(value.constant for value in values)
    element = reader.catalog.types.get(values[0].type) if values else None
    if element is not None and element.relation:  # unnest gives its fields as columns
        made.type = array_of(reader, element).oid
    else:
        made.type = coercion.array_over(reader.catalog, _common(reader, node.get("elements"), values))
    return made


def row(reader: Reader, node: Node, scope: Scope) -> Value:
    """ROW(...)."""
    reader.only("RowExpr", node, frozenset({"args", "row_format", "location", "colnames"}))
    return used_up(reader, reader.exprs(node.get("args"), scope), "row", int(node.get("location", -1)))


def items(reader: Reader, node: Node, scope: Scope) -> Value:
    """A list, as in IN (...)."""
    reader.only("List", node, frozenset({"items"}))
    values = reader.exprs(node.get("items"), scope)
    made = compute(values)
    made.constant = all(value.constant for value in values)
    return made


def sublink(reader: Reader, node: Node, scope: Scope) -> Value:
    """A sub-select in an expression: EXISTS, IN, ANY, ALL, scalar, ARRAY."""
    reader.only("SubLink", node, _SUBLINK)
    kind = str(node.get("subLinkType", ""))
    query = node.get("subselect", {})
    location = int(node.get("location", -1))
    if "SelectStmt" not in query:
        reader.concede("a sub-select is not a SELECT")
    before = len(reader.log.reads)
    reader.subselects += 1
    test = reader.expr(node.get("testexpr"), scope)
    found = reader.select(reader, query["SelectStmt"], Scope(scope))
    values = [column.value for column in found]
    if kind == "EXISTS_SUBLINK":
        return BOOLEAN
    if kind in ("ANY_SUBLINK", "ALL_SUBLINK"):
        _check_members(reader, node, test, values)
        return _tested(reader, [test, *values], "sub-select", location)
    if kind == "EXPR_SUBLINK":
        if len(values) != 1:
            return used_up(reader, values, "sub-select", location)
        only = values[0]
        return Value(only.how, only.origins, None, only.kind, only.calls, only.type, only.typmod)
    if kind != "ARRAY_SUBLINK" or before < 0:
        reader.concede(f"{kind} is not read")
    made = used_up(reader, values, "array", location)
    return made.typed(coercion.array_over(reader.catalog, values[0].type)) if len(values) == 1 else made


def _check_members(reader: Reader, node: Node, test: Value, values: list[Value]) -> None:
    """Check the operator of IN, ANY or ALL over a sub-select, for each of its columns."""
    names = strings_of(node.get("operName")) or ["="]
    if len(values) == 1 and "RowExpr" not in node.get("testexpr", {}):
        operators.check(reader, names, (operators.type_of(node.get("testexpr"), test), values[0].type))
    else:
        operators.check(reader, names, (0, 0))


def indirection(reader: Reader, node: Node, scope: Scope) -> Value:
    """Fields and subscripts: `(t).ssn` is the column itself, anything else is computed."""
    reader.only("A_Indirection", node, frozenset({"arg", "indirection"}))
    steps = node.get("indirection", [])
    source = columns.row_source(reader, node.get("arg", {}), scope)
    if source is not None and steps and "String" in steps[0]:
        value = columns.column_of(reader, source, str(steps[0]["String"].get("sval", "")))
        steps = steps[1:]
        if not steps:
            return value
    else:
        value = reader.expr(node.get("arg"), scope)
    made = used_up(reader, [value, *_subscripts(reader, steps, scope)], "field", -1)
    return made.typed(_subscripted(reader, value.type, steps))


def _subscripted(reader: Reader, type: int, steps: list[Node]) -> int:
    """Return the type that subscripts give: an array's element, of a slice the array, of jsonb jsonb; 0 otherwise."""
    base = reader.catalog.types.get(coercion.base_of(reader.catalog, type))
    if base is None or not all("A_Indices" in step for step in steps):
        return 0
    if base.oid == _JSONB:
        return _JSONB
    if not base.element or not base.name.startswith("_"):
        return 0
    return base.oid if any("is_slice" in step["A_Indices"] for step in steps) else base.element


def _subscripts(reader: Reader, steps: list[Node], scope: Scope) -> list[Value]:
    """Read the expressions in subscripts."""
    found: list[Value] = []
    for step in steps:
        if "A_Indices" in step:
            reader.only("A_Indices", step["A_Indices"], frozenset({"is_slice", "lidx", "uidx"}))
            for bound in ("lidx", "uidx"):
                found.append(reader.used(step["A_Indices"].get(bound), scope, "subscript"))
        elif "String" not in step and "A_Star" not in step:
            reader.concede("an unknown subscript")
    return found


def assigned(reader: Reader, node: Node, scope: Scope) -> Value:
    """One column of `(a, b) = (...)`: its source is read once for each."""
    reader.only("MultiAssignRef", node, frozenset({"source", "colno", "ncolumns"}))
    return reader.expr(node.get("source"), scope)


def collate(reader: Reader, node: Node, scope: Scope) -> Value:
    """COLLATE: the value is unchanged, but no longer a plain column."""
    reader.only("CollateClause", node, frozenset({"arg", "collname", "location"}))
    return reader.expr(node.get("arg"), scope).unwitnessed()


def named_argument(reader: Reader, node: Node, scope: Scope) -> Value:
    """`name => value`."""
    reader.only("NamedArgExpr", node, frozenset({"arg", "name", "argnumber", "location"}))
    return reader.expr(node.get("arg"), scope)


def sql_value(reader: Reader, node: Node, scope: Scope) -> Value:
    """CURRENT_USER, CURRENT_DATE and the like."""
    reader.only("SQLValueFunction", node, _SQLVALUE_NEEDS_NOTHING)
    return Value()


def nothing(reader: Reader, node: Node, scope: Scope) -> Value:
    """DEFAULT, merge_action(): no column behind it."""
    return Value()


def current_of(reader: Reader, node: Node, scope: Scope) -> Value:
    """WHERE CURRENT OF: which row is the cursor's, not to be told from the text."""
    name = str(node.get("cursor_name", ""))
    unknown = Statement(protocol="postgres", text=f"/* the cursor {name!r}, not known here */")
    reader.named = reader.around.cursors.get(name, unknown)
    return BOOLEAN


def xml(reader: Reader, node: Node, scope: Scope) -> Value:
    """XMLELEMENT and its like."""
    reader.only(
        "XmlExpr",
        node,
        frozenset(
            {"op", "name", "named_args", "arg_names", "args", "xmloption", "location", "indent", "type", "typmod"}
        ),
    )
    values = reader.exprs(node.get("args"), scope)
    for named in node.get("named_args", []):
        values.append(reader.expr(named.get("ResTarget", {}).get("val"), scope))
    return used_up(reader, values, "xml", int(node.get("location", -1)))


def xml_serialize(reader: Reader, node: Node, scope: Scope) -> Value:
    """XMLSERIALIZE."""
    reader.only("XmlSerialize", node, frozenset({"xmloption", "expr", "typeName", "indent", "location"}))
    return used_up(reader, [reader.expr(node.get("expr"), scope)], "xml", int(node.get("location", -1)))


def table() -> dict[str, Handler]:
    """Return the handlers by node type."""
    handlers: dict[str, Handler] = {
        "A_Const": constant, "ParamRef": parameter, "ColumnRef": columns.read_column,
        "A_Expr": operators.read_operation, "BoolExpr": boolean, "NullTest": null_test, "BooleanTest": null_test,
        "CaseExpr": case, "CoalesceExpr": coalesce,
        "MinMaxExpr": extremes, "A_ArrayExpr": array, "RowExpr": row, "List": items, "SubLink": sublink,
        "A_Indirection": indirection, "MultiAssignRef": assigned, "CollateClause": collate, "TypeCast": casts.read_cast,
        "NamedArgExpr": named_argument, "SQLValueFunction": sql_value, "SetToDefault": nothing, "XmlExpr": xml,
        "MergeSupportFunc": nothing, "CurrentOfExpr": current_of, "XmlSerialize": xml_serialize, "FuncCall": read_call,
        "GroupingFunc": read_grouping,
    }  # fmt: skip
    handlers.update(json_expressions.table())
    return handlers
