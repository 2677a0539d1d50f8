"""Casts: which leave the column as it is, which cannot fail, and which may tell of the value by failing."""

from __future__ import annotations

from checkrein.protocols.postgres import known
from checkrein.protocols.postgres.catalog import CatalogType
from checkrein.protocols.postgres.reading.names import find_type
from checkrein.protocols.postgres.reading.scope import Scope
from checkrein.protocols.postgres.reading.state import Node, Reader
from checkrein.protocols.sql.lineage import BARE, SAFE, Value, compute, safely

TEXT, VARCHAR, BPCHAR = 25, 1043, 1042
_RELABELLED = frozenset({(VARCHAR, TEXT), (TEXT, VARCHAR)})
_WIDENING = frozenset({(21, 23), (21, 20), (23, 20), (21, 1700), (23, 1700), (20, 1700), (700, 701), (1082, 1114)})
FIRST_USER_OID = 16384


def read_cast(reader: Reader, node: Node, scope: Scope) -> Value:
    """CAST(x AS type), x::type, type 'x'."""
    reader.only("TypeCast", node, frozenset({"arg", "typeName", "location"}))
    value = reader.expr(node.get("arg"), scope)
    name = node.get("typeName", {})
    target = find_type(reader, name)
    location = int(node.get("location", -1))
    check_type(reader, target, value.type)
    if value.constant:
        return _constant(value, target)
    modifiers = name.get("typmods") or []
    reader.exprs(modifiers, scope)
    return cast_value(reader, value, target, bool(modifiers), location)


def _constant(value: Value, target: CatalogType) -> Value:
    """A constant stays one."""
    made = Value(kind=value.kind, calls=value.calls, type=target.oid, constant=True)
    made.parameter = value.parameter
    made.start = value.start
    made.end = value.end
    return made


def cast_value(reader: Reader, value: Value, target: CatalogType, modified: bool, location: int) -> Value:
    """Return a value as another type."""
    if value.type == target.oid and not modified:
        return value
    if value.type == target.oid and modified and value.witness is not None:
        reader.concede("whether a length cast changes the column is not known")
    pair = (value.type, target.oid)
    if pair in _RELABELLED and not modified:
        how = BARE if value.how == BARE else value.how
        return Value(how, value.origins, None, value.kind, value.calls, target.oid)
    if not modified and (pair in _WIDENING or (value.type and target.oid in (TEXT, VARCHAR))):
        made = safely([value], target.oid)
        made.how = SAFE if made.how != "computed" else made.how
        return made
    if value.origins:
        reader.log.use(value, "cast", reader.at(location))
    return compute([value], value.kind if target.oid == 16 else "other", target.oid)


def check_type(reader: Reader, target: CatalogType, source: int) -> None:
    """Concede where a cast may run a user's own function."""
    for cast in reader.catalog.casts:
        if not known.cast_known(cast) and cast.target == target.oid and source in (0, cast.source):
            reader.concede(f'a user-defined cast to "{target.name}" may run')
    while target.element and target.element in reader.catalog.types:
        target = reader.catalog.types[target.element]
    if target.oid >= FIRST_USER_OID and target.kind == "b" and not known.extension_known(target.extension):
        reader.concede(f'type "{target.name}" has input functions of its own')
