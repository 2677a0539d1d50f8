"""Which type the server takes for which without being told: implicit conversion (parse_coerce.c, manual 10.1).

Answers are three-valued, since not all types are known here: NO, YES, and MAYBE where it cannot be told. Whoever asks
must take MAYBE for the worse. Types are object ids; 0 is a type that is not known, UNKNOWN that of a bare literal,
PARAMETER that of a parameter, of which only its client knows the type.
"""

from __future__ import annotations

from typing import Final

from checkrein.protocols.postgres import known
from checkrein.protocols.postgres.catalog import CatalogCast, CatalogSnapshot
from checkrein.protocols.postgres.catalog_keys import FIRST_USER_OID

NO: Final = 0
MAYBE: Final = 1
YES: Final = 2

UNKNOWN: Final = 705
PARAMETER: Final = -1
ANY: Final = 2276
RECORD: Final = 2249
RECORD_ARRAY: Final = 2287
TEXT: Final = 25

_ELEMENT, _ARRAY, _NONARRAY, _ENUM, _RANGE, _MULTIRANGE = 2283, 2277, 2776, 3500, 3831, 4537
_SHAPES: Final = {
    _ELEMENT: "", _ARRAY: "array", _NONARRAY: "nonarray", _ENUM: "e", _RANGE: "r", _MULTIRANGE: "m",
    5077: "", 5078: "array", 5079: "nonarray", 5080: "r", 4538: "m",
}  # fmt: skip
_PLAIN: Final = frozenset({"", "array", "nonarray", "e"})
POLYMORPHIC: Final = frozenset(_SHAPES)
_REPEATED: Final = {ANY: ANY, _ARRAY: _ELEMENT, 5078: 5077}

_REG: Final = frozenset({2202, 2203, 2204, 2205, 2206, 3734, 3769, 4089, 4096, 4191})
_OID_LIKE: Final = frozenset({24, 26}) | _REG
_IMPLICIT: Final[dict[int, frozenset[int]]] = {
    18: frozenset({25}), 19: frozenset({25}), 20: frozenset({700, 701, 1700}) | _OID_LIKE,
    21: frozenset({20, 23, 700, 701, 1700}) | _OID_LIKE, 23: frozenset({20, 700, 701, 1700}) | _OID_LIKE,
    24: frozenset({26, 2202}), 25: frozenset({19, 1042, 1043, 2205}), 26: frozenset({24}) | _REG,
    194: frozenset({25}), 650: frozenset({869}), 700: frozenset({701}), 774: frozenset({829}), 829: frozenset({774}),
    1042: frozenset({19, 25, 1043}), 1043: frozenset({19, 25, 1042, 2205}), 1082: frozenset({1114, 1184}),
    1083: frozenset({1186, 1266}), 1114: frozenset({1184}), 1560: frozenset({1562}), 1562: frozenset({1560}),
    1700: frozenset({700, 701}), 2202: frozenset({24, 26}), 2203: frozenset({26, 2204}), 2204: frozenset({26, 2203}),
    2205: frozenset({26}), 2206: frozenset({26}), 3734: frozenset({26}), 3769: frozenset({26}), 4089: frozenset({26}),
    4096: frozenset({26}), 4191: frozenset({26}), 3361: frozenset({17, 25}), 3402: frozenset({17, 25}),
    5017: frozenset({17, 25}),
}  # fmt: skip
"""initdb's implicit casts by source (pg_cast.dat, castcontext 'i'): of servers 12 to 18, where the types exist."""

_PREFERRED: Final = frozenset({16, 25, 26, 701, 869, 1184, 1186, 1562})
"""initdb's preferred types (pg_type.typispreferred)."""


def base_of(catalog: CatalogSnapshot, oid: int) -> int:
    """Return the type under a domain, the type itself when it is none; 0 when the catalog does not have it."""
    if oid == UNKNOWN:
        return oid
    found = catalog.types.get(oid)
    while found is not None and found.base:
        found = catalog.types.get(found.base)
    return 0 if found is None else found.oid


def element_of(catalog: CatalogSnapshot, oid: int) -> int:
    """Return an array's element type, also of a domain over one; 0 when it is no array or not known."""
    found = catalog.types.get(base_of(catalog, oid))
    return 0 if found is None else found.element


def array_over(catalog: CatalogSnapshot, element: int) -> int:
    """Return the type of an array of this type, which is the type itself where that is an array; 0 when not known."""
    found = catalog.types.get(element)
    if found is None or base_of(catalog, element) != element:
        return 0
    if found.element:
        return element
    array = catalog.types_by_name.get((found.schema, "_" + found.name))
    return 0 if array is None or array.element != element else array.oid


def repeated(catalog: CatalogSnapshot, variadic: int) -> int:
    """Return the type of each argument that a variadic one of this array type stands for; 0 when not known."""
    return _REPEATED.get(variadic) or element_of(catalog, variadic)


def category_of(catalog: CatalogSnapshot, oid: int) -> str:
    """Return a type's category, as TypeCategory does; empty when it is not known."""
    if oid == UNKNOWN:
        return "X"
    found = catalog.types.get(oid)
    return "" if found is None else found.category


def preferred(catalog: CatalogSnapshot, oid: int) -> int:
    """Say whether a type is the preferred one of its category; of user-defined base types that is not loaded."""
    if oid in _PREFERRED:
        return YES
    found = catalog.types.get(oid)
    if found is None:
        return MAYBE
    return MAYBE if oid >= FIRST_USER_OID and found.kind == "b" and not found.element else NO


def coerces(catalog: CatalogSnapshot, source: int, target: int) -> int:
    """Say whether one value of a type may stand where another type is wanted (can_coerce_type, implicit)."""
    if source in (target, UNKNOWN) or target == ANY:
        return YES if source else MAYBE
    if target in POLYMORPHIC:
        return _shaped(catalog, source, _SHAPES[target])
    one, other = base_of(catalog, source), base_of(catalog, target)
    if not one or not other:
        return MAYBE
    if one == other:
        return YES
    return max(_pathway(catalog, one, other), _composite(catalog, one, other))


def _shaped(catalog: CatalogSnapshot, source: int, shape: str) -> int:
    """Say whether one type alone can be what a polymorphic argument asks for."""
    if not source:
        return MAYBE
    base = catalog.types.get(base_of(catalog, source))
    if base is None or base.oid == RECORD_ARRAY or _may_be_array(catalog, base.oid):
        return MAYBE
    if not shape:
        return YES
    if shape in ("array", "nonarray"):
        return YES if bool(base.element) == (shape == "array") else NO
    return YES if base.kind == shape else NO


def _may_be_array(catalog: CatalogSnapshot, oid: int) -> bool:
    """Whether a user-defined base type may be a true array by its subscripting, or only look like one."""
    found = catalog.types[oid]
    true_array = bool(found.element) and found.name.startswith("_")
    return oid >= FIRST_USER_OID and found.kind == "b" and not true_array


def _pathway(catalog: CatalogSnapshot, one: int, other: int) -> int:
    """Say whether pg_cast, or pg_cast for the elements of arrays, has an implicit way (find_coercion_pathway)."""
    if other in _IMPLICIT.get(one, ()):
        return YES
    for cast in catalog.casts:
        if cast.source == one and cast.target == other:
            return YES if cast.context == "i" else NO
    inner, wanted = catalog.types[one].element, catalog.types[other].element
    if inner and wanted:
        inner, wanted = base_of(catalog, inner), base_of(catalog, wanted)
        if not inner or not wanted:
            return MAYBE
        return YES if inner == wanted else _pathway(catalog, inner, wanted)
    if (inner and _may_be_array(catalog, other)) or (wanted and _may_be_array(catalog, one)):
        return MAYBE
    return NO


def _composite(catalog: CatalogSnapshot, one: int, other: int) -> int:
    """Say whether rows go where records are wanted, and the other way; or a child's rows where a parent's are."""
    if RECORD_ARRAY in (one, other):
        return MAYBE
    complex_one, complex_other = catalog.types[one].kind == "c", catalog.types[other].kind == "c"
    if (one == RECORD and complex_other) or (other == RECORD and complex_one):
        return YES
    return MAYBE if complex_one and complex_other else NO


def fits(catalog: CatalogSnapshot, sources: tuple[int, ...], targets: tuple[int, ...]) -> int:
    """Say whether values of these types may be these arguments; 0 as a target is one that is not known."""
    worst = YES
    polymorphic: list[int] = []
    for number, target in enumerate(targets):
        found = coerces(catalog, sources[number], target) if target else MAYBE
        if found == NO:
            return NO
        worst = min(worst, found)
        if target in POLYMORPHIC:
            polymorphic.append(number)
    if len(polymorphic) == 1:
        return MAYBE if sources[polymorphic[0]] == UNKNOWN else worst
    return min(worst, _consistent(catalog, sources, targets, polymorphic)) if polymorphic else worst


def _consistent(
    catalog: CatalogSnapshot, sources: tuple[int, ...], targets: tuple[int, ...], numbers: list[int]
) -> int:
    """Say whether several polymorphic arguments agree (check_generic_type_consistency), where that is simple."""
    elements: set[int] = set()
    for number in numbers:
        source, target = sources[number], targets[number]
        if not source or target not in (_ELEMENT, _NONARRAY, _ENUM, _ARRAY):
            return MAYBE
        if source == UNKNOWN:
            continue
        if base_of(catalog, source) != source:
            return MAYBE
        element = element_of(catalog, source) if target == _ARRAY else source
        if not element:
            return MAYBE
        elements.add(element)
    if len(elements) == 1:
        return YES
    return NO if elements else MAYBE


def result_of(catalog: CatalogSnapshot, result: int, sources: tuple[int, ...], targets: tuple[int, ...]) -> int:
    """Return the type that an operator or function gives for arguments of these types; 0 when not known."""
    if result not in POLYMORPHIC:
        return result
    if _SHAPES[result] not in _PLAIN:
        return 0
    elements: set[int] = set()
    for source, target in zip(sources, targets, strict=False):
        if target in POLYMORPHIC:
            whole = _SHAPES[target] in _PLAIN and source not in (UNKNOWN, PARAMETER, RECORD)
            whole = whole and base_of(catalog, source) == source
            in_array = _SHAPES[target] == "array"
            elements.add((element_of(catalog, source) if in_array else source) if whole else 0)
    if len(elements) != 1:
        return 0
    element = elements.pop()
    return array_over(catalog, element) if _SHAPES[result] == "array" else element


def common_type(catalog: CatalogSnapshot, types: list[int]) -> int:
    """Return the one type that alternatives of these types are given (select_common_type); 0 when that is not sure."""
    if not types or 0 in types or PARAMETER in types:
        return 0
    if types[0] != UNKNOWN and all(one == types[0] for one in types):
        return types[0]
    chosen = UNKNOWN
    for one in types:
        base = base_of(catalog, one)
        if base in (UNKNOWN, chosen):
            continue
        if not base:
            return 0
        if chosen == UNKNOWN:
            chosen = base
            continue
        if preferred(catalog, chosen) == MAYBE:
            return 0
        there, back = coerces(catalog, chosen, base), coerces(catalog, base, chosen)
        if MAYBE in (there, back):
            return 0
        if preferred(catalog, chosen) == NO and there == YES and back == NO:
            chosen = base
    return TEXT if chosen == UNKNOWN else chosen


def _runs(cast: CatalogCast) -> bool:
    """Whether a cast runs something that is neither the system's nor a known extension's."""
    return cast.method != "b" and not known.cast_known(cast)


def runs_user_cast(catalog: CatalogSnapshot, source: int, target: int, implicit: bool) -> bool:
    """Whether converting one type to another may run a user-defined cast's own function, element by element for arrays.

    `implicit`: nothing in the text asks for the conversion, so that only casts made for that are used. They count
    where data is converted: of a parameter, what its client itself gives is, if it gives it such a type.
    """
    if source in (UNKNOWN, PARAMETER, target) or target == ANY:
        return False
    casts = [one for one in catalog.casts if _runs(one) and (one.context == "i" or not implicit)]
    one, other = base_of(catalog, source) if source else 0, base_of(catalog, target)
    while casts and (one != other or not one):
        if any(other in (0, cast.target) and one in (0, cast.source) for cast in casts):
            return True
        inner, wanted = element_of(catalog, one), element_of(catalog, other)
        if not wanted or (one and not inner):
            return False
        one, other = base_of(catalog, inner) if inner else 0, base_of(catalog, wanted)
    return False
