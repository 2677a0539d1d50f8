"""MERGE: a join, and what each of its actions does (manual, MERGE)."""

from __future__ import annotations

from typing import Final

from checkrein.protocols.postgres.reading import conditions, ranges, writes
from checkrein.protocols.postgres.reading.scope import Item, Scope
from checkrein.protocols.postgres.reading.state import Node, Reader
from checkrein.protocols.sql.lineage import Column

_MERGE: Final = frozenset(
    {"relation", "sourceRelation", "joinCondition", "mergeWhenClauses", "returningClause", "withClause"}
)
_WHEN: Final = frozenset({"matchKind", "commandType", "override", "condition", "targetList", "values"})


def read_merge(reader: Reader, node: Node, scope: Scope) -> list[Column]:
    """Read MERGE; its WITH has been read."""
    reader.only("MergeStmt", node, _MERGE)
    if reader.catalog.server_version < 150000:
        reader.concede("MERGE is not known to this server")
    target = writes.Target(reader, node["relation"])
    if target.source.read is not None:
        target.source.read.needed = True
    own = Item(target.source)
    source = ranges.read_item(reader, node["sourceRelation"], scope)
    scope.items = [*source, own]
    reader.used(node.get("joinCondition"), scope, "MERGE ON")
    for item in node.get("mergeWhenClauses", []):
        when = item.get("MergeWhenClause", {})
        reader.only("MergeWhenClause", when, _WHEN)
        sight = _sight(when, scope, source, own)
        reader.used(when.get("condition"), sight, "MERGE WHEN")
        _action(reader, when, sight, target, node["relation"])
    return writes.returning(reader, node, scope, target)


def _sight(when: Node, scope: Scope, source: list[Item], own: Item) -> Scope:
    """Return what an action sees: where one side has no row, only the other (parse_merge.c)."""
    kind = when.get("matchKind")
    if kind not in ("MERGE_WHEN_NOT_MATCHED_BY_TARGET", "MERGE_WHEN_NOT_MATCHED_BY_SOURCE"):
        return scope
    seen = Scope(scope.parent)
    seen.ctes = scope.ctes
    seen.items = list(source) if kind == "MERGE_WHEN_NOT_MATCHED_BY_TARGET" else [own]
    return seen


def _action(reader: Reader, when: Node, scope: Scope, target: writes.Target, node: Node) -> None:
    """Read one action: its verb on the target."""
    command = when.get("commandType")
    bounds = conditions.Bounds(filtered=True)
    if command == "CMD_UPDATE":
        names = writes.assignments(reader, when.get("targetList", []), scope, target)
        writes.write_effect(reader, "update", target, names, node, bounds)
    elif command == "CMD_DELETE":
        writes.write_effect(reader, "delete", target, [], node, bounds)
    elif command == "CMD_INSERT":
        names = [str(item.get("ResTarget", {}).get("name", "")) for item in when.get("targetList", [])]
        for item in when.get("targetList", []):
            writes.subscripts(reader, item.get("ResTarget", {}), scope)
        names = names or [column.name for column in target.relation.columns]
        writes.written(reader, target, names, writes.read_rows(reader, target, names, [when.get("values", [])], scope))
        writes.write_effect(reader, "insert", target, names, node)
    elif command != "CMD_NOTHING":
        reader.concede("an unknown action of MERGE")
