"""One parsed statement to its part: which handler reads which statement type. What is not on the list concedes."""

from __future__ import annotations

from typing import Final

from checkrein.protocols.postgres.catalog import CatalogSnapshot
from checkrein.protocols.postgres.reading import ddl, expressions, merge, nested, queries, roles, utility, writes
from checkrein.protocols.postgres.reading.part import Part
from checkrein.protocols.postgres.reading.scope import Scope
from checkrein.protocols.postgres.reading.state import Node, Reader
from checkrein.protocols.postgres.surroundings import Surroundings

_WRITES: Final = {"InsertStmt": "insert", "UpdateStmt": "update", "DeleteStmt": "delete", "MergeStmt": "merge"}
_EXPRESSIONS: Final = expressions.table()
_HANDLERS: Final = {**utility.table(), **nested.table(), **ddl.table(), **roles.table()}


def reader_for(text: str, around: Surroundings, catalog: CatalogSnapshot) -> Reader:
    """Return a Reader with every handler in place."""
    reader = Reader(text, around, catalog, around.names)
    reader.expressions = _EXPRESSIONS
    reader.select = queries.read_select
    reader.merge = merge.read_merge
    reader.write_statement = writes.read_write
    reader.statement = read_statement
    return reader


def read_statement(reader: Reader, kind: str, node: Node) -> Part:
    """Read one statement of any type. Concedes on a type that is not on the list."""
    if kind == "SelectStmt":
        return _query(reader, node)
    if kind in _WRITES:
        return _write(reader, kind, node)
    if ddl.is_simple(kind):
        return ddl.simple(reader, kind, node)
    handler = _HANDLERS.get(kind)
    if handler is None:
        reader.concede(f"{kind} is not read")
    return handler(reader, node)


def _query(reader: Reader, node: Node) -> Part:
    """SELECT, VALUES, TABLE; SELECT INTO creates and answers no rows."""
    part = Part("values" if "valuesLists" in node else "select")
    found = queries.read_select(reader, node, Scope())
    into = node
    while "larg" in into and "intoClause" not in into:
        into = into["larg"]
    if "intoClause" in into:
        part.kind = "ddl"
        part.act["ddl"] = True
        return part
    part.columns = found
    return part


def _write(reader: Reader, kind: str, node: Node) -> Part:
    """INSERT, UPDATE, DELETE, MERGE."""
    part = Part(_WRITES[kind])
    found = writes.read_write(reader, kind, node, Scope())
    part.act["row_write"] = not reader.data_modifying
    reader.data_modifying = True
    if "returningClause" in node:
        part.columns = found
    part.filtered = "whereClause" in node
    return part
