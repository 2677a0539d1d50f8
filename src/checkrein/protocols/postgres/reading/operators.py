"""Operators: which are known, and what their result derives from."""

from __future__ import annotations

from checkrein.protocols.postgres.known import operator_known as known_operator
from checkrein.protocols.postgres.reading.scope import Scope
from checkrein.protocols.postgres.reading.state import Node, Reader, strings_of
from checkrein.protocols.sql.lineage import BOOLEAN, Value, compute

_FIELDS = frozenset({"kind", "name", "lexpr", "rexpr", "location", "rexpr_list_start", "rexpr_list_end"})
_BOOLEAN_KINDS = frozenset(
    {
        "AEXPR_OP_ANY", "AEXPR_OP_ALL", "AEXPR_DISTINCT", "AEXPR_NOT_DISTINCT", "AEXPR_IN", "AEXPR_LIKE", "AEXPR_ILIKE",
        "AEXPR_SIMILAR", "AEXPR_BETWEEN", "AEXPR_NOT_BETWEEN", "AEXPR_BETWEEN_SYM", "AEXPR_NOT_BETWEEN_SYM",
    }
)  # fmt: skip
_BETWEEN = frozenset({"AEXPR_BETWEEN", "AEXPR_NOT_BETWEEN", "AEXPR_BETWEEN_SYM", "AEXPR_NOT_BETWEEN_SYM"})
_BETWEEN_OPERATORS = ("<=", ">=", "<", ">")
_BOOL = 16


def read_operation(reader: Reader, node: Node, scope: Scope) -> Value:
    """Read an operation; a left-deep chain is walked in a loop, since it may be hundreds long."""
    chain: list[Node] = []
    while True:
        reader.only("A_Expr", node, _FIELDS)
        chain.append(node)
        left = node.get("lexpr")
        if left is None or "A_Expr" not in left:
            break
        node = left["A_Expr"]
    value = reader.expr(chain[-1].get("lexpr"), scope) if "lexpr" in chain[-1] else None
    for node in reversed(chain):
        value = _operation(reader, node, value, scope)
    return value if value is not None else BOOLEAN


def _operation(reader: Reader, node: Node, left: Value | None, scope: Scope) -> Value:
    """Return one operation's value."""
    kind = str(node.get("kind", ""))
    names = strings_of(node.get("name"))
    right = reader.expr(node.get("rexpr"), scope)
    values = [right] if left is None else [left, right]
    if kind in _BETWEEN:
        boolean = True
        for name in _BETWEEN_OPERATORS:
            check(reader, [name], 2)
    else:
        boolean = check(reader, names, len(values))
    _note_constants(reader, node, left, right)
    location = int(node.get("location", -1))
    if left is not None and left.origins:
        reader.log.use(left, "operator", reader.at(location))
    if right.origins:
        reader.log.use(right, "operator", reader.at(location))
    if kind == "AEXPR_NULLIF":
        return compute(values, type=values[0].type)
    if kind in _BOOLEAN_KINDS or boolean:
        return compute(values, "boolean", _BOOL)
    if kind != "AEXPR_OP":
        reader.concede(f"{kind} is not read")
    return compute(values)


def _note_constants(reader: Reader, node: Node, left: Value | None, right: Value) -> None:
    """Note constants that stand beside columns, in lists as well."""
    if left is None:
        return
    if left.origins and right.constant:
        for value in constants_in(reader, node.get("rexpr"), right):
            reader.log.beside(value, left.origins)
    elif left.constant and right.origins:
        reader.log.beside(left, right.origins)


def constants_in(reader: Reader, node: Node | None, value: Value) -> list[Value]:
    """Return the constants of a constant expression: itself, or the elements of a list or array."""
    if node is None or value.start >= 0 or value.parameter >= 0:
        return [value]
    inner = node.get("List", node.get("A_ArrayExpr"))
    if inner is None:
        cast = node.get("TypeCast")
        return [] if cast is None else constants_in(reader, cast.get("arg"), value)
    found: list[Value] = []
    for element in inner.get("items", inner.get("elements", [])):
        found.append(reader.expr(element, Scope()))
    return found


def check(reader: Reader, names: list[str], arity: int) -> bool:
    """Concede on an operator that a user may have redefined; say whether it always gives a truth value.

    The overloads of that name and arity that the search path lets the server see must all be the system's or an
    extension's: which one is chosen depends on types that are not all known here.
    """
    name = names[-1]
    schema = names[-2] if len(names) > 1 else ""
    path = reader.names.search_path
    boolean = True
    found = False
    for operator in reader.catalog.operators.get(name, ()):
        if (operator.left == 0) != (arity == 1):
            continue
        if schema and operator.schema != schema:
            continue
        if not schema and operator.schema != "pg_catalog" and reader.names.known and operator.schema not in path:
            continue
        if not known_operator(operator):
            reader.concede(f'operator "{name}" may be a user-defined one')
        found = True
        boolean = boolean and operator.result == _BOOL
    if not found and name not in ("<>", "!="):
        reader.concede(f'operator "{name}" is not in the catalog')
    return boolean
