"""Statements with a statement inside: PREPARE, EXECUTE, DECLARE, EXPLAIN, COPY, CREATE TABLE AS."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from checkrein.core.statement import Effect, Literal, Output
from checkrein.protocols.postgres import doors
from checkrein.protocols.postgres.reading import literals, queries, ranges, writes
from checkrein.protocols.postgres.reading.names import origin_of, relation_of
from checkrein.protocols.postgres.reading.part import Part, is_on, only_node, option_text, options_of
from checkrein.protocols.postgres.reading.scope import Item, Scope
from checkrein.protocols.postgres.reading.state import Node, Reader, strings_of
from checkrein.protocols.sql.lineage import Value

_BINARY: Final = 0x0001
_HOLD: Final = 0x0020
_AS: Final = frozenset({b"as"})
_FOR: Final = frozenset({b"for"})
_EXPLAINED: Final = frozenset(
    {b"select", b"insert", b"update", b"delete", b"merge", b"with", b"values", b"table", b"create", b"refresh",
     b"declare", b"execute"}
)  # fmt: skip


def inner(reader: Reader, node: Node) -> Part:
    """Read the statement inside."""
    kind, fields = only_node(node)
    reader.enter()
    part = reader.statement(reader, kind, fields)
    reader.leave()
    return part


def prepare(reader: Reader, node: Node) -> Part:
    """PREPARE is judged as what it prepares."""
    part = reader.part = Part("prepare", str(node.get("name", "")))
    _span(reader, part, literals.word_after(reader.data, reader.start, _AS))
    inside = inner(reader, node.get("query", {}))
    part.facts["prepares"] = inside.kind
    return part


def _span(reader: Reader, part: Part, start: int, end: int = -1) -> None:
    """Note where the inner statement stands."""
    if reader.views or start < 0:
        return
    part.act["inner_start"] = start
    part.act["inner_end"] = reader.end if end < 0 else end


def execute(reader: Reader, node: Node) -> Part:
    """EXECUTE does what the prepared statement does; its arguments stand where the parameters stand."""
    name = str(node.get("name", ""))
    part = reader.part = Part("execute", name)
    text = reader.around.prepared.get(name)
    arguments = reader.exprs(node.get("params"), Scope())
    if text is None:
        reader.concede(f'prepared statement "{name}" is not known')
    prepared = reader.again(text, reader.around.declared.get(name, ""))
    found = prepared.log
    for number, origins in found.parameters.items():
        if number < len(arguments) and arguments[number].start >= 0:
            value = arguments[number]
            reader.log.literals.append(Literal(value.start, value.end, tuple(origins)))
        elif number < len(arguments) and arguments[number].parameter >= 0:
            reader.log.parameters.setdefault(arguments[number].parameter, {}).update(origins)
    part.act["execute_arguments"] = len(arguments)
    part.columns = prepared.part.columns if prepared.part is not None else None
    if prepared.part is not None:
        part.outputs = prepared.part.outputs
        part.opaque = prepared.part.opaque
        part.facts["executes"] = prepared.part.kind
    return part


def declare(reader: Reader, node: Node) -> Part:
    """DECLARE is judged as its query; the rows come by FETCH."""
    part = reader.part = Part("declare", str(node.get("portalname", "")))
    inside = inner(reader, node.get("query", {}))
    options = int(node.get("options", 0))
    part.act["binary"] = bool(options & _BINARY)
    part.act["hold"] = bool(options & _HOLD)
    if inside.columns is not None:
        part.facts["declares"] = inside.kind
    part.outputs = tuple(column.value.output(column.name) for column in inside.columns or [])
    part.act["returns_rows"] = False
    _span(reader, part, literals.word_after(reader.data, reader.start, _FOR))
    return part


def explain(reader: Reader, node: Node) -> Part:
    """EXPLAIN is judged as what it explains; without ANALYZE nothing runs."""
    options = options_of(node.get("options"))
    analyze = "analyze" in options and is_on(option_text(options["analyze"]))
    before = (reader.writes, reader.data_modifying, reader.changes_names)
    inside = inner(reader, node.get("query", {}))
    part = Part("explain")
    part.opaque = True
    reader.reads_constants = reader.reads_constants or bool(options)  # ANALYZE 1 is not ANALYZE 0
    part.facts["analyze"] = analyze
    part.facts["explains"] = inside.kind
    if analyze:
        _measured(reader)
    else:
        reader.writes, reader.data_modifying, reader.changes_names = before
    if analyze and inside.kind in ("insert", "update", "delete", "merge"):
        reader.data_modifying = True
    start = literals.word_after(reader.data, reader.start, frozenset({b"explain"}))
    while 0 <= start < len(reader.data):
        end = literals.token_end(reader.data, start)
        token = reader.data[start:end].lower()
        if token in _EXPLAINED:
            break
        if token == b"(" and "options" in node and reader.data[literals.skip(reader.data, end) :][:1] != b"(":
            close = literals.group_end(reader.data, start)
            follows = literals.skip(reader.data, close + 1)
            if close < 0 or not _starts_statement(reader.data, follows):
                break
            start = follows
            continue
        if token == b"(":
            break
        start = literals.skip(reader.data, end)
    _span(reader, part, start)
    return part


def _measured(reader: Reader) -> None:
    """What an update costs tells how its new values differ from the old: the WAL leaves out what they share at either
    end, and indexes are left alone where nothing changed."""
    for effect in list(reader.log.effects):
        relation = reader.catalog.relations_by_oid.get(effect.oid) if effect.verb == "update" else None
        if relation is not None:
            reader.relations[relation.oid] = relation
            changed = [one for one in relation.columns if effect.columns is None or one.name in effect.columns]
            origins = tuple(origin_of(relation, one.name, one.number) for one in changed)
            reader.log.use(Value(origins=origins), "EXPLAIN ANALYZE", 0)


def _starts_statement(data: bytes, start: int) -> bool:
    """Whether a statement that may be explained starts here."""
    token = data[start : literals.token_end(data, start)].lower()
    return token in _EXPLAINED or token == b"("


def copy(reader: Reader, node: Node) -> Part:
    """COPY: a table or query out, or a table in; files and programs of the server are behind a guardrail."""
    part = reader.part = Part("copy_in" if node.get("is_from") else "copy_out")
    part.act["returns_rows"] = False
    options = {name: option_text(value) for name, value in options_of(node.get("options")).items()}
    part.act["copy_format"] = options.get("format", "text").lower()
    part.act["copy_encoding"] = options.get("encoding", "")
    part.act["copy_options"] = options
    reader.reads_constants = bool(options)  # HEADER 1 is not HEADER 0
    if node.get("is_program"):
        reader.effect(Effect(verb="call", object="program", kind="program", guard=doors.SERVER_PROGRAM))
    elif "filename" in node:
        reader.effect(Effect(verb="call", object="file", kind="file", guard=doors.SERVER_FILES))
    if node.get("is_program") or "filename" in node:
        part.kind = "utility"
    if "query" in node:
        _copy_query(reader, node, part)
    elif node.get("is_from"):
        _copy_in(reader, node, part)
    else:
        _copy_out(reader, node, part)
    return part


def _copy_query(reader: Reader, node: Node, part: Part) -> None:
    """COPY (query) TO."""
    inside = inner(reader, node["query"])
    columns = inside.columns or []
    part.outputs = tuple(column.value.output(column.name) for column in columns)
    part.facts["copies"] = inside.kind
    start = literals.word_after(reader.data, reader.start, frozenset({b"copy"}))
    close = literals.group_end(reader.data, start) if start >= 0 else -1
    if close > 0:
        _span(reader, part, literals.skip(reader.data, start + 1), close)


def _copy_out(reader: Reader, node: Node, part: Part) -> None:
    """COPY table TO: its columns, or those listed, in order."""
    relation = relation_of(reader, node["relation"])
    source = ranges.table_source(reader, relation, int(node["relation"].get("location", -1)))
    names = strings_of(node.get("attlist")) or [column.name for column in source.columns]
    outputs: list[Output] = []
    for name in names:
        found = [column for column in source.columns if column.name == name]
        if not found:
            reader.concede(f'column "{name}" does not exist')
        outputs.append(found[0].used().unwitnessed().output(name))
    part.outputs = tuple(outputs)
    part.act["copy_relation"] = (relation.schema, relation.name)
    part.act["copy_columns"] = tuple(names)


def _copy_in(reader: Reader, node: Node, part: Part) -> None:
    """COPY table FROM: an insert, judged like one; WHERE sees the new rows."""
    target = writes.Target(reader, node["relation"])
    names = strings_of(node.get("attlist")) or [column.name for column in target.relation.columns]
    writes.written(reader, target, names, [])
    if "whereClause" in node:
        scope = Scope()
        scope.items = [Item(target.source)]
        reader.used(node["whereClause"], scope, "WHERE")
    writes.write_effect(reader, "insert", target, names, node["relation"])
    part.act["copy_relation"] = (target.relation.schema, target.relation.name)
    part.act["copy_columns"] = tuple(names)


def create_as(reader: Reader, node: Node) -> Part:
    """CREATE TABLE AS and CREATE MATERIALIZED VIEW: the rows are kept elsewhere."""
    inside = inner(reader, node.get("query", {}))
    queries.read_into(reader, node.get("into", {}), inside.columns or [])
    if node.get("objtype") == "OBJECT_MATVIEW":
        created = reader.log.effects.pop()
        reader.effect(Effect(verb="create", object=created.object, kind="matview", position=created.position))
    part = Part("ddl")
    part.act["ddl"] = True
    return part


def table() -> dict[str, Callable[[Reader, Node], Part]]:
    """Return the handlers by statement type."""
    return {
        "PrepareStmt": prepare, "ExecuteStmt": execute, "DeclareCursorStmt": declare, "ExplainStmt": explain,
        "CopyStmt": copy, "CreateTableAsStmt": create_as,
    }  # fmt: skip
