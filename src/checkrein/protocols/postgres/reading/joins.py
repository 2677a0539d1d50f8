"""Joins: which columns are merged, which names stay visible (PostgreSQL's transformFromClauseItem)."""

from __future__ import annotations

from typing import Final

from checkrein.protocols.postgres.reading import coercion, operators
from checkrein.protocols.postgres.reading.scope import Item, Scope, Source
from checkrein.protocols.postgres.reading.state import Node, Reader, strings_of
from checkrein.protocols.sql.lineage import Column, Value, safely

_JOIN: Final = frozenset(
    {"jointype", "isNatural", "larg", "rarg", "usingClause", "join_using_alias", "quals", "alias", "rtindex"}
)


def joined(reader: Reader, node: Node, scope: Scope, left: list[Item], right: list[Item]) -> list[Item]:
    """Return the namespace of a join of two read sides."""
    reader.only("JoinExpr", node, _JOIN)
    left_columns = _visible(left)
    right_columns = _visible(right)
    names = strings_of(node.get("usingClause"))
    if node.get("isNatural"):
        names = _common(reader, left, right)
    merged = [_merged(reader, node, name, left_columns, right_columns) for name in names]
    rest = [column for column in [*left_columns, *right_columns] if column.name not in names]
    source = Source("", [*merged, *rest])
    _condition(reader, node, scope, [*left, *right])
    found = [Item(item.source, item.name_visible, False) for item in (*left, *right)]
    alias = node.get("alias")
    if alias is not None:
        source.alias = str(alias.get("aliasname", ""))
        for number, name in enumerate(strings_of(alias.get("colnames"))):
            source.columns[number] = source.columns[number].named(name)
        found = []
    using = node.get("join_using_alias")
    if using is not None:
        found.append(Item(Source(str(using.get("aliasname", "")), merged), True, False))
    found.append(Item(source, alias is not None, True))
    return found


def _visible(items: list[Item]) -> list[Column]:
    """Return the columns that `*` over a side gives."""
    found: list[Column] = []
    for item in items:
        if item.columns_visible:
            found.extend(item.source.columns)
    return found


def _common(reader: Reader, left: list[Item], right: list[Item]) -> list[str]:
    """Return the names that NATURAL joins by, in the order of the left side."""
    if any(item.source.open for item in (*left, *right) if item.columns_visible):
        reader.concede("NATURAL JOIN with a function whose columns are not known")
    others = {column.name for column in _visible(right)}
    return [column.name for column in _visible(left) if column.name in others]


def _merged(reader: Reader, node: Node, name: str, left: list[Column], right: list[Column]) -> Column:
    """Return the column that USING makes of two; both are compared."""
    one = _single(reader, name, left)
    other = _single(reader, name, right)
    operators.check(reader, ["="], (one.type, other.type))
    for value in (one, other):
        reader.log.use(value, "JOIN USING", 0)
    kind = node.get("jointype", "JOIN_INNER")
    if kind == "JOIN_FULL":
        merged = safely([one, other])
    elif kind == "JOIN_RIGHT":
        merged = _kept(other, one)
    elif kind == "JOIN_LEFT":
        merged = _kept(one, other)
    else:
        same = one.type == other.type or one.type == 0 or other.type == 0
        merged = _kept(other, one) if not same and _coerced(one, other) else _kept(one, other)
    return Column(name, merged.typed(coercion.common_type(reader.catalog, [one.type, other.type])))


_WIDTH: Final = {21: 1, 23: 2, 20: 3, 1700: 4, 700: 5, 701: 6, 1043: 1, 25: 2, 1082: 1, 1114: 2, 1184: 3}


def _coerced(one: Value, other: Value) -> bool:
    """Whether the first of two is the one that is converted to the common type."""
    return _WIDTH.get(one.type, 0) < _WIDTH.get(other.type, 0)


def _kept(value: Value, other: Value) -> Value:
    """Return the value of the side that is shown; without a witness where it had to be converted."""
    if value.type and other.type and value.type != other.type and _coerced(value, other):
        return value.unwitnessed()
    return value


def _single(reader: Reader, name: str, columns: list[Column]) -> Value:
    """Return the one column of that name on a side."""
    found = [column for column in columns if column.name == name]
    if len(found) != 1:
        reader.concede(f'column "{name}" of USING is not exactly one column')
    return found[0].used()


def _condition(reader: Reader, node: Node, scope: Scope, items: list[Item]) -> None:
    """Read ON: it sees both sides, and what is around the query."""
    if "quals" not in node:
        return
    inner = Scope(scope.parent)
    inner.ctes = scope.ctes
    inner.items = items
    reader.used(node["quals"], inner, "JOIN ON")
