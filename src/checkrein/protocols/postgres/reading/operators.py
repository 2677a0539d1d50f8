"""Operators: which one a name means, which are known, and what their result derives from."""

from __future__ import annotations

from itertools import product

from checkrein.core.statement import Origin
from checkrein.protocols.postgres.catalog import CatalogOperator
from checkrein.protocols.postgres.known import operator_known as known_operator
from checkrein.protocols.postgres.reading import coercion, overloads
from checkrein.protocols.postgres.reading.overloads import Candidate
from checkrein.protocols.postgres.reading.scope import Scope
from checkrein.protocols.postgres.reading.state import Node, Reader, strings_of
from checkrein.protocols.sql.lineage import BOOLEAN, Value, bare, compute

_FIELDS = frozenset({"kind", "name", "lexpr", "rexpr", "location", "rexpr_list_start", "rexpr_list_end"})
_BOOLEAN_KINDS = frozenset(
    {
        "AEXPR_OP_ANY", "AEXPR_OP_ALL", "AEXPR_DISTINCT", "AEXPR_NOT_DISTINCT", "AEXPR_IN", "AEXPR_LIKE", "AEXPR_ILIKE",
        "AEXPR_SIMILAR", "AEXPR_BETWEEN", "AEXPR_NOT_BETWEEN", "AEXPR_BETWEEN_SYM", "AEXPR_NOT_BETWEEN_SYM",
    }
)  # fmt: skip
_BETWEEN = {
    "AEXPR_BETWEEN": (">=", "<="), "AEXPR_NOT_BETWEEN": ("<", ">"),
    "AEXPR_BETWEEN_SYM": (">=", "<="), "AEXPR_NOT_BETWEEN_SYM": ("<", ">"),
}  # fmt: skip
_ARRAYS = frozenset({"AEXPR_OP_ANY", "AEXPR_OP_ALL"})
_ROWS = frozenset({"AEXPR_OP", "AEXPR_DISTINCT", "AEXPR_NOT_DISTINCT", "AEXPR_IN"})
_BOOL = 16
_OPEN = frozenset({coercion.UNKNOWN, coercion.PARAMETER})


class Operand:
    """One side of an operation: its value, the types it may have, and the same of its parts, of a row or list."""

    __slots__ = ("first", "parts", "row", "types", "value")

    def __init__(self, value: Value, types: tuple[int, ...], parts: list[Operand], row: bool, first: int) -> None:
        self.first = first  # of the constants in it, as they were read
        self.value = value
        self.types = types
        self.parts = parts
        self.row = row


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
    first = len(reader.log.constants)
    operand = _operand(reader, chain[-1]["lexpr"], scope) if "lexpr" in chain[-1] else None
    for node in reversed(chain):
        value = _operation(reader, node, operand, scope)
        operand = Operand(value, (value.type,), [], False, first)
    return BOOLEAN if operand is None else operand.value


def type_of(node: Node | None, value: Value) -> int:
    """Return the type that an expression has as an operand or argument: UNKNOWN for a bare literal, PARAMETER."""
    if node is not None:
        constant = node.get("A_Const")
        if constant is not None and ("sval" in constant or "isnull" in constant):
            return coercion.UNKNOWN
        if "RowExpr" in node:
            return coercion.RECORD
        if "ParamRef" in node:
            return coercion.PARAMETER
    return value.type


def _operand(reader: Reader, node: Node | None, scope: Scope) -> Operand:
    """Read one side. The parts of a row and of a list are read here, so that their types are known."""
    first = len(reader.log.constants)
    inner = None if node is None else node.get("RowExpr", node.get("List"))
    if node is None or inner is None:
        value = reader.expr(node, scope)
        return Operand(value, (type_of(node, value),), [], False, first)
    reader.enter()
    parts = [_operand(reader, part, scope) for part in inner.get("args", inner.get("items", []))]
    reader.leave()
    values = [part.value for part in parts]
    made = compute(values)
    row = "RowExpr" in node
    if row:
        reader.only("RowExpr", inner, frozenset({"args", "row_format", "location", "colnames"}))
        for value in values:
            if value.origins:
                reader.log.use(value, "row", reader.at(int(inner.get("location", -1))))
    else:
        reader.only("List", inner, frozenset({"items"}))
        made.constant = all(value.constant for value in values)
    return Operand(made, (coercion.RECORD,) if row else (), parts, row, first)


def _operation(reader: Reader, node: Node, left: Operand | None, scope: Scope) -> Value:
    """Return one operation's value."""
    kind = str(node.get("kind", ""))
    right = _operand(reader, node.get("rexpr"), scope)
    found = _resolved(reader, node, kind, left, right)
    type = _result(reader, found, left, right)
    if left is not None:
        _note_constants(reader, left, right)
    values = [right.value] if left is None else [left.value, right.value]
    for value in values:
        if value.origins:
            reader.log.use(value, "operator", reader.at(int(node.get("location", -1))))
    if kind == "AEXPR_NULLIF":
        return compute(values, type=_left_type(found))
    if kind in _BOOLEAN_KINDS or type == _BOOL:
        return compute(values, "boolean", _BOOL)
    if kind != "AEXPR_OP":
        reader.concede(f"{kind} is not read")
    return compute(values, type=type)


def _resolved(reader: Reader, node: Node, kind: str, left: Operand | None, right: Operand) -> list[CatalogOperator]:
    """Return the operators that an operation may mean. Concedes where one may be a user-defined one."""
    names = strings_of(node.get("name"))
    if left is None:
        return check_any(reader, names, [right.types])
    if kind in _BETWEEN:
        first, last = right.parts if len(right.parts) == 2 else (right, right)
        symmetric = kind.endswith("SYM")
        for name, bound in zip(_BETWEEN[kind], (first, last), strict=True):
            check_any(reader, [name], [left.types, (*first.types, *last.types) if symmetric else bound.types])
        return []
    if kind in _ARRAYS:
        return check_any(reader, names, [left.types, _elements(reader, right)])
    if kind == "AEXPR_IN" and not left.row:
        return check_any(reader, names, [left.types, _listed(reader, left, right)])
    if kind in _ROWS and (left.row or right.row):
        return _rows(reader, names, left, right)
    return check_any(reader, names, [left.types, right.types or (0,)])


def _elements(reader: Reader, array: Operand) -> tuple[int, ...]:
    """Return the element types of an array operand; a bare literal's elements are as bare."""
    return tuple([one if one in _OPEN else coercion.element_of(reader.catalog, one) for one in array.types]) or (0,)


def _listed(reader: Reader, left: Operand, right: Operand) -> tuple[int, ...]:
    """Return the types that an element of IN may be compared as: its own, or one common to some (parse_expr.c)."""
    found = {one for part in right.parts for one in part.types}
    shared = {one if one in _OPEN else coercion.base_of(reader.catalog, one) for one in (*found, *left.types)}
    if coercion.UNKNOWN in left.types:
        shared.add(coercion.TEXT)
    return tuple(sorted(found | shared | {*left.types}))


def _rows(reader: Reader, names: list[str], left: Operand, right: Operand) -> list[CatalogOperator]:
    """Rows are compared column by column; a row beside anything else as a record, or as what is not known here."""
    others = right.parts if right.parts and not right.row else [right]
    found: list[CatalogOperator] = []
    for other in others:
        if left.row and other.row and len(left.parts) == len(other.parts) > 0:
            for one, beside in zip(left.parts, other.parts, strict=True):
                found += check_any(reader, names, [one.types, beside.types])
        else:
            found += check(reader, names, (0, 0))
    return found


def _result(reader: Reader, found: list[CatalogOperator], left: Operand | None, right: Operand) -> int:
    """Return the type that all operators give for the operands; 0 when they differ or it is not known."""
    if len(right.types) != 1 or (left is not None and len(left.types) != 1):
        types = {one.result for one in found}
    else:
        given = right.types if left is None else left.types + right.types
        types = {
            coercion.result_of(reader.catalog, one.result, given, (one.left, one.right)[-len(given) :]) for one in found
        }
    return 0 if len(types) != 1 or types & coercion.POLYMORPHIC else types.pop()


def _left_type(found: list[CatalogOperator]) -> int:
    """Return the type of NULLIF: what its first argument is made for the comparison (parse_expr.c)."""
    types = {one.left for one in found}
    return 0 if len(types) != 1 or types & coercion.POLYMORPHIC else types.pop()


def _note_constants(reader: Reader, left: Operand, right: Operand) -> None:
    """Note the constants of a side that has no columns: they stand beside those of the other."""
    end = len(reader.log.constants)
    if not right.value.origins:
        _beside(reader, right, end, left.value.origins)
    elif not left.value.origins:
        _beside(reader, left, right.first, right.value.origins)


def _beside(reader: Reader, side: Operand, end: int, origins: tuple[Origin, ...]) -> None:
    if bare(side.value):  # a constant that a sub-select gave is found so too
        reader.log.beside(side.value, origins)
    else:
        reader.log.within(side.first, end, origins)


def check_any(reader: Reader, names: list[str], types: list[tuple[int, ...]]) -> list[CatalogOperator]:
    """Return the operators that a name may mean for operands each of one of several types. Concedes as `check` does."""
    found: dict[int, CatalogOperator] = {}
    for chosen in product(*types):
        for operator in check(reader, names, chosen):
            found[operator.oid] = operator
    return list(found.values())


def check(reader: Reader, names: list[str], types: tuple[int, ...]) -> list[CatalogOperator]:
    """Return the operators that a name may mean for operands of these types (see `type_of`), one a side.

    Concedes where one of them is neither the system's nor a known extension's, or an operand may be converted by a
    user-defined cast: both run a user's own function on the operands.
    """
    found = _meant(reader, names, tuple([max(one, 0) for one in types]))
    for operator in found:
        if not known_operator(operator):
            reader.concede(f'operator "{names[-1]}" may be a user-defined one')
        wanted = (operator.left, operator.right)[-len(types) :]
        for given, taken in zip(types, wanted, strict=True):
            if reader.catalog.casts and coercion.runs_user_cast(reader.catalog, given, taken, True):
                reader.concede(f'a user-defined cast may run for operator "{names[-1]}"')
    return found


def _meant(reader: Reader, names: list[str], types: tuple[int, ...]) -> list[CatalogOperator]:
    """Return the operators that a name may mean; all that can be seen where none can take the types."""
    schema, name = names[-2] if len(names) > 1 else "", names[-1]
    path = reader.names.search_path
    key = (reader.catalog.identity, path, reader.names.known, schema, name, types)
    kept = overloads.kept(key)
    if kept is not None:
        return kept
    candidates = _candidates(reader, schema, name, len(types))
    if not candidates and name not in ("<>", "!="):
        reader.concede(f'operator "{name}" is not in the catalog')
    chosen = overloads.possible(reader.catalog, candidates, types, operator=True) or candidates
    found = [one.meant for one in chosen if isinstance(one.meant, CatalogOperator)]
    overloads.keep(key, found)
    return found


def _candidates(reader: Reader, schema: str, name: str, arity: int) -> list[Candidate]:
    """Return the overloads of that name and arity that the search path, or the given schema, lets the server see."""
    found: list[Candidate] = []
    for operator in reader.catalog.operators.get(name, ()):
        if (operator.left == 0) != (arity == 1):
            continue
        arguments = (operator.right,) if arity == 1 else (operator.left, operator.right)
        place = overloads.place_of(reader.names, schema, operator.schema)
        if place is not None:
            found.append(Candidate(arguments, operator, place))
    return found
