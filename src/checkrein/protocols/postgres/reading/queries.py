"""SELECT, VALUES and set operations, with everything that may stand in them."""

from __future__ import annotations

from typing import Final

from checkrein.core.statement import Effect
from checkrein.protocols.postgres.reading import ranges, recursion, sorting, targets
from checkrein.protocols.postgres.reading.names import relation_kind, relation_name
from checkrein.protocols.postgres.reading.scope import Cte, Scope
from checkrein.protocols.postgres.reading.state import Node, Reader, strings_of
from checkrein.protocols.sql.lineage import Column, Value, alternatives, compute

_SELECT: Final = frozenset(
    {
        "distinctClause", "intoClause", "targetList", "fromClause", "whereClause", "groupClause", "groupDistinct",
        "havingClause", "windowClause", "valuesLists", "sortClause", "limitOffset", "limitCount", "limitOption",
        "lockingClause", "withClause", "op", "all", "larg", "rarg",
    }
)  # fmt: skip
_CTE: Final = frozenset(
    {"ctename", "aliascolnames", "ctematerialized", "ctequery", "location", "search_clause", "cycle_clause"}
)
_SETOP_ONLY: Final = ("sortClause", "limitOffset", "limitCount", "withClause", "lockingClause", "intoClause")
_WRITES: Final = frozenset({"InsertStmt", "UpdateStmt", "DeleteStmt", "MergeStmt"})


def read_select(reader: Reader, node: Node, scope: Scope) -> list[Column]:
    """Read a query in the given, still empty, scope. Return its output columns."""
    reader.enter()
    reader.only("SelectStmt", node, _SELECT)
    if "withClause" in node:
        read_with(reader, node["withClause"], scope)
    if node.get("op", "SETOP_NONE") != "SETOP_NONE":
        found = _set_operation(reader, node, scope)
    elif "valuesLists" in node:
        found = _values(reader, node, scope)
    else:
        found = _plain(reader, node, scope)
    if "intoClause" in node:
        read_into(reader, node["intoClause"], found)
    reader.leave()
    return found


def _plain(reader: Reader, node: Node, scope: Scope) -> list[Column]:
    """Read one SELECT without set operations."""
    for item in node.get("fromClause", []):
        ranges.add_item(reader, item, scope)
    reader.used(node.get("whereClause"), scope, "WHERE")
    before, reader.pinned_setting = reader.pinned_setting, _pinned_setting(node)
    found = targets.read_targets(reader, node.get("targetList", []), scope)
    reader.pinned_setting = before
    sorting.read_tail(reader, node, scope, found)
    if "lockingClause" in node:
        _locking(reader, node["lockingClause"], scope)
    return found


def _pinned_setting(node: Node) -> str | None:
    """Return the setting that `FROM pg_settings WHERE name = '...'` pins: pg_dump sets it by set_config(name, ...)."""
    items = node.get("fromClause", [])
    test = node.get("whereClause", {}).get("A_Expr")
    if len(items) != 1 or test is None or test.get("kind") != "AEXPR_OP" or strings_of(test.get("name")) != ["="]:
        return None
    table = items[0].get("RangeVar", {})
    fields = strings_of(test.get("lexpr", {}).get("ColumnRef", {}).get("fields"))
    if table.get("relname") != "pg_settings" or table.get("schemaname", "pg_catalog") != "pg_catalog":
        return None
    constant = test.get("rexpr", {}).get("A_Const", {})
    if fields != ["name"] or "sval" not in constant or "alias" in table:
        return None
    return str(constant["sval"].get("sval", ""))


def _values(reader: Reader, node: Node, scope: Scope) -> list[Column]:
    """Read VALUES: every column is one of its rows' expressions."""
    rows: list[list[Value]] = []
    for item in node["valuesLists"]:
        rows.append(reader.exprs(item.get("List", {}).get("items"), scope))
    width = len(rows[0])
    if any(len(row) != width for row in rows):
        reader.concede("VALUES lists are of different lengths")
    found: list[Column] = []
    for number in range(width):
        values = [row[number] for row in rows]
        found.append(Column(f"column{number + 1}", values[0].unwitnessed() if len(rows) == 1 else alternatives(values)))
    sorting.read_tail(reader, node, scope, found)
    return found


def _set_operation(reader: Reader, node: Node, scope: Scope) -> list[Column]:
    """Read a chain of set operations; the left-deep chain, which may be thousands long, in a loop."""
    chain: list[Node] = []
    branch = node
    while branch.get("op", "SETOP_NONE") != "SETOP_NONE":
        if branch is not node and any(field in branch for field in _SETOP_ONLY):
            break
        reader.only("SelectStmt", branch, _SELECT)
        chain.append(branch)
        branch = branch["larg"]
    found = read_select(reader, branch, Scope(scope))
    for step in reversed(chain):
        right = read_select(reader, step["rarg"], Scope(scope))
        if len(right) != len(found):
            reader.concede("branches of a set operation are of different widths")
        found = _combined(reader, step, found, right)
    sorting.read_tail(reader, node, scope, found, set_operation=True)
    if "lockingClause" in node:
        reader.concede("FOR UPDATE of a set operation")
    return found


def _combined(reader: Reader, step: Node, left: list[Column], right: list[Column]) -> list[Column]:
    """Return the columns of one set operation. All but UNION ALL compare rows."""
    found: list[Column] = []
    union_all = step["op"] == "SETOP_UNION" and bool(step.get("all"))
    for one, other in zip(left, right, strict=True):
        if not union_all:
            reader.log.use(one.value, "set operation", 0)
            reader.log.use(other.value, "set operation", 0)
        found.append(Column(one.name, alternatives([one.value, other.value])))
    return found


def read_with(reader: Reader, node: Node, scope: Scope) -> None:
    """Read WITH: each query is visible to those after it; with RECURSIVE to all, itself included."""
    recursive = bool(node.get("recursive"))
    given = node.get("ctes", [])
    for cte in recursion.in_order(given) if recursive else [item.get("CommonTableExpr", {}) for item in given]:
        reader.only("CommonTableExpr", cte, _CTE)
        if recursive:
            _forward_references(node, scope)
        name = str(cte.get("ctename", ""))
        aliases = strings_of(cte.get("aliascolnames"))
        found = renamed(reader, _with_query(reader, cte, scope, recursive, aliases), aliases)
        scope.ctes[name] = Cte(name, recursion.added(reader, cte, found))


def _forward_references(node: Node, scope: Scope) -> None:
    """Names of queries that were not read yet are taken, and concede: they name each other in a circle."""
    for item in node.get("ctes", []):
        name = str(item.get("CommonTableExpr", {}).get("ctename", ""))
        if name not in scope.ctes:
            scope.ctes[name] = Cte(name, None)


def _with_query(reader: Reader, cte: Node, scope: Scope, recursive: bool, aliases: list[str]) -> list[Column]:
    """Read one WITH query."""
    query = cte.get("ctequery", {})
    for kind, inner in query.items():
        if kind in _WRITES:
            reader.data_modifying = True
            return reader.write_statement(reader, kind, inner, Scope(scope))
        if kind != "SelectStmt":
            reader.concede(f"{kind} in WITH is not read")
        if recursive and inner.get("op", "SETOP_NONE") == "SETOP_UNION":
            return _recursive(reader, cte, inner, scope, aliases)
        return read_select(reader, inner, Scope(scope))
    return []


def _recursive(reader: Reader, cte: Node, query: Node, scope: Scope, aliases: list[str]) -> list[Column]:
    """Read a recursive query: what the first branch gives, then the second until no column derives from more."""
    name = str(cte.get("ctename", ""))
    inner = Scope(scope)
    if "withClause" in query:
        read_with(reader, query["withClause"], inner)
    found = renamed(reader, read_select(reader, query["larg"], Scope(inner)), aliases)
    found = [Column(column.name, column.value.unwitnessed()) for column in found]
    for _ in range(len(found) + 2):
        inner.ctes[name] = Cte(name, found)
        right = read_select(reader, query["rarg"], Scope(inner))
        if len(right) != len(found):
            reader.concede("branches of a set operation are of different widths")
        before = [column.value.derivation() for column in found]
        found = _combined(reader, query, found, right)
        if before == [column.value.derivation() for column in found]:
            break
    sorting.read_tail(reader, query, inner, found, set_operation=True)
    return found


def renamed(reader: Reader, found: list[Column], aliases: list[str]) -> list[Column]:
    """Return columns under the names of an alias list, which may be shorter."""
    if len(aliases) > len(found):
        reader.concede("there are more column aliases than columns")
    return [column.named(alias) for column, alias in zip(found, aliases, strict=False)] + found[len(aliases) :]


def read_into(reader: Reader, node: Node, found: list[Column]) -> None:
    """INTO, CREATE TABLE AS: a new table filled with the rows."""
    target = node.get("rel", {})
    name = ranges.new_name(reader, target)
    reader.effect(Effect(verb="create", object=name, kind="table", position=reader.at(int(target.get("location", -1)))))
    reader.writes = True
    reader.changes_names = True
    for column in found:
        reader.log.store(column.value, "written elsewhere")


def _locking(reader: Reader, nodes: list[Node], scope: Scope) -> None:
    """FOR UPDATE and FOR SHARE lock every table of the query, or those named, views' tables included."""
    for node in nodes:
        clause = node.get("LockingClause", {})
        wanted = [str(item.get("RangeVar", {}).get("relname", "")) for item in clause.get("lockedRels", [])]
        for item in scope.items:
            if wanted and item.source.alias not in wanted:
                continue
            relation = item.source.relation
            if relation is None:
                if not item.source.columns or not any(column.value.origins for column in item.source.columns):
                    continue
                origins = compute([column.value for column in item.source.columns]).origins
                for name in sorted({origin.relation for origin in origins}):
                    reader.effect(Effect(verb="lock", object=name))
                continue
            reader.effect(
                Effect(verb="lock", object=relation_name(relation), kind=relation_kind(relation), oid=relation.oid)
            )
            ranges.lock_through(reader, relation)
    reader.writes = True
