"""Casts: which leave the column as it is, which cannot fail, and which may tell of the value by failing."""

from __future__ import annotations

from checkrein.protocols.postgres import known
from checkrein.protocols.postgres.catalog import CatalogType
from checkrein.protocols.postgres.reading import coercion
from checkrein.protocols.postgres.reading.names import find_type
from checkrein.protocols.postgres.reading.operators import type_of
from checkrein.protocols.postgres.reading.scope import Scope
from checkrein.protocols.postgres.reading.state import Node, Reader
from checkrein.protocols.sql.lineage import BARE, SAFE, Value, compute, safely

TEXT, VARCHAR, BPCHAR = 25, 1043, 1042
_RELABELLED = frozenset({(VARCHAR, TEXT), (TEXT, VARCHAR)})
_WIDENING = frozenset({(21, 23), (21, 20), (23, 20), (21, 1700), (23, 1700), (20, 1700), (700, 701), (1082, 1114)})
NUMERIC = 1700
FIRST_USER_OID = 16384
UNKNOWN_TYPMOD = -2


def read_cast(reader: Reader, node: Node, scope: Scope) -> Value:
    """CAST(x AS type), x::type, type 'x'."""
    reader.only("TypeCast", node, frozenset({"arg", "typeName", "location"}))
    value = reader.expr(node.get("arg"), scope)
    name = node.get("typeName", {})
    target = find_type(reader, name)
    location = int(node.get("location", -1))
    check_type(reader, target, max(type_of(node.get("arg"), value), 0))
    if value.constant:
        return _constant(value, target)
    modifiers = name.get("typmods") or []
    reader.exprs(modifiers, scope)
    typmod = _typmod(target.oid, modifiers) if modifiers else -1
    if modifiers:
        reader.reads_constants = True
    if value.type == target.oid and typmod >= 0 and typmod == value.typmod:
        return value
    return cast_value(reader, value, target, bool(modifiers), location)


def _typmod(oid: int, modifiers: list[Node]) -> int:
    """Return the type modifier that constants in parentheses give (varchar_in.c, numeric.c); -1 when not known."""
    numbers: list[int] = []
    for node in modifiers:
        constant = node.get("A_Const", {})
        if "ival" not in constant:
            return -1
        numbers.append(int(constant["ival"].get("ival", 0)))
    if oid in (VARCHAR, BPCHAR) and len(numbers) == 1:
        return numbers[0] + 4
    if oid == NUMERIC and len(numbers) in (1, 2):
        scale = numbers[1] if len(numbers) == 2 else 0
        return ((numbers[0] << 16) | (scale & 0x7FF)) + 4
    return -1


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
        return _forgets_length(reader, value)
    changes_for_sure = target.oid in (VARCHAR, BPCHAR, NUMERIC) and value.typmod != UNKNOWN_TYPMOD
    if value.type == target.oid and value.witness is not None and not changes_for_sure:  # other length coercions
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


_KEEPS_LENGTH_CASTS = 150000
_DROPS_LENGTH_CASTS = 140000


def _forgets_length(reader: Reader, value: Value) -> Value:
    """A cast to the column's own type without its length: newer servers no longer show the column for it."""
    if value.typmod == -1 or value.witness is None:
        return value
    version = reader.catalog.server_version
    if value.typmod == UNKNOWN_TYPMOD or _DROPS_LENGTH_CASTS <= version < _KEEPS_LENGTH_CASTS:
        reader.concede("whether the server shows the column through a length cast is not known")
    if version < _DROPS_LENGTH_CASTS:
        return value
    return Value(value.how, value.origins, None, value.kind, value.calls, value.type)


def check_type(reader: Reader, target: CatalogType, source: int) -> None:
    """Concede where a cast may run a user's own function; a bare literal (UNKNOWN) goes by the type's input alone."""
    if reader.catalog.casts and coercion.runs_user_cast(reader.catalog, source, target.oid, implicit=False):
        reader.concede(f'a user-defined cast to "{target.name}" may run')
    while (target.base or target.element) in reader.catalog.types:
        target = reader.catalog.types[target.base or target.element]
    if target.oid >= FIRST_USER_OID and target.kind == "b" and not known.extension_known(target.extension):
        reader.concede(f'type "{target.name}" has input functions of its own')
