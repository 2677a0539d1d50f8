"""What a definition tells of values that are there, and what it puts in another's place."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from checkrein.core.statement import Effect
from checkrein.protocols.postgres.doors import SETTING
from checkrein.protocols.postgres.reading import keys
from checkrein.protocols.postgres.reading.names import (
    find_relation,
    origin_of,
    relation_kind,
    relation_name,
    relation_of,
)
from checkrein.protocols.postgres.reading.scope import Scope
from checkrein.protocols.postgres.reading.state import Node, Reader, moves_names, strings_of
from checkrein.protocols.sql.lineage import Value


def nodes(node: Any, kind: str) -> Iterator[Node]:
    """Find all nodes of one kind in table elements."""
    if isinstance(node, list):
        for item in node:
            yield from nodes(item, kind)
    elif isinstance(node, dict):
        for key, inner in node.items():
            if key == kind:
                yield inner
            yield from nodes(inner, kind)


def referring(reader: Reader, constraint: Node) -> None:
    """A foreign key, checked when it is made, tells whether values stand in the columns that it refers to."""
    node = constraint.get("pktable", {})
    found = find_relation(reader, str(node.get("schemaname", "")), str(node.get("relname", "")))
    if found is None:
        return
    unique = {name for key in found.unique_keys for name in key}
    keys.refers(reader, found.oid, tuple(strings_of(constraint.get("pk_attrs")) or sorted(unique)))


def checked(reader: Reader, node: Node) -> None:
    """What is checked against the rows that are there tells of them: a key made over columns, a foreign key from them,
    NOT NULL."""
    table = node.get("relation", {})
    found = find_relation(reader, str(table.get("schemaname", "")), str(table.get("relname", "")))
    if found is None:
        return
    names: set[str] = set()
    if node.get("unique"):
        names.update(str(element.get("name", "")) for element in nodes(node.get("indexParams"), "IndexElem"))
    for command in nodes(node.get("cmds"), "AlterTableCmd"):
        if command.get("subtype") == "AT_SetNotNull":
            names.add(str(command.get("name", "")))
        for constraint in nodes(command.get("def"), "Constraint"):
            names.update(strings_of(constraint.get("keys")), strings_of(constraint.get("fk_attrs")))
            elements = nodes(constraint.get("exclusions"), "IndexElem")
            names.update(str(element.get("name", "")) for element in elements)
    reader.relations[found.oid] = found
    told = [origin_of(found, column.name, column.number) for column in found.columns if column.name in names]
    reader.log.use(Value(origins=tuple(told)), "checked", 0)


def owning(reader: Reader, node: Node) -> None:
    """OWNED BY binds a sequence to a table's column, whose drop takes it along: the table is altered as well."""
    for option in nodes(node, "DefElem"):
        if option.get("defname") != "owned_by":
            continue
        names = strings_of(option.get("arg", {}).get("List", {}).get("items"))
        if names == ["none"]:
            continue
        if len(names) < 2:
            reader.concede("OWNED BY names no column of a table")
        table = {"catalogname": names[-4] if len(names) > 3 else "", "schemaname": names[-3] if len(names) > 2 else ""}
        found = relation_of(reader, {**table, "relname": names[-2]})
        reader.relations[found.oid] = found
        name, kind = relation_name(found), relation_kind(found)
        reader.effect(Effect(verb="alter", object=name, kind=kind, columns=(names[-1],), oid=found.oid))


def lasting(reader: Reader) -> None:
    """A setting that names resolve by, set in what a table keeps (a default, a check, a policy), would be set again by
    writes that do not say so: the names of what follows would be read otherwise than the server does."""
    for number, effect in enumerate(reader.log.effects):
        if effect.verb == "set" and moves_names(effect):
            reader.log.effects[number] = msgspec.structs.replace(effect, guard=SETTING, housekeeping=False)


def redefined(reader: Reader, node: Node) -> bool:
    """A view that takes the place of another gives its columns a name under which they may be read already.

    Whoever was judged by the old definition and waits for a lock is answered by the new one, under the same object id.
    Returns whether there is one to replace.
    """
    view = node.get("view", {})
    there = find_relation(reader, str(view.get("schemaname", "")), view["relname"]) is not None
    if not there and not node.get("replace"):
        return False
    for column in reader.select(reader, node.get("query", {}).get("SelectStmt", {}), Scope()):
        reader.log.store(column.value, "definition")
    return there and bool(node.get("replace"))
