"""What calling a known function does beyond giving a value: sequences, notifications, locks, settings, doors."""

from __future__ import annotations

from typing import Final

from checkrein.core.statement import Effect, full_name
from checkrein.protocols.postgres import known, settings
from checkrein.protocols.postgres.catalog import CatalogFunction
from checkrein.protocols.postgres.doors import ROLE_SWITCH, RUNS_TEXT, SETTING
from checkrein.protocols.postgres.known import KnownFunction
from checkrein.protocols.postgres.reading.names import find_relation, relation_name
from checkrein.protocols.postgres.reading.state import NAMING_SETTINGS, Node, Reader, moves_names, strings_of
from checkrein.protocols.sql.lineage import Value

TEXTS: Final = frozenset({25, 1043, 1042, 19})
_TEXT: Final = 25
_ANY: Final = frozenset({2276, 2283})
_MEANWHILE: Final = "it sets what names resolve by while a sequence's name may be resolved"


def facts_of(overloads: list[CatalogFunction], values: list[Value]) -> KnownFunction:
    """Return what is known of a call: of all overloads that the argument types leave, the most dangerous."""
    facts: list[KnownFunction] = []
    for function in _narrowed(overloads, values):
        found = known.lookup(function)
        if found is not None:
            facts.append(found)
    for found in facts:
        if not found.harmless:
            return found
    results = {found.result for found in facts}
    return KnownFunction(
        safe=bool(facts) and all(found.safe for found in facts), result=results.pop() if len(results) == 1 else "other"
    )


def _narrowed(overloads: list[CatalogFunction], values: list[Value]) -> list[CatalogFunction]:
    """Return the overloads whose argument types the known types of the values allow; all when none is left."""
    fitting = [function for function in overloads if _fits(function.arguments, values)]
    return fitting or overloads


def _fits(arguments: tuple[int, ...], values: list[Value]) -> bool:
    """Whether values can be these arguments, as far as their types are known."""
    for wanted, value in zip(arguments, values, strict=False):
        if value.type == 0 or value.constant or wanted == value.type or wanted in _ANY:
            continue
        if wanted == _TEXT and value.type in TEXTS:
            continue
        if value.type in TEXTS:
            return False
    return True


def apply(reader: Reader, group: KnownFunction, function: CatalogFunction, nodes: list[Node], location: int) -> None:
    """Note what a call does beyond giving a value. Concedes when its object is not in the text."""
    if group.harmless:
        return
    if group.verb == "set":
        name = constant_text(nodes[0]) if nodes else None
        value = constant_text(nodes[1]) if len(nodes) > 1 else None
        if name is None and strings_of(nodes[0].get("ColumnRef", {}).get("fields")) == ["name"]:
            name = reader.pinned_setting
        if name is None:
            reader.concede("which setting set_config sets is not known")
        set_setting(reader, name, value, location)
        return
    target = group.object or full_name(function.schema, function.name)
    kind = group.kind or "function"
    if group.argument >= 0:
        target = _named(reader, group, nodes)
    reader.effect(
        Effect(
            verb=group.verb or "call", object=target, kind=kind, door=group.door, guard=group.guard,
            position=reader.at(location),
        )
    )  # fmt: skip
    if group.verb == "update":
        reader.writes = True
    if group.door == RUNS_TEXT:
        reader.writes = reader.changes_names = True


def _named(reader: Reader, group: KnownFunction, nodes: list[Node]) -> str:
    text = constant_text(nodes[group.argument]) if len(nodes) > group.argument else None
    if text is None:
        reader.concede(f"which {group.kind} a function is called for is not known")
    if group.kind != "sequence":
        return full_name(text)
    names = [part.strip('"') if part.startswith('"') else part.lower() for part in text.split(".")]
    found = find_relation(reader, names[-2] if len(names) > 1 else "", names[-1])
    if found is None:
        reader.concede(f'sequence "{text}" is not in the catalog')
    if any(effect.verb == "set" and moves_names(effect) for effect in reader.log.effects):
        reader.concede(_MEANWHILE)
    return relation_name(found)


def set_setting(reader: Reader, name: str, value: str | None, location: int) -> str:
    """Note that a setting is set, by SET or set_config. Return its class."""
    key = settings.normalise(name)
    found = settings.setting_class(name, value)
    guard = ""
    if found == settings.REFUSED:
        guard = ROLE_SWITCH if key in ("role", "session_authorization") else SETTING
    reader.effect(
        Effect(
            verb="set", object=key, kind="setting", housekeeping=not guard, guard=guard, position=reader.at(location)
        )
    )
    if key in NAMING_SETTINGS and any(effect.kind == "sequence" for effect in reader.log.effects):
        reader.concede(_MEANWHILE)
    if key in NAMING_SETTINGS:
        reader.changes_names = True
    return found


def constant_text(node: Node) -> str | None:
    """Return the text of a string constant, through casts; None for anything else."""
    while "TypeCast" in node:
        node = node["TypeCast"].get("arg", {})
    inner = node.get("A_Const", {})
    if "sval" in inner:
        return str(inner["sval"].get("sval", ""))
    return None
