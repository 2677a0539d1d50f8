"""Column references: which column, whole row or field a (qualified) name is (PostgreSQL's transformColumnRef)."""

from __future__ import annotations

from checkrein.protocols.postgres.reading.names import find_relation
from checkrein.protocols.postgres.reading.scope import Scope, Source, columns_named
from checkrein.protocols.postgres.reading.state import Node, Reader, strings_of
from checkrein.protocols.sql.lineage import Column, Value, compute


def read_column(reader: Reader, node: Node, scope: Scope) -> Value:
    """Return the value of a ColumnRef in an expression; `t.*` there is the whole row."""
    fields: list[Node] = node.get("fields", [])
    if "A_Star" in fields[-1]:
        if len(fields) == 1:
            reader.concede("a bare * stands in an expression")
        return whole_row(source_named(reader, strings_of(fields[:-1]), scope))
    names = strings_of(fields)
    if len(names) == 1:
        return _unqualified(reader, names[0], scope)
    source = source_named(reader, names[:-1], scope)
    return column_of(reader, source, names[-1])


def _unqualified(reader: Reader, name: str, scope: Scope) -> Value:
    """Return what a lone name is: a column, else the whole row of a FROM item."""
    found = scope.find_column(name)
    if len(found) == 1:
        if found[0][0].open:
            _only_here(reader, name, found[0][0], scope)
        return found[0][1].used()
    if len(found) > 1:
        reader.concede(f'column "{name}" is ambiguous')
    sources = scope.find_sources(name)
    if len(sources) != 1:
        reader.concede(f'column "{name}" does not exist', "42703")
    source = sources[0]
    if source.scalar and len(source.columns) == 1:
        return source.columns[0].used()
    return whole_row(source)


def _only_here(reader: Reader, name: str, source: Source, scope: Scope) -> None:
    """Concede when a name taken for an unknown function's column may as well be something else."""
    if source.alias == name or scope.parent is None:
        return
    if scope.parent.find_column(name):
        reader.concede(f'column "{name}" may be of a function or of the query around it')


def source_named(reader: Reader, names: list[str], scope: Scope) -> Source:
    """Return the FROM item of a (qualified) name. Concedes when there is none or several."""
    if len(names) == 1:
        found = scope.find_sources(names[0])
    else:
        if len(names) == 3 and names[0] != reader.catalog.database:
            reader.concede("it names another database")
        relation = find_relation(reader, names[-2], names[-1])
        found = [] if relation is None else scope.find_relation(relation.oid)
    if len(found) != 1:
        reader.concede(f'"{".".join(names)}" is not exactly one FROM item')
    return found[0]


def column_of(reader: Reader, source: Source, name: str) -> Value:
    """Return a column of a FROM item. A function called in column style concedes."""
    found = columns_named(source, name)
    if len(found) != 1:
        reader.concede(f'column "{source.alias}.{name}" does not exist or is ambiguous', "42703")
    return found[0][1].used()


def whole_row(source: Source) -> Value:
    """Return the whole row of a FROM item: it derives from every column."""
    values = [column.used() for column in source.columns]
    if source.fallback is not None:
        values.append(source.fallback.used())
    made = compute(values)
    if source.relation is not None:
        made.witness = (source.relation.oid, 0)
    return made


def row_source(reader: Reader, node: Node, scope: Scope) -> Source | None:
    """Return the FROM item when an expression is nothing but its whole row (`t`, as in `(t).ssn`), else None."""
    inner = node.get("ColumnRef")
    if not isinstance(inner, dict):
        return None
    names = strings_of(inner.get("fields"))
    if len(names) == 1 and names[0] and not scope.find_column(names[0]):
        found = scope.find_sources(names[0])
        if len(found) == 1 and not found[0].scalar:
            return found[0]
    return None


def star(reader: Reader, names: list[str], scope: Scope) -> list[Column]:
    """Return the columns that `*` or `t.*` stands for, all of them used."""
    if names:
        sources = [source_named(reader, names, scope)]
    else:
        sources = [item.source for item in scope.items if item.columns_visible]
        if not scope.items:
            reader.concede("* without FROM")
    columns: list[Column] = []
    for source in sources:
        if source.open:
            reader.concede(f'the columns of "{source.alias}" are not known')
        columns.extend(source.columns)
    reader.spell(len(columns))
    for column in columns:
        column.used()
    return columns
