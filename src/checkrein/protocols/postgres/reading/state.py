"""The state of reading one statement: what it is read under, what was found, and the way back to the caller.

Handlers are kept in a table that `reading/__init__` fills, so that expressions and queries, which contain each other,
need not import each other.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NoReturn

import msgspec

from checkrein.core import limits
from checkrein.core.errors import Conceded
from checkrein.core.statement import Effect, Relation, Statement, Use
from checkrein.protocols.postgres import parser
from checkrein.protocols.postgres.catalog import CatalogRelation, CatalogSnapshot, Names
from checkrein.protocols.postgres.reading.part import Node as Node
from checkrein.protocols.postgres.reading.part import Part, only_node
from checkrein.protocols.postgres.reading.scope import Scope
from checkrein.protocols.postgres.surroundings import Surroundings
from checkrein.protocols.sql.effects import EffectLog
from checkrein.protocols.sql.lineage import Column, Value

Handler = Callable[["Reader", Node, Scope], Value]


class Work:
    """What one statement's reading did: how many columns stars stood for, views that were read, which it shares with
    their reading, and those that were followed, with the views on the way."""

    __slots__ = ("spelt", "views", "ways")

    def __init__(self) -> None:
        self.spelt = 0
        self.views: dict[int, Any] = {}
        self.ways: set[tuple[int, tuple[str, ...]]] = set()


class Reader:
    """One statement being read. Everything here is private to one call of `read`."""

    __slots__ = (
        "adopted",
        "around",
        "catalog",
        "changes_names",
        "data",
        "data_modifying",
        "depth",
        "end",
        "expressions",
        "log",
        "merge",
        "named",
        "names",
        "part",
        "pinned_setting",
        "reads_constants",
        "relations",
        "select",
        "start",
        "statement",
        "subselects",
        "text",
        "via",
        "views",
        "work",
        "write_statement",
        "writes",
    )

    def __init__(self, text: str, around: Surroundings, catalog: CatalogSnapshot, names: Names) -> None:
        self.text = text
        self.data = text.encode()
        self.around = around
        self.catalog = catalog
        self.names = names
        self.log = EffectLog()
        self.depth = 0
        self.views = 0
        self.work = Work()
        self.named: tuple[str, Reader] | Statement | None = None
        self.via: tuple[str, ...] = ()
        self.start = 0
        self.end = len(self.data)
        self.pinned_setting: str | None = None
        self.part: Part | None = None
        self.adopted: list[Relation] = []
        self.reads_constants = False
        self.changes_names = False
        self.data_modifying = False
        self.writes = False
        self.subselects = 0
        self.relations: dict[int, CatalogRelation] = {}
        self.expressions: dict[str, Handler] = {}
        self.select: Callable[[Reader, Node, Scope], list[Column]] = _missing
        self.statement: Callable[[Reader, str, Node], Part] = _missing_statement
        self.merge: Callable[[Reader, Node, Scope], list[Column]] = _missing
        self.write_statement: Callable[[Reader, str, Node, Scope], list[Column]] = _missing_write

    def concede(self, why: str, code: str = "", location: int = -1) -> NoReturn:
        """Give up: what was found so far is a lower bound. `code` is the SQLSTATE that the server would answer,
        `location` the byte offset that it would point at."""
        raise Conceded(why, code, self.at(location))

    def at(self, location: int) -> int:
        """Return the 1-based character of a byte offset of the tree; 0 when unknown or not in this text."""
        if location < 0 or self.views or len(self.data) > limits.READING_POSITIONED_BYTES:
            return 0
        if len(self.data) == len(self.text):
            return location + 1
        return len(self.data[:location].decode(errors="ignore")) + 1

    def effect(self, effect: Effect) -> None:
        """Note an effect. Concedes when there are more than policy can be asked about."""
        if len(self.log.effects) >= limits.READING_EFFECTS:
            self.concede("it touches too much, counted with what its views and partitions do")
        self.log.effects.append(effect)

    def related(self, oids: tuple[int, ...]) -> list[CatalogRelation]:
        """Return relations by object id. Concedes when one is not in the catalog."""
        found: list[CatalogRelation] = []
        for oid in oids:
            relation = self.catalog.relations_by_oid.get(oid)
            if relation is None:
                self.concede("a partition or parent is not in the catalog")
            found.append(relation)
        return found

    def adopt(self, statement: Statement) -> None:
        """Take over what a statement read before (a cursor's query) does. Concedes when that one did."""
        for effect in statement.effects:
            self.log.effects.append(msgspec.structs.replace(effect, position=0))
        for use in statement.uses:
            self.log.uses[Use(use.origin, use.place)] = None
        self.log.stored.update(dict.fromkeys(statement.stored_calls))
        self.adopted.extend(statement.relations)
        self.writes = self.writes or statement.writes
        self.changes_names = self.changes_names or any(moves_names(effect) for effect in statement.effects)
        if not statement.complete:
            self.concede(statement.conceded)

    def again(self, text: str, declared: str = "") -> Reader:
        """Read another text in the same surroundings (a prepared statement) and take over what it does.

        `declared` stands before it where its parameters' types were declared.
        """
        other = Reader(text, self.around, self.catalog, self.names)
        self.named = (declared, other)
        other.expressions, other.select, other.merge = self.expressions, self.select, self.merge
        other.write_statement, other.statement = self.write_statement, self.statement
        other.depth = self.depth + 1
        other.work = self.work
        kind, node = parse_one(other, text)
        if kind == "ExecuteStmt":
            self.concede("a prepared statement executes another")
        other.part = other.statement(other, kind, node) if kind else None
        for effect in other.log.effects:
            self.log.effects.append(msgspec.structs.replace(effect, position=0))
        for read in other.log.reads:
            read.position = 0
        self.log.reads.extend(other.log.reads)
        for use in other.log.uses:
            self.log.uses[Use(use.origin, use.place)] = None
        self.log.stored.update(other.log.stored)
        self.relations.update(other.relations)
        self.adopted.extend(other.adopted)
        self.writes = self.writes or other.writes
        self.changes_names = self.changes_names or other.changes_names
        self.data_modifying = self.data_modifying or other.data_modifying
        return other

    def runs(self) -> Statement | None:
        """Return what the prepared statement or cursor that this one names was made of, as far as it was read."""
        if not isinstance(self.named, tuple):
            return self.named
        declared, other = self.named
        shift = len(declared.encode())
        literals = [
            msgspec.structs.replace(one, start=one.start + shift, end=one.end + shift) for one in other.log.literals
        ]
        return Statement(protocol="postgres", text=declared + other.text, literals=tuple(literals))

    def spell(self, columns: int) -> None:
        """Note that a star stands for so many columns. Concedes when they grow beyond all use."""
        self.work.spelt += columns
        if self.work.spelt > limits.READING_SPELT:
            self.concede("its stars stand for too many columns")

    def enter(self) -> None:
        """Go one level deeper. Pair with `leave`; after an exception the Reader is not used again for walking."""
        self.depth += 1
        if self.depth > limits.READING_DEPTH:
            self.concede("it is nested too deeply")

    def leave(self) -> None:
        """Come back up."""
        self.depth -= 1

    def expr(self, node: Node | None, scope: Scope) -> Value:
        """Read one expression. Concedes on a node type that is not on the list."""
        if node is None:
            return Value()
        for kind in node:
            handler = self.expressions.get(kind)
            if handler is None:
                self.concede(f"{kind} is not read in an expression")
            self.enter()
            value = handler(self, node[kind], scope)
            self.leave()
            return value
        return Value()

    def exprs(self, nodes: list[Node] | None, scope: Scope) -> list[Value]:
        """Read a list of expressions."""
        if not nodes:
            return []
        return [self.expr(node, scope) for node in nodes]

    def used(self, node: Node | None, scope: Scope, place: str, location: int = -1) -> Value:
        """Read an expression in a place from which its columns could be inferred."""
        value = self.expr(node, scope)
        if value.origins:
            self.log.use(value, place, self.at(location))
        return value

    def only(self, kind: str, node: Node, known: frozenset[str]) -> None:
        """Concede when a node has a field that is not on the list: every field must have been looked at."""
        for field in node:
            if field not in known:
                self.concede(f"{kind}.{field} is not read")


NAMING_SETTINGS: Final = frozenset({"search_path", "role", "session_authorization"})
"""Settings that names resolve by."""


def moves_names(effect: Effect) -> bool:
    """Say whether an effect may change what names resolve by: code that is not known, and settings they hang on."""
    return effect.verb == "call" or (effect.verb == "set" and effect.object in NAMING_SETTINGS)


def _missing(reader: Reader, node: Node, scope: Scope) -> list[Column]:
    raise Conceded("queries are not read here")


def _missing_statement(reader: Reader, kind: str, node: Node) -> Part:
    raise Conceded("statements are not read here")


def _missing_write(reader: Reader, kind: str, node: Node, scope: Scope) -> list[Column]:
    raise Conceded("writes are not read here")


def string_of(node: Node) -> str:
    """Return the text of a String node, empty when it is something else."""
    inner = node.get("String")
    return str(inner.get("sval", "")) if isinstance(inner, dict) else ""


def strings_of(nodes: list[Node] | None) -> list[str]:
    """Return the texts of a list of String nodes."""
    return [string_of(node) for node in nodes or ()]


def parse_one(reader: Reader, text: str) -> tuple[str, Node]:
    """Return the single statement of a prepared text; the one inside when it is a PREPARE."""
    json = parser.parse_json(text)
    if isinstance(json, parser.SyntaxProblem):
        reader.concede("the prepared statement cannot be parsed")
    statements = parser.decode(json).get("stmts", [])
    if not statements:
        return "", {}
    if len(statements) > 1:
        reader.concede("the prepared text holds several statements")
    kind, node = only_node(statements[0].get("stmt", {}))
    return only_node(node.get("query", {})) if kind == "PrepareStmt" else (kind, node)
