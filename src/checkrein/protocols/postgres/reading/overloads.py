"""Which overloads of an operator or function a call may mean, given the types of what it is called with.

The server's rules (parse_oper.c, parse_func.c, manual 10.2 and 10.3): the exact types first, then what the types can
be converted to, then most exact matches, preferred types, and guesses for bare literals. Where a type or a conversion
is not known for sure, every overload that could still be meant is returned: never fewer than the server chooses from.
"""

from __future__ import annotations

from typing import Final

from checkrein.core import limits
from checkrein.protocols.postgres.catalog import CatalogFunction, CatalogOperator, CatalogSnapshot, Names
from checkrein.protocols.postgres.reading import coercion
from checkrein.protocols.postgres.reading.coercion import MAYBE, NO, UNKNOWN, YES


class Candidate:
    """One overload that a name may mean: its argument types as they face the call, and where on the path it stands.

    `place` is the position of its schema in the search path, negative where the path is not known.
    """

    __slots__ = ("arguments", "meant", "place")

    def __init__(self, arguments: tuple[int, ...], meant: CatalogOperator | CatalogFunction, place: int) -> None:
        self.arguments = arguments
        self.meant = meant
        self.place = place


Key = tuple[int, tuple[str, ...], bool, str, str, tuple[int, ...]]

_KEPT: Final[dict[Key, list[CatalogOperator]]] = {}


def kept(key: Key) -> list[CatalogOperator] | None:
    """Return what an operator was found to mean before, for one catalog and search path."""
    return _KEPT.get(key) if key[0] else None


def keep(key: Key, found: list[CatalogOperator]) -> None:
    """Keep what an operator means; a catalog without an identity is not kept."""
    if len(_KEPT) >= limits.READING_OPERATORS_KEPT:
        _KEPT.clear()
    if key[0]:
        _KEPT[key] = found


def place_of(names: Names, schema: str, other: str) -> int | None:
    """Return where on the search path a schema stands, None when a name (qualified by `schema` or not) misses it.

    The session's temporary schema is not looked in for functions and operators. -1 when the path is not known.
    """
    if schema:
        return 0 if other == schema else None
    if not names.known:
        return -1
    if other in names.search_path:
        return names.search_path.index(other) + 1
    return 0 if other == "pg_catalog" else None


def possible(
    catalog: CatalogSnapshot, candidates: list[Candidate], types: tuple[int, ...], operator: bool
) -> list[Candidate]:
    """Return the candidates that the server may choose: one when it is sure, none when none can take the types."""
    exact = _exact(catalog, candidates, types, operator)
    if exact:
        return _foremost(exact)
    fitting: list[Candidate] = []
    sure = 0 not in types
    for candidate in _unshadowed(candidates):
        found = coercion.fits(catalog, types, candidate.arguments)
        if found != NO:
            fitting.append(candidate)
            sure = sure and found == YES
    if len(fitting) < 2 or not sure:
        return fitting
    chosen = _select(catalog, fitting, types)
    return fitting if chosen is None else [chosen]


def _exact(
    catalog: CatalogSnapshot, candidates: list[Candidate], types: tuple[int, ...], operator: bool
) -> list[Candidate]:
    """Return the overloads of just these types; a literal beside an operator is first taken for the other's type."""
    if 0 in types:
        return []
    guessed = operator and len(types) == 2 and UNKNOWN in types
    if guessed:
        known = types[0] if types[1] == UNKNOWN else types[1]
        types = (known, known)
    found = [one for one in candidates if one.arguments == types]
    if found or not guessed or UNKNOWN in types:
        return found
    base = coercion.base_of(catalog, types[0])
    return [one for one in candidates if one.arguments == (base, base)] if base else []


def _foremost(candidates: list[Candidate]) -> list[Candidate]:
    """Return those of the schema that is first on the path; all where the path is not known."""
    first = min([one.place for one in candidates])
    return candidates if first < 0 else [one for one in candidates if one.place == first]


def _unshadowed(candidates: list[Candidate]) -> list[Candidate]:
    """Drop what another schema, earlier on the path, has with the same arguments."""
    first: dict[tuple[int, ...], int] = {}
    for one in candidates:
        first[one.arguments] = min(one.place, first.get(one.arguments, one.place))
    return [one for one in candidates if one.place == first[one.arguments] or first[one.arguments] < 0]


def _select(catalog: CatalogSnapshot, candidates: list[Candidate], types: tuple[int, ...]) -> Candidate | None:
    """Return the best candidate (func_select_candidate); None when there is no one best, or that is not sure."""
    bases = tuple([coercion.base_of(catalog, one) for one in types])
    if not all(bases):
        return None
    left = _best(candidates, [_matches(one, bases) for one in candidates])
    if len(left) == 1:
        return left[0]
    if any(coercion.preferred(catalog, one) == MAYBE for candidate in left for one in candidate.arguments):
        return None
    categories = [coercion.category_of(catalog, one) for one in bases]
    left = _best(left, [_likes(catalog, one, bases, categories) for one in left])
    if len(left) == 1 or UNKNOWN not in bases:
        return left[0] if len(left) == 1 else None
    left = _guessed(catalog, left, bases)
    if len(left) == 1:
        return left[0]
    return _as_the_known(catalog, left, bases)


def _best(candidates: list[Candidate], scores: list[int]) -> list[Candidate]:
    """Return the candidates of the highest score."""
    highest = max(scores)
    return [one for one, score in zip(candidates, scores, strict=True) if score == highest]


def _matches(candidate: Candidate, bases: tuple[int, ...]) -> int:
    """Count arguments of exactly the type given."""
    count = 0
    for wanted, given in zip(candidate.arguments, bases, strict=True):
        count += given != UNKNOWN and wanted == given
    return count


def _likes(catalog: CatalogSnapshot, candidate: Candidate, bases: tuple[int, ...], categories: list[str]) -> int:
    """Count arguments of exactly the type given, or of the preferred type of its category."""
    count = 0
    for number, wanted in enumerate(candidate.arguments):
        if bases[number] == UNKNOWN:
            continue
        count += wanted == bases[number] or _prefers(catalog, categories[number], wanted)
    return count


def _prefers(catalog: CatalogSnapshot, category: str, oid: int) -> bool:
    """Whether a type is its category's preferred one (IsPreferredType)."""
    return coercion.preferred(catalog, oid) == YES and coercion.category_of(catalog, oid) == category


def _guessed(catalog: CatalogSnapshot, candidates: list[Candidate], bases: tuple[int, ...]) -> list[Candidate]:
    """Choose by the category that a bare literal would take: a string where possible, else what all agree on."""
    left = candidates
    for number, base in enumerate(bases):
        if base != UNKNOWN:
            continue
        wanted = [one.arguments[number] for one in candidates]
        found = {coercion.category_of(catalog, one) for one in wanted}
        if "S" not in found and len(found) > 1:
            return candidates
        category = "S" if "S" in found else found.pop()
        prefer = any(_prefers(catalog, category, one) for one in wanted)
        left = [
            one
            for one in left
            if coercion.category_of(catalog, one.arguments[number]) == category
            and (not prefer or coercion.preferred(catalog, one.arguments[number]) == YES)
        ]
    return left or candidates


def _as_the_known(catalog: CatalogSnapshot, candidates: list[Candidate], bases: tuple[int, ...]) -> Candidate | None:
    """Take bare literals for the type that all the rest is of, if that leaves one candidate."""
    known = {one for one in bases if one != UNKNOWN}
    if len(known) != 1:
        return None
    same = tuple(known) * len(bases)
    left = [(one, coercion.fits(catalog, same, one.arguments)) for one in candidates]
    left = [(one, found) for one, found in left if found != NO]
    return left[0][0] if len(left) == 1 and left[0][1] == YES else None
