"""DDL: which object a statement creates, alters, drops or grants, and what the expressions in it call and read.

Effects that rename, move, attach or redefine an object carry guard `masked_ddl`: policy applies it only where a mask
speaks of that object.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

from checkrein.core.statement import Effect, full_name
from checkrein.protocols.postgres import doors
from checkrein.protocols.postgres.reading import definitions, objects, ranges, roles
from checkrein.protocols.postgres.reading.names import find_relation, relation_kind, relation_name, relation_of
from checkrein.protocols.postgres.reading.part import Part, only_node
from checkrein.protocols.postgres.reading.scope import Item, Scope, Source
from checkrein.protocols.postgres.reading.state import Node, Reader, strings_of
from checkrein.protocols.sql.lineage import Column, Value

_SIMPLE: Final = {
    "CreateStmt": ("create", "table", ""), "IndexStmt": ("alter", "table", ""), "ViewStmt": ("create", "view", ""),
    "CreateSeqStmt": ("create", "sequence", ""), "AlterSeqStmt": ("alter", "sequence", ""),
    "AlterTableStmt": ("alter", "table", ""), "CreateStatsStmt": ("create", "statistics", ""),
    "RefreshMatViewStmt": ("alter", "matview", ""), "CreateSchemaStmt": ("create", "schema", ""),
    "CreateFunctionStmt": ("create", "function", doors.CODE), "AlterFunctionStmt": ("alter", "function", doors.CODE),
    "CreateTrigStmt": ("create", "trigger", doors.CODE), "RuleStmt": ("create", "rule", doors.CODE),
    "CreateDomainStmt": ("create", "type", doors.CODE), "AlterDomainStmt": ("alter", "type", doors.CODE),
    "DefineStmt": ("create", "type", doors.CODE), "CreateCastStmt": ("create", "cast", doors.CODE),
    "CompositeTypeStmt": ("create", "type", doors.CODE), "CreateEnumStmt": ("create", "type", doors.CODE),
    "CreateRangeStmt": ("create", "type", doors.CODE), "AlterEnumStmt": ("alter", "type", ""),
    "AlterTypeStmt": ("alter", "type", doors.CODE), "CreateOpClassStmt": ("create", "type", doors.CODE),
    "CreateOpFamilyStmt": ("create", "type", doors.CODE), "AlterOpFamilyStmt": ("alter", "type", doors.CODE),
    "AlterOperatorStmt": ("alter", "type", doors.CODE), "CreateTransformStmt": ("create", "type", doors.CODE),
    "CreatePLangStmt": ("create", "language", doors.CODE), "CreateExtensionStmt": ("create", "extension", doors.CODE),
    "AlterExtensionStmt": ("alter", "extension", doors.CODE), "CreateConversionStmt": ("create", "type", doors.CODE),
    "AlterExtensionContentsStmt": ("alter", "extension", doors.CODE), "CreateAmStmt": ("create", "type", doors.CODE),
    "CreateEventTrigStmt": ("create", "trigger", doors.CODE), "AlterEventTrigStmt": ("alter", "trigger", doors.CODE),
    "CreatePolicyStmt": ("alter", "table", ""), "AlterPolicyStmt": ("alter", "table", ""),
    "CreatedbStmt": ("create", "database", ""), "DropdbStmt": ("drop", "database", ""),
    "AlterDatabaseStmt": ("alter", "database", ""), "CommentStmt": ("alter", "comment", ""),
    "SecLabelStmt": ("alter", "comment", ""), "CreateTableSpaceStmt": ("create", "tablespace", doors.CODE),
    "DropTableSpaceStmt": ("drop", "tablespace", ""),
    "AlterTSConfigurationStmt": ("alter", "type", ""), "AlterTSDictionaryStmt": ("alter", "type", ""),
    "AlterStatsStmt": ("alter", "statistics", ""), "AlterCollationStmt": ("alter", "type", ""),
    "AlterObjectDependsStmt": ("alter", "type", ""),
}  # fmt: skip
_REPLICATION: Final = frozenset(
    {"CreatePublicationStmt", "AlterPublicationStmt", "CreateSubscriptionStmt", "AlterSubscriptionStmt",
     "DropSubscriptionStmt"}
)  # fmt: skip
_FOREIGN: Final = frozenset(
    {"CreateForeignServerStmt", "AlterForeignServerStmt", "CreateUserMappingStmt", "AlterUserMappingStmt",
     "DropUserMappingStmt", "CreateFdwStmt", "AlterFdwStmt", "ImportForeignSchemaStmt", "CreateForeignTableStmt"}
)  # fmt: skip
_REDEFINING: Final = frozenset(
    {"AT_AttachPartition", "AT_DetachPartition", "AT_DetachPartitionFinalize", "AT_AddInherit", "AT_DropInherit",
     "AT_AlterColumnType", "AT_AddOf", "AT_DropOf"}
)  # fmt: skip
_EXPRESSION_FIELDS: Final = frozenset(
    {"raw_expr", "raw_default", "expr", "qual", "with_check", "whereClause", "whenClause"}
)
"""Where a lone name is a column, such as GENERATED ALWAYS AS (name); elsewhere it is a word of the grammar."""
_KEPT_WORDS: Final = frozenset({"List", "String", "Integer", "A_Const", "ColumnRef", "A_ArrayExpr"})


def simple(reader: Reader, kind: str, node: Node) -> Part:
    """Any DDL of the list: one effect on the object it names, and what its expressions do."""
    verb, what, door = _SIMPLE[kind]
    names = objects.named_objects(reader, node, verb == "create")
    scope = _columns_in_sight(reader, node)
    guard = ""
    if kind == "AlterTableStmt":
        guard = _alter_table(reader, node)
        what = {"OBJECT_VIEW": "view", "OBJECT_SEQUENCE": "sequence", "OBJECT_MATVIEW": "matview"}.get(
            str(node.get("objtype", "")), "table"
        )
    if what == "comment":
        what = "table" if node.get("objtype") in objects.OF_TABLES | objects.RELATIONS else "object"
        what = "function" if node.get("objtype") in objects.FUNCTIONS else what
    if kind == "ViewStmt" and definitions.redefined(reader, node):
        guard = doors.MASKED_DDL
    if "schemaElts" in node:
        reader.concede("what CREATE SCHEMA makes beside the schema is not read")
    for name in names or [what]:
        reader.effect(Effect(verb=verb, object=name, kind=what, door=door, guard=guard))
        if what == "statistics":  # which no rule's `touches` allows, and every one may deny
            reader.effect(Effect(verb=verb, object=name, kind="object"))
    definitions.owning(reader, node)
    if kind in ("AlterTableStmt", "IndexStmt"):
        definitions.checked(reader, node)
    _named_beside(reader, kind, node, names)
    walk(reader, node, scope)
    if kind != "ViewStmt":
        definitions.lasting(reader)
    if any(
        command.get("behavior") == "DROP_CASCADE" for command in definitions.nodes(node.get("cmds"), "AlterTableCmd")
    ):
        reader.concede("what CASCADE drops is not followed")
    return _ddl()


def _named_beside(reader: Reader, kind: str, node: Node, names: list[str]) -> None:
    """Note other relations that a definition names: parents become altered, for what is stored in the child is
    theirs as well; those of LIKE, REFERENCES and statistics are read."""
    for item in node.get("inhRelations", []):
        parent = relation_of(reader, item.get("RangeVar", {}))
        reader.relations[parent.oid] = parent
        reader.effect(
            Effect(verb="alter", object=relation_name(parent), kind=relation_kind(parent), guard=doors.MASKED_DDL)
        )
    beside = [node[key] for key in ("tableElts", "constraints", "relations", "constrrel") if key in node]
    beside += (
        [item.get("AlterTableCmd", {}).get("def", {}) for item in node.get("cmds", [])]
        if kind == "AlterTableStmt"
        else []
    )
    for constraint in definitions.nodes(beside, "Constraint"):
        if constraint.get("contype") == "CONSTR_FOREIGN":
            definitions.referring(reader, constraint)
    for inner in _relations_in(beside):
        if not names or objects.object_of(reader, inner) != names[0]:
            ranges.table_source(reader, relation_of(reader, inner))


def _relations_in(node: Any) -> Iterator[Node]:
    """Find relations named in table elements, outside queries and expressions."""
    if isinstance(node, list):
        for item in node:
            yield from _relations_in(item)
    elif isinstance(node, dict):
        if "relname" in node:
            yield node
            return
        for key, inner in node.items():
            if key not in ("SelectStmt", "raw_expr", "raw_default", "PartitionCmd"):
                yield from _relations_in(inner)


def _ddl() -> Part:
    """The part of a statement that changes what names mean."""
    part = Part("ddl")
    part.act["ddl"] = True
    return part


def _columns_in_sight(reader: Reader, node: Node) -> Scope:
    """Return what column names in a definition may mean: the relation's own columns, and those being defined."""
    scope = Scope()
    relation = node.get("relation", node.get("table"))
    found = None
    if isinstance(relation, dict) and "relname" in relation:
        found = find_relation(reader, str(relation.get("schemaname", "")), str(relation.get("relname", "")))
    if found is not None and found.kind in "rpfm":
        scope.items.append(Item(ranges.table_source(reader, found, needed=False)))
        return scope
    source = Source("", [])
    source.open = True
    source.fallback = Column("", Value())
    scope.items.append(Item(source))
    return scope


def walk(reader: Reader, node: Any, scope: Scope) -> None:
    """Find every query and expression in a definition and read it."""
    if isinstance(node, list):
        for item in node:
            walk(reader, item, scope)
        return
    if not isinstance(node, dict):
        return
    for key, inner in node.items():
        if key == "SelectStmt":
            reader.select(reader, inner, Scope())
        elif key in ("InsertStmt", "UpdateStmt", "DeleteStmt", "MergeStmt"):
            reader.concede("a write inside a definition is not read")
        elif key in reader.expressions and key not in _KEPT_WORDS:
            reader.log.store(reader.expr({key: inner}, scope), "definition")
        elif key in _EXPRESSION_FIELDS and isinstance(inner, dict) and "ColumnRef" in inner:
            reader.log.store(reader.expr(inner, scope), "definition")
        else:
            reader.enter()
            walk(reader, inner, scope)
            reader.leave()


def _alter_table(reader: Reader, node: Node) -> str:
    """Return the guard of an ALTER TABLE: some of its commands redefine; note the other relations they name."""
    guard = ""
    for item in node.get("cmds", []):
        command = item.get("AlterTableCmd", {})
        if command.get("subtype") not in _REDEFINING:
            continue
        guard = doors.MASKED_DDL
        _, inner = only_node(command.get("def", {}))
        other = inner.get("name") if isinstance(inner.get("name"), dict) else inner
        if isinstance(other, dict) and "relname" in other:
            reader.effect(
                Effect(verb="alter", object=objects.object_of(reader, other), kind="table", guard=doors.MASKED_DDL)
            )
    return guard


def rename(reader: Reader, node: Node) -> Part:
    """RENAME of anything, SET SCHEMA, OWNER TO."""
    relation = node.get("relation")
    if isinstance(relation, dict) and "relname" in relation:
        names = [objects.object_of(reader, relation)]
    else:
        names = objects.named_objects(reader, node) or [full_name(str(node.get("subname", "object")))]
    what = "function" if objects.kind_of(node) in objects.FUNCTIONS else "table"
    for name in names:
        reader.effect(Effect(verb="alter", object=name, kind=what, guard=doors.MASKED_DDL))
    if "OBJECT_SCHEMA" in (node.get("renameType"), node.get("objectType")):
        schema = node.get("subname") or node.get("object", {}).get("String", {}).get("sval", "")
        _inside(reader, str(schema), "alter", doors.MASKED_DDL)
    return _ddl()


def _inside(reader: Reader, schema: str, verb: str, guard: str = "") -> None:
    """Note what is done to a schema for every relation in it: it is renamed, or granted, with it."""
    for relation in reader.catalog.relations_by_oid.values():
        if relation.schema == schema:
            reader.relations[relation.oid] = relation
            name, kind = relation_name(relation), relation_kind(relation)
            reader.effect(Effect(verb=verb, object=name, kind=kind, oid=relation.oid, guard=guard))


_DROPPED: Final = {
    "OBJECT_TABLE": "table", "OBJECT_VIEW": "view", "OBJECT_MATVIEW": "matview", "OBJECT_SEQUENCE": "sequence",
    "OBJECT_SCHEMA": "schema", "OBJECT_FUNCTION": "function", "OBJECT_INDEX": "index", "OBJECT_TYPE": "type",
}  # fmt: skip


def drop(reader: Reader, node: Node) -> Part:
    """DROP of anything; CASCADE takes what hangs on it along, which is not followed, so it concedes."""
    removed = str(node.get("removeType", ""))
    what = "function" if removed in objects.FUNCTIONS else _DROPPED.get(removed, "object")
    for item in node.get("objects", []):
        names = objects.names_in(item)
        if removed in objects.RELATIONS:
            schema = names[-2] if len(names) > 1 else ""
            found = [objects.object_of(reader, {"schemaname": schema, "relname": names[-1]})]
        elif removed in objects.OF_TABLES and len(names) > 1:
            found = [objects.part_of_table(reader, names)]
            reader.effect(Effect(verb="alter", object=found[0], kind="table", guard=doors.MASKED_DDL))
        else:
            found = objects.qualified(reader, names or ["object"], removed)
        for name in found:
            reader.effect(Effect(verb="drop", object=name, kind=what))
    if node.get("behavior") == "DROP_CASCADE":
        reader.concede("what CASCADE drops is not followed")
    return _ddl()


def grant(reader: Reader, node: Node) -> Part:
    """GRANT and REVOKE on objects."""
    schemas = node.get("targtype", "ACL_TARGET_OBJECT") != "ACL_TARGET_OBJECT"
    for item in node.get("objects", []):
        kind, inner = only_node(item)
        if kind == "RangeVar":
            found = find_relation(reader, str(inner.get("schemaname", "")), str(inner.get("relname", "")))
            if found is None:
                reader.concede("GRANT on a relation that is not in the catalog")
            reader.relations[found.oid] = found
            reader.effect(Effect(verb="grant", object=relation_name(found), kind=relation_kind(found), oid=found.oid))
        elif kind == "String":
            name = str(inner.get("sval", ""))
            reader.effect(Effect(verb="grant", object=full_name(name), kind="schema" if schemas else "object"))
            if schemas or node.get("objtype") == "OBJECT_SCHEMA":
                _inside(reader, name, "grant")
        else:
            names = strings_of(inner.get("objname") or inner.get("names") or inner.get("items"))
            kind = str(node.get("objtype", ""))
            for name in objects.qualified(reader, names or ["object"], kind):
                reader.effect(Effect(verb="grant", object=name, kind="object"))
    return _ddl()


def default_privileges(reader: Reader, node: Node) -> Part:
    """ALTER DEFAULT PRIVILEGES: of what will be made, in these schemas as GRANT on all in them is, or everywhere."""
    for option in definitions.nodes(node.get("options"), "DefElem"):
        if option.get("defname") == "schemas":
            for name in strings_of(option.get("arg", {}).get("List", {}).get("items")):
                reader.effect(Effect(verb="grant", object=full_name(name), kind="schema"))
                _inside(reader, name, "grant")
    reader.effect(Effect(verb="grant", object="privileges", kind="privileges"))
    return _ddl()


def owned(reader: Reader, node: Node) -> Part:
    """DROP OWNED and REASSIGN OWNED: whatever a role owns."""
    reader.concede("which objects a role owns is not known")


def guarded(guard: str, verb: str, what: str) -> Callable[[Reader, Node], Part]:
    """Return a handler for statements that a guardrail forbids whatever they name."""

    def handle(reader: Reader, node: Node) -> Part:
        roles.passwords(reader)  # a subscription's connection string may hold one
        reader.effect(Effect(verb=verb, object=what, kind=what, guard=guard))
        return _ddl()

    return handle


def shut(door: str, verb: str, what: str) -> Callable[[Reader, Node], Part]:
    """Return a handler for statements behind a door."""

    def handle(reader: Reader, node: Node) -> Part:
        roles.passwords(reader)  # OPTIONS may hold them
        names = objects.named_objects(reader, node) or [
            full_name(str(node.get("servername") or node.get("fdwname") or what))
        ]
        for name in names:
            reader.effect(Effect(verb=verb, object=name, kind=what, door=door))
        return _ddl()

    return handle


def table() -> dict[str, Callable[[Reader, Node], Part]]:
    """Return the handlers by statement type; those of the plain list go through `simple`."""
    handlers: dict[str, Callable[[Reader, Node], Part]] = {
        "RenameStmt": rename, "AlterObjectSchemaStmt": rename, "AlterOwnerStmt": rename, "DropStmt": drop,
        "GrantStmt": grant, "AlterSystemStmt": guarded(doors.SETTING, "set", "server"),
        "LoadStmt": guarded(doors.SERVER_FILES, "call", "library"),
        "AlterDatabaseSetStmt": guarded(doors.SETTING, "set", "database"),
        "AlterDefaultPrivilegesStmt": default_privileges, "ReassignOwnedStmt": owned, "DropOwnedStmt": owned,
        "AlterDatabaseRefreshCollStmt": shut(doors.BACKEND_CONTROL, "alter", "database"),
    }  # fmt: skip
    for kind in _REPLICATION:
        handlers[kind] = guarded(doors.REPLICATION, "create", "replication")
    for kind in _FOREIGN:
        handlers[kind] = shut(doors.OTHER_DATABASE, "create", "server")
    return handlers


def is_simple(kind: str) -> bool:
    """Whether a statement type is on the plain list."""
    return kind in _SIMPLE
