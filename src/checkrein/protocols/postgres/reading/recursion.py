"""WITH RECURSIVE: in which order its queries are read, and the columns that SEARCH and CYCLE add (manual 7.8.2)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from checkrein.protocols.postgres.reading.state import Node, Reader, strings_of
from checkrein.protocols.sql.lineage import Column, compute

_SEARCH: Final = frozenset({"search_col_list", "search_breadth_first", "search_seq_column", "location"})
_CYCLE: Final = frozenset(
    {
        "cycle_col_list", "cycle_mark_column", "cycle_mark_value", "cycle_mark_default", "cycle_path_column",
        "location",
    }
)  # fmt: skip
_BOOLEAN: Final = 16


def in_order(nodes: list[Node]) -> list[Node]:
    """Return the WITH queries so that each stands behind those that it names, as far as that is possible.

    The server does the same for WITH RECURSIVE and refuses what names each other in a circle (parse_cte.c); such a
    one stays where it is, and concedes when it is read.
    """
    queries = [node.get("CommonTableExpr", {}) for node in nodes]
    names = {str(query.get("ctename", "")) for query in queries}
    wanted = [{*_named(query.get("ctequery"))} & names - {str(query.get("ctename", ""))} for query in queries]
    waiting = list(range(len(queries)))
    found: list[Node] = []
    done: set[str] = set()
    while waiting:
        ready = next((number for number in waiting if wanted[number] <= done), waiting[0])
        waiting.remove(ready)
        done.add(str(queries[ready].get("ctename", "")))
        found.append(queries[ready])
    return found


def _named(tree: Any) -> Iterator[str]:
    """Find the unqualified names of relations in a query, with those that a WITH inside it hides."""
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, list):
            waiting.extend(node)
        elif isinstance(node, dict):
            if "relname" in node and "schemaname" not in node:
                yield str(node["relname"])
            waiting.extend(node.values())


def added(reader: Reader, cte: Node, columns: list[Column]) -> list[Column]:
    """Return a WITH query's columns with those that its SEARCH and CYCLE clauses add: all made of the columns they
    name. CYCLE compares them."""
    found = list(columns)
    search, cycle = cte.get("search_clause"), cte.get("cycle_clause")
    if search is not None:
        reader.only("CTESearchClause", search, _SEARCH)
        values = [column.value for column in _listed(reader, search.get("search_col_list"), columns)]
        found.append(Column(str(search.get("search_seq_column", "")), compute(values)))
    if cycle is not None:
        reader.only("CTECycleClause", cycle, _CYCLE)
        compared = compute([column.value for column in _listed(reader, cycle.get("cycle_col_list"), columns)])
        reader.log.use(compared, "CYCLE", 0)
        truth = "boolval" in cycle.get("cycle_mark_value", {}).get("A_Const", {})
        mark = compute([compared], "boolean", _BOOLEAN) if truth else compared
        found.append(Column(str(cycle.get("cycle_mark_column", "")), mark))
        found.append(Column(str(cycle.get("cycle_path_column", "")), compared))
    return found


def _listed(reader: Reader, nodes: list[Node] | None, columns: list[Column]) -> list[Column]:
    """Return the columns that a clause lists. Concedes when one is not exactly one."""
    found: list[Column] = []
    for name in strings_of(nodes):
        same = [column for column in columns if column.name == name]
        if len(same) != 1:
            reader.concede(f'column "{name}" of SEARCH or CYCLE is not exactly one column')
        found.extend(same)
    return found
