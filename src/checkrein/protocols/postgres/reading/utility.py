"""Statements that steer the session: transactions, settings, prepared statements, cursors, notifications, locks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from checkrein.core.statement import Effect, full_name
from checkrein.protocols.postgres import doors, settings
from checkrein.protocols.postgres.catalog import CatalogRelation
from checkrein.protocols.postgres.reading import consequences, ranges
from checkrein.protocols.postgres.reading.names import origin_of, relation_kind, relation_name, relation_of
from checkrein.protocols.postgres.reading.part import Part
from checkrein.protocols.postgres.reading.scope import Scope
from checkrein.protocols.postgres.reading.state import Node, Reader
from checkrein.protocols.sql.lineage import Value

_TRANSACTIONS: Final = {
    "TRANS_STMT_BEGIN": "begin", "TRANS_STMT_START": "begin", "TRANS_STMT_COMMIT": "commit",
    "TRANS_STMT_ROLLBACK": "rollback", "TRANS_STMT_SAVEPOINT": "savepoint", "TRANS_STMT_RELEASE": "release",
    "TRANS_STMT_ROLLBACK_TO": "rollback_to", "TRANS_STMT_PREPARE": "prepare_transaction",
    "TRANS_STMT_COMMIT_PREPARED": "commit_prepared", "TRANS_STMT_ROLLBACK_PREPARED": "rollback_prepared",
}  # fmt: skip
_RESETS: Final = frozenset({"VAR_SET_DEFAULT", "VAR_RESET", "VAR_RESET_ALL"})


def transaction(reader: Reader, node: Node) -> Part:
    """BEGIN, COMMIT, SAVEPOINT and the like need no rule; prepared transactions outlive the session and do."""
    kind = _TRANSACTIONS.get(str(node.get("kind", "TRANS_STMT_BEGIN")), "")
    if not kind:
        reader.concede("an unknown transaction statement")
    part = Part(kind, str(node.get("savepoint_name") or node.get("gid") or ""))
    if kind in ("rollback", "rollback_to", "rollback_prepared"):
        reader.changes_names = True
    if kind in ("prepare_transaction", "commit_prepared", "rollback_prepared"):
        reader.effect(
            Effect(verb="lock", object="prepared transaction", kind="transaction", door=doors.BACKEND_CONTROL)
        )
    if node.get("chain"):
        part.facts["chain"] = True
    return part


def set_variable(reader: Reader, node: Node) -> Part:
    """SET and RESET. A reset goes back to what was held at login, so it is free."""
    how = str(node.get("kind", "VAR_SET_VALUE"))
    name = settings.normalise(str(node.get("name", "")))
    if how in _RESETS:
        part = Part("reset" if how != "VAR_SET_DEFAULT" else "set", name)
        part.act["setting_class"] = settings.LOCAL if name in settings.LOCAL_SETTINGS else settings.FREE
        reader.effect(Effect(verb="set", object=name or "all", kind="setting", housekeeping=True))
        reader.changes_names = name in ("", "search_path", "role", "session_authorization")
    else:
        value = None if how != "VAR_SET_VALUE" else _setting_value(node.get("args", []))
        part = Part("set", name)
        part.act["setting_class"] = consequences.set_setting(reader, name, value, 0)
        part.act["setting_value"] = value
        reader.reads_constants = True
    part.act["local"] = bool(node.get("is_local"))
    return part


def _setting_value(nodes: list[Node]) -> str | None:
    """Return the constants that a setting is set to, as the server joins them; None when one is computed."""
    found: list[str] = []
    for node in nodes:
        constant = node.get("A_Const")
        if constant is None:
            return None
        if "sval" in constant:
            found.append(str(constant["sval"].get("sval", "")))
        elif "ival" in constant:
            found.append(str(constant["ival"].get("ival", 0)))
        elif "fval" in constant:
            found.append(str(constant["fval"].get("fval", "")))
        elif "boolval" in constant:
            found.append("true" if constant["boolval"].get("boolval") else "false")
    return ", ".join(found)


def show(reader: Reader, node: Node) -> Part:
    """SHOW needs no rule."""
    part = Part("show", str(node.get("name", "")))
    part.opaque = True
    return part


def discard(reader: Reader, node: Node) -> Part:
    """DISCARD goes back to what was held at login."""
    target = str(node.get("target", "DISCARD_ALL")).removeprefix("DISCARD_").lower()
    reader.changes_names = True
    return Part("discard", target)


def constraints(reader: Reader, node: Node) -> Part:
    """SET CONSTRAINTS says when constraints are checked."""
    return Part("set", "constraints")


def deallocate(reader: Reader, node: Node) -> Part:
    """DEALLOCATE one or all."""
    return Part("deallocate", "*" if node.get("isall") or not node.get("name") else str(node["name"]))


def close(reader: Reader, node: Node) -> Part:
    """CLOSE one cursor or all."""
    return Part("close", str(node.get("portalname") or "*"))


def fetch(reader: Reader, node: Node) -> Part:
    """FETCH and MOVE do what the cursor's query does."""
    name = str(node.get("portalname", ""))
    part = reader.part = Part("move" if node.get("ismove") else "fetch", name)
    declared = reader.around.cursors.get(name)
    if declared is None:
        reader.concede(f'cursor "{name}" is not known')
    reader.named = declared
    reader.adopt(declared)
    if part.kind == "fetch":
        part.outputs = declared.outputs
        part.opaque = declared.opaque_rows
    return part


def listen(reader: Reader, node: Node) -> Part:
    """LISTEN: a channel that a rule must name."""
    name = str(node.get("conditionname", ""))
    reader.effect(Effect(verb="listen", object=full_name(name), kind="channel", door=doors.NOTIFICATIONS))
    return Part("listen", name)


def unlisten(reader: Reader, node: Node) -> Part:
    """UNLISTEN needs no rule."""
    return Part("unlisten", str(node.get("conditionname") or "*"))


def notify(reader: Reader, node: Node) -> Part:
    """NOTIFY: a channel that a rule must name."""
    name = str(node.get("conditionname", ""))
    reader.effect(Effect(verb="notify", object=full_name(name), kind="channel", door=doors.NOTIFICATIONS))
    return Part("notify", name)


def lock(reader: Reader, node: Node) -> Part:
    """LOCK TABLE: in ACCESS SHARE mode it needs what reading needs."""
    for item in node.get("relations", []):
        relation = relation_of(reader, item.get("RangeVar", {}))
        reader.relations[relation.oid] = relation
        if int(node.get("mode", 0)) == 1:
            ranges.table_source(reader, relation)
            continue
        reader.effect(
            Effect(verb="lock", object=relation_name(relation), kind=relation_kind(relation), oid=relation.oid)
        )
        ranges.lock_through(reader, relation)
    return Part("lock")


def truncate(reader: Reader, node: Node) -> Part:
    """TRUNCATE, and by CASCADE the tables that refer to it."""
    waiting = [relation_of(reader, item.get("RangeVar", {})) for item in node.get("relations", [])]
    seen: dict[int, CatalogRelation] = {}
    while waiting:
        relation = waiting.pop()
        if relation.oid in seen:
            continue
        seen[relation.oid] = relation
        waiting.extend(reader.related(relation.children))
        if node.get("behavior") == "DROP_CASCADE":
            waiting.extend(_referring(reader, relation.oid))
    for relation in seen.values():
        reader.relations[relation.oid] = relation
        reader.effect(
            Effect(verb="truncate", object=relation_name(relation), kind=relation_kind(relation), oid=relation.oid)
        )
    reader.writes = True
    return Part("utility")


def _referring(reader: Reader, oid: int) -> list[CatalogRelation]:
    """Return the relations with a foreign key to this one."""
    return [
        relation
        for relation in reader.catalog.relations_by_oid.values()
        if any(key.referenced_oid == oid for key in relation.foreign_keys)
    ]


def concede_code(what: str) -> Callable[[Reader, Node], Part]:
    """Return a handler for statements whose effects are in code that is not read."""

    def handle(reader: Reader, node: Node) -> Part:
        reader.changes_names = True
        reader.writes = True
        reader.concede(f"what {what} does is not read")

    return handle


def call(reader: Reader, node: Node) -> Part:
    """CALL runs a procedure, which may commit: matched by its text alone."""
    reader.exprs(node.get("funccall", {}).get("args"), Scope())
    return concede_code("CALL")(reader, node)


def maintenance(reader: Reader, node: Node) -> Part:
    """VACUUM, ANALYZE, CLUSTER, REINDEX: they alter the tables they name, or the whole database."""
    named = [item.get("VacuumRelation", {}).get("relation") for item in node.get("rels", [])]
    if "relation" in node:
        named.append(node["relation"])
    relations = [relation_of(reader, item) for item in named if item]
    for relation in relations:
        reader.relations[relation.oid] = relation
        reader.effect(
            Effect(verb="alter", object=relation_name(relation), kind=relation_kind(relation), oid=relation.oid)
        )
    if not relations:
        reader.effect(Effect(verb="alter", object=reader.catalog.database, kind="database"))
    part = Part("utility")
    part.opaque = bool(node.get("options"))
    return part


def cluster(reader: Reader, node: Node) -> Part:
    """CLUSTER puts rows in the order of an index: their order tells of any column that it may be over."""
    if "relation" not in node:
        reader.concede("which tables CLUSTER orders is not known")
    relation = relation_of(reader, node["relation"])
    origins = tuple(origin_of(relation, column.name, column.number) for column in relation.columns)
    reader.log.use(Value(origins=origins), "CLUSTER", 0)
    return maintenance(reader, node)


def checkpoint(reader: Reader, node: Node) -> Part:
    """CHECKPOINT."""
    reader.effect(Effect(verb="alter", object="server", kind="server", door=doors.BACKEND_CONTROL))
    return Part("utility")


def table() -> dict[str, Callable[[Reader, Node], Part]]:
    """Return the handlers by statement type."""
    return {
        "TransactionStmt": transaction, "VariableSetStmt": set_variable, "VariableShowStmt": show,
        "DiscardStmt": discard, "ConstraintsSetStmt": constraints, "DeallocateStmt": deallocate,
        "ClosePortalStmt": close, "FetchStmt": fetch, "ListenStmt": listen, "UnlistenStmt": unlisten,
        "NotifyStmt": notify, "LockStmt": lock, "TruncateStmt": truncate, "DoStmt": concede_code("DO"),
        "CallStmt": call, "VacuumStmt": maintenance, "ClusterStmt": cluster, "ReindexStmt": maintenance,
        "CheckPointStmt": checkpoint,
    }  # fmt: skip
