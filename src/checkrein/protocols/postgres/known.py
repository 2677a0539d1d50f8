"""What the gateway knows of functions, operators and casts: harmless, with an effect, behind a door, or not at all.

Known are functions of pg_catalog whose names were on the servers 12 to 18 that the shipped list was made from, and
members of common extensions. A function that is not known is an effect (call, schema.name) that a rule must allow.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from importlib import resources
from typing import Final

import msgspec

from checkrein.protocols.postgres import doors
from checkrein.protocols.postgres.catalog import CatalogCast, CatalogFunction, CatalogOperator
from checkrein.protocols.postgres.catalog_keys import FIRST_USER_OID
from checkrein.protocols.postgres.known_groups import (
    EFFECTS,
    EXTENSION_DOORS,
    EXTENSION_UNKNOWN,
    HARMLESS_VOLATILE,
    KNOWN_EXTENSIONS,
    OVERLOADS,
    SHUT,
    Group,
)
from checkrein.protocols.postgres.parser import GRAMMAR_MAJOR

BOOLEAN: Final = 16
_TEXT: Final = 25
_BYTEA: Final = 17


class KnownFunction(msgspec.Struct, frozen=True):
    """What calling a known function means.

    `verb` and `kind` are of the effect that it carries, empty when none: its object is named by the 0-based
    `argument`, or is `object` when that is -1. `door` and `guard` are those of the effect, or of (call, schema.name)
    where `verb` is empty. `safe`: it cannot fail and gives one value per row: a masked column may be its argument.
    `result` is boolean, count or other.
    """

    verb: str = ""
    kind: str = ""
    argument: int = -1
    object: str = ""
    door: str = ""
    guard: str = ""
    safe: bool = False
    result: str = "other"
    reason: str = ""

    @property
    def harmless(self) -> bool:
        """Whether a call has no effect of its own."""
        return not (self.verb or self.door or self.guard)


# Functions that neither fail nor grow by their argument's value, with the overloads that hold to it. Left out on
# purpose: abs (fails on the least integer), replace, repeat, lpad and concatenation (fail by size), substr (fails by
# length), encode, convert, to_char (fail by format), everything that parses.
_SAFE: Final[dict[str, frozenset[tuple[int, ...]]]] = {
    "lower": frozenset({(_TEXT,)}),
    "upper": frozenset({(_TEXT,)}),
    "initcap": frozenset({(_TEXT,)}),
    "btrim": frozenset({(_TEXT,), (_TEXT, _TEXT), (_BYTEA, _BYTEA)}),
    "ltrim": frozenset({(_TEXT,), (_TEXT, _TEXT), (_BYTEA, _BYTEA)}),
    "rtrim": frozenset({(_TEXT,), (_TEXT, _TEXT), (_BYTEA, _BYTEA)}),
    "left": frozenset({(_TEXT, 23)}),
    "right": frozenset({(_TEXT, 23)}),
    "reverse": frozenset({(_TEXT,)}),
    "translate": frozenset({(_TEXT, _TEXT, _TEXT)}),
    "md5": frozenset({(_TEXT,), (_BYTEA,)}),
    "sha224": frozenset({(_BYTEA,)}),
    "sha256": frozenset({(_BYTEA,)}),
    "sha384": frozenset({(_BYTEA,)}),
    "sha512": frozenset({(_BYTEA,)}),
    "length": frozenset({(_TEXT,), (1042,), (_BYTEA,)}),
    "char_length": frozenset({(_TEXT,), (1042,)}),
    "character_length": frozenset({(_TEXT,), (1042,)}),
    "octet_length": frozenset({(_TEXT,), (1042,), (_BYTEA,)}),
    "bit_length": frozenset({(_TEXT,), (_BYTEA,)}),
    "ceil": frozenset({(1700,), (701,)}),
    "ceiling": frozenset({(1700,), (701,)}),
    "floor": frozenset({(1700,), (701,)}),
    "sign": frozenset({(1700,), (701,)}),
    "trunc": frozenset({(1700,), (701,)}),
    "isfinite": frozenset({(1082,), (1114,), (1184,), (1186,)}),
    "masklen": frozenset({(869,)}),
    "family": frozenset({(869,)}),
    "host": frozenset({(869,)}),
    "network": frozenset({(869,)}),
    "jsonb_typeof": frozenset({(3802,)}),
    "json_typeof": frozenset({(114,)}),
    "pg_typeof": frozenset({(2276,)}),
}


def _by_name(groups: Iterable[Group]) -> dict[str, KnownFunction]:
    return {
        name: KnownFunction(
            verb=group.verb,
            kind=group.kind,
            argument=group.argument,
            object=group.object,
            door=group.door,
            guard=group.guard,
            reason=group.reason,
        )
        for group in groups
        for name in group.names
    }


_GROUPED: Final = _by_name((*EFFECTS, *SHUT))
_HARMLESS: Final = {result: KnownFunction(result=result) for result in ("other", "boolean", "count")}
_HARMLESS_SAFE: Final = {result: KnownFunction(safe=True, result=result) for result in ("other", "boolean")}


@cache
def _load(name: str) -> bytes:
    return (resources.files("checkrein.protocols.postgres") / "data" / f"{name}.json").read_bytes()


@cache
def _harmless_names() -> frozenset[str]:
    """Names of pg_catalog's functions that are immutable or stable on every version, or were looked at."""
    volatilities = msgspec.json.decode(_load("functions"), type=dict[str, str])
    settled = {name for name, found in volatilities.items() if "v" not in found}
    return frozenset(settled | (HARMLESS_VOLATILE & volatilities.keys())) - _GROUPED.keys()


def lookup(function: CatalogFunction) -> KnownFunction | None:
    """Return what is known of one overload, or None when nothing is."""
    if function.extension:
        return _of_extension(function)
    if function.oid >= FIRST_USER_OID:
        return None
    if function.schema == "information_schema":
        return _HARMLESS[_result(function)]  # helpers of its views, which pgjdbc calls too
    return _of_catalog(function) if function.schema == "pg_catalog" else None


def _of_catalog(function: CatalogFunction) -> KnownFunction | None:
    grouped = _GROUPED.get(function.name)
    if grouped is not None and function.arguments not in OVERLOADS.get(function.name, ()):
        return grouped
    if grouped is None and function.name not in _harmless_names():
        return None
    if function.arguments in _SAFE.get(function.name, ()):
        return _HARMLESS_SAFE[_result(function)]
    return _HARMLESS[_result(function)]


def _of_extension(function: CatalogFunction) -> KnownFunction | None:
    door = EXTENSION_DOORS.get(function.extension)
    if door is not None:
        return KnownFunction(door=door, guard=door if door in doors.GUARDS else "", reason=doors.reason(door))
    if function.extension not in KNOWN_EXTENSIONS:
        return None
    unknown = function.name in EXTENSION_UNKNOWN.get(function.extension, ())
    return None if unknown else _HARMLESS[_result(function)]


def _result(function: CatalogFunction) -> str:
    if function.kind == "a" and function.name == "count":
        return "count"
    return "boolean" if function.returns == BOOLEAN and not function.returns_set else "other"


def operator_known(operator: CatalogOperator) -> bool:
    """Say whether an operator is initdb's own or a member of a known extension."""
    if operator.extension:
        return operator.extension in KNOWN_EXTENSIONS
    return operator.schema == "pg_catalog" and operator.oid < FIRST_USER_OID


def cast_known(cast: CatalogCast) -> bool:
    """Say whether a user-defined cast is a known extension's."""
    return cast.extension in KNOWN_EXTENSIONS


def extension_known(name: str) -> bool:
    """Say whether an extension's members compute with their arguments alone."""
    return name in KNOWN_EXTENSIONS


@cache
def _changed(major: int) -> dict[str, tuple[str, str]]:
    """Words that are keywords, other than unreserved ones, in one of (server, grammar) and not so in the other."""
    keywords = msgspec.json.decode(_load("keywords"), type=dict[int, dict[str, str]])
    here = keywords.get(major, keywords[max(keywords) if major > max(keywords) else min(keywords)])
    grammar = keywords[GRAMMAR_MAJOR]
    words = here.keys() | grammar.keys()
    categories = {word: (here.get(word, ""), grammar.get(word, "")) for word in words}
    return {word: pair for word, pair in categories.items() if pair[0] != pair[1]}


def changed_words(server_version: int) -> frozenset[str]:
    """Return words that mean something else on that server wherever they stand, such as `system_user` before 16.

    `server_version` is server_version_num. A text with one of them unquoted cannot be read as the server reads it.
    """
    return frozenset(word for word, pair in _changed(server_version // 10_000).items() if {"R", "T"} & {*pair})


def changed_calls(server_version: int) -> frozenset[str]:
    """Return words whose meaning on that server differs only right before an opening parenthesis, such as `json_value`.

    Elsewhere they are names in both (a column called json_table, the type json).
    """
    return frozenset(_changed(server_version // 10_000)) - changed_words(server_version)
