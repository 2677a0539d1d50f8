"""WHERE of a write: which columns its top-level AND fixes, so that it can be said to be bounded."""

from __future__ import annotations

from checkrein.protocols.postgres.catalog import CatalogRelation
from checkrein.protocols.postgres.reading.scope import Scope, Source
from checkrein.protocols.postgres.reading.state import Node, Reader, strings_of
from checkrein.protocols.sql.boundedness import bounded_by


class Bounds:
    """Whether a write is filtered, and how many keys it is bounded to (None: not bounded)."""

    __slots__ = ("filtered", "keys")

    def __init__(self, filtered: bool = False, keys: int | None = None) -> None:
        self.filtered = filtered
        self.keys = keys


def where(reader: Reader, node: Node | None, scope: Scope, source: Source, relation: CatalogRelation) -> Bounds:
    """Read WHERE and say what it bounds the target to. Children of an inherited table share no keys: not bounded."""
    if node is None:
        return Bounds()
    reader.used(node, scope, "WHERE")
    if relation.kind == "v" or (relation.children and relation.kind == "r"):
        return Bounds(True)
    pinned: dict[str, int] = {}
    for part in _conjuncts(node):
        fixed = _fixed(part, scope, source)
        if fixed is not None:
            column, count = fixed
            pinned[column] = min(pinned.get(column, count), count)
    return Bounds(True, bounded_by(pinned, relation.unique_keys))


def _conjuncts(node: Node) -> list[Node]:
    """Return the parts of a top-level AND, nested ones too."""
    found: list[Node] = []
    waiting = [node]
    while waiting:
        part = waiting.pop()
        inner = part.get("BoolExpr")
        if inner is not None and inner.get("boolop") == "AND_EXPR":
            waiting.extend(inner.get("args", []))
        else:
            found.append(part)
    return found


def _fixed(node: Node, scope: Scope, source: Source) -> tuple[str, int] | None:
    """Return the target's column that a condition fixes, and to how many values."""
    operation = node.get("A_Expr")
    if operation is None or strings_of(operation.get("name"))[-1] != "=":
        return None
    kind = operation.get("kind")
    left, right = operation.get("lexpr", {}), operation.get("rexpr", {})
    if kind == "AEXPR_IN":
        elements = right.get("List", {}).get("items", [])
        column = _column(left, scope, source)
        if column and elements and all(_constant(element) for element in elements):
            return column, len(elements)
    if kind == "AEXPR_OP_ANY":
        elements = _array(right)
        column = _column(left, scope, source)
        if column and elements and all(_constant(element) for element in elements):
            return column, len(elements)
    if kind == "AEXPR_OP":
        for one, other in ((left, right), (right, left)):
            column = _column(one, scope, source)
            if column and _constant(other):
                return column, 1
    return None


def _array(node: Node) -> list[Node]:
    """Return the elements of ARRAY[...]; nothing for a parameter, whose length is not known."""
    while "TypeCast" in node:
        node = node["TypeCast"].get("arg", {})
    elements: list[Node] = node.get("A_ArrayExpr", {}).get("elements", [])
    return elements


def _constant(node: Node) -> bool:
    """Whether it is a constant or a parameter, through casts."""
    while "TypeCast" in node:
        node = node["TypeCast"].get("arg", {})
    return "A_Const" in node or "ParamRef" in node


def _column(node: Node, scope: Scope, source: Source) -> str:
    """Return the target's own name of the column that a reference is, or an empty string."""
    reference = node.get("ColumnRef")
    if reference is None or "A_Star" in reference["fields"][-1]:
        return ""
    names = strings_of(reference["fields"])
    if len(names) == 1:
        found = scope.find_column(names[0])
    elif len(names) == 2 and names[0] == source.alias and len(scope.find_sources(names[0])) == 1:
        found = [(source, column) for column in source.columns if column.name == names[1]]
    else:
        return ""
    if len(found) == 1 and found[0][0] is source and found[0][1] in source.columns:
        return found[0][1].real
    return ""
