"""SQL text to Readings: what each statement of a request means, and the part it plays in the conversation.

`read` is pure and total. A request of one statement keeps its whole text as Statement.text; of several, each has its
own stretch (Act.start..end), and positions and literal offsets count from there.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from checkrein.core import limits
from checkrein.core.errors import Conceded
from checkrein.core.statement import Output, Relation, Statement
from checkrein.protocols.postgres import parser
from checkrein.protocols.postgres.acts import Act, Reading
from checkrein.protocols.postgres.catalog import CatalogSnapshot, Names
from checkrein.protocols.postgres.parser import SyntaxProblem
from checkrein.protocols.postgres.reading import dispatch, finish
from checkrein.protocols.postgres.reading.kept import Kept
from checkrein.protocols.postgres.reading.part import Part, only_node
from checkrein.protocols.postgres.reading.state import Node, Reader
from checkrein.protocols.postgres.reading.words import changed_word
from checkrein.protocols.postgres.surroundings import BEHIND, Surroundings
from checkrein.protocols.sql.effects import merge_effects

PROTOCOL: Final = "postgres"
NO_CATALOG: Final = CatalogSnapshot(
    version="", server_version=0, database="", user="", relations={}, relations_by_oid={}, functions={}, operators={},
    types={}, types_by_name={}, casts=(), schemas=frozenset(),
)  # fmt: skip
"""Where the side link could not learn the catalog: what needs no names is still read, the rest concedes."""

_KINDS: Final = {
    "SelectStmt": "select", "InsertStmt": "insert", "UpdateStmt": "update", "DeleteStmt": "delete",
    "MergeStmt": "merge", "DoStmt": "do", "CallStmt": "call", "ExplainStmt": "explain",
}  # fmt: skip
"""What a statement is called when it concedes before its handler could say."""

_KEPT: Final = Kept()
_CONSULTING: Final = frozenset({"execute", "fetch", "move", "explain", "ddl", "utility"})
"""Kinds that may have looked at prepared statements or cursors, which no key tells apart; not kept."""


def needs_worker(text: str) -> bool:
    """Say whether a text must be parsed in the worker (reading/worker.py), and the result given to `read`."""
    return not parser.fits_in_process(text)


def kept(text: str, catalog: CatalogSnapshot | None, names: Names, simple: bool = False) -> tuple[Reading, ...] | None:
    """Return the readings of a text that was read before under the same names, or of its shape; None when none is.

    `simple`: it came in a Query, which has no parameters, and that is known.
    """
    return _KEPT.find(text, catalog, names, simple)


TOO_MANY: Final = "too_many_statements"
"""Fact of a request that is refused whatever rules say: what it answers could not be told apart."""


def read(text: str, around: Surroundings, parsed: bytes | SyntaxProblem | None = None) -> tuple[Reading, ...]:
    """Read every statement of a request. `parsed` is what the worker gave for the same text.

    What was read is kept (`kept`). Never raises: what cannot be read is a conceded Reading, a syntax error one with
    facts `syntax_error` and `position`.
    """
    if len(text) > limits.STATEMENT_BYTES or len(text.encode(errors="replace")) > limits.STATEMENT_BYTES:
        return (conceded(text, "the text is too long"),)
    if parsed is None:
        if needs_worker(text):
            return (conceded(text, "the text is too long to be parsed here"),)
        parsed = parser.parse_json(text)
    if isinstance(parsed, SyntaxProblem):
        facts = {"syntax_error": parsed.message, "position": parsed.position}
        return (conceded(text, "it is not valid SQL", facts),)
    if len(parsed) > limits.READING_TREE_BYTES:
        return (conceded(text, "its parse tree is too large"),)
    try:
        found = _read_all(text, around, parser.decode(parsed).get("stmts", []))
        if not any(reading.act.kind in _CONSULTING or reading.statement.runs is not None for reading in found):
            _KEPT.keep(text, around.catalog, around.names, found)
        return found
    except RecursionError:
        return (conceded(text, "it is nested too deeply"),)
    except Exception as problem:  # noqa: BLE001 - whatever goes wrong in reading, the statement is conceded
        return (conceded(text, f"it could not be read ({type(problem).__name__})"),)


def conceded(text: str, why: str, facts: dict[str, Any] | None = None, act: Act | None = None) -> Reading:
    """Return the reading of a text that was not understood."""
    statement = Statement(
        protocol=PROTOCOL, text=text, complete=False, conceded=why, parameters=None, opaque_rows=True, writes=True,
        facts=facts or {},
    )  # fmt: skip
    made = act or Act(kind="utility", end=len(text.encode(errors="replace")), returns_rows=True, changes_names=True)
    return Reading(statement, made)


def _read_all(text: str, around: Surroundings, nodes: list[Node]) -> tuple[Reading, ...]:
    """Read the statements of a parsed request."""
    data = text.encode()
    if not nodes:
        empty = Statement(protocol=PROTOCOL, text=text, parameters=None)
        return (Reading(empty, Act(kind="empty", end=len(data))),)
    if len(nodes) > limits.PIPELINE_STATEMENTS:
        why = f"a request holds at most {limits.PIPELINE_STATEMENTS} statements"
        return (conceded(text, why, {TOO_MANY: len(nodes)}),)
    found: list[Reading] = []
    for node in nodes:
        start, end = _extent(data, node)
        if len(nodes) == 1:
            found.append(_read_one(text, around, node["stmt"], start, end, 0))
        else:
            found.append(_read_part(data, around, start, end))
            around = _after(found[-1], around)
    return tuple(found)


def _after(reading: Reading, around: Surroundings) -> Surroundings:
    """Return what the next statement of a request is read under: names that may have changed are no longer known."""
    if not reading.act.changes_names:
        return around
    runs_code = any(effect.verb == "call" for effect in reading.statement.effects)
    own = around.catalog is not None and around.catalog.uncommitted
    names = msgspec.structs.replace(around.names, known=False, why=BEHIND)
    if reading.act.ddl or runs_code or not reading.statement.complete or own:
        return msgspec.structs.replace(around, catalog=None, names=names)
    return msgspec.structs.replace(around, names=names)


def _extent(data: bytes, node: Node) -> tuple[int, int]:
    """Return where a statement starts and ends in the text, white space around it left out."""
    start = int(node.get("stmt_location", 0))
    length = int(node.get("stmt_len", 0))
    end = start + length if length else len(data)
    while start < end and data[start] in b" \t\r\n\f\v;":
        start += 1
    while end > start and data[end - 1] in b" \t\r\n\f\v;":
        end -= 1
    return start, end


def _read_part(data: bytes, around: Surroundings, start: int, end: int) -> Reading:
    """Read one statement of several: its stretch is parsed again alone, so that offsets count from its start."""
    text = data[start:end].decode()
    json = parser.parse_json(text)
    nodes = [] if isinstance(json, SyntaxProblem) else parser.decode(json).get("stmts", [])
    if len(nodes) != 1:
        return conceded(text, "it could not be cut out of the request")
    return _read_one(text, around, nodes[0]["stmt"], 0, end - start, start)


def _read_one(text: str, around: Surroundings, node: Node, start: int, end: int, shift: int) -> Reading:
    """Read one statement. `shift` is the offset of `text` in the request."""
    catalog = around.catalog
    if catalog is None:
        catalog = NO_CATALOG
        around = msgspec.structs.replace(around, names=Names(search_path=(), known=False, why=around.names.why))
    reader = dispatch.reader_for(text, around, catalog)
    reader.start, reader.end = start, end
    part = reader.part = Part(_KINDS.get(only_node(node)[0], "utility"))
    why = code = ""
    position = 0
    try:
        word = changed_word(reader.data, catalog.server_version) if catalog.server_version else ""
        if word:
            reader.concede(f'"{word}" means something else on this server')
        kind, fields = only_node(node)
        part = dispatch.read_statement(reader, kind, fields)
        finish.read_effects(reader, reader.log.reads)
    except Conceded as problem:
        why, code, position = str(problem), problem.code, problem.position
    except RecursionError:
        why = "it is nested too deeply"
    if why and reader.part is not None:
        part = reader.part
    if code:
        part.facts["sqlstate"], part.facts["position"] = code, position
    relations: tuple[Relation, ...] = ()
    try:
        if why:
            finish.read_effects(reader, reader.log.reads)  # a lower bound still shows what was met
        relations = (*finish.relations(reader), *reader.adopted)
    except (Conceded, RecursionError) as problem:
        why = why or str(problem)
    return Reading(_statement(reader, part, relations, why), _act(reader, part, shift, why))


def _statement(reader: Reader, part: Part, relations: tuple[Relation, ...], why: str) -> Statement:
    """Return the meaning of what was read."""
    effects = merge_effects(reader.log.effects)
    writes = [effect for effect in effects if effect.verb in ("update", "delete") and not effect.via]
    outputs: tuple[Output, ...] | None = part.outputs
    if part.columns is not None:
        outputs = tuple(column.value.output(column.name) for column in part.columns)
    keys = [effect.bounded_keys for effect in writes]
    return Statement(
        protocol=PROTOCOL,
        text=reader.text,
        verbs=tuple(dict.fromkeys(effect.verb for effect in effects)),
        effects=effects,
        complete=not why,
        conceded=why,
        parameters=None,
        outputs=None if why else outputs,
        opaque_rows=part.opaque or bool(why),
        uses=tuple(reader.log.uses),
        stored_calls=tuple(reader.log.stored),
        relations=relations,
        writes=reader.writes or bool(why),
        filtered=bool(writes) and all(effect.filtered for effect in writes),
        bounded=bool(writes) and None not in keys,
        bounded_keys=sum(key for key in keys if key is not None) if writes and None not in keys else None,
        reads_constants=reader.reads_constants,
        literals=tuple(reader.log.literals),
        parameter_origins={number: tuple(found) for number, found in sorted(reader.log.parameters.items())},
        version=f"{reader.catalog.version}/{reader.names.version}",
        facts=part.facts,
        runs=reader.runs(),
    )


def _act(reader: Reader, part: Part, shift: int, why: str) -> Act:
    """Return the part that it plays."""
    fields: dict[str, Any] = {"returns_rows": part.answers(), **part.act}
    if fields.get("inner_start", -1) >= 0:
        fields["inner_start"] += shift
        fields["inner_end"] += shift
    if why and not part.kind.startswith("copy"):
        fields["returns_rows"] = True
    return Act(
        kind=part.kind,
        start=reader.start + shift,
        end=reader.end + shift,
        changes_names=reader.changes_names or bool(why) or bool(part.act.get("ddl")),
        data_modifying=reader.data_modifying or bool(why),
        **fields,
    )
