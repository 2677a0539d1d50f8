"""Function calls: which function a name is, what calling it does, and what its result derives from."""

from __future__ import annotations

from typing import Final

from checkrein.core.statement import Effect, full_name
from checkrein.protocols.postgres import known
from checkrein.protocols.postgres.catalog import CatalogFunction, CatalogSnapshot
from checkrein.protocols.postgres.catalog_keys import FIRST_USER_OID
from checkrein.protocols.postgres.reading import coercion, columns, consequences, operators, sorting
from checkrein.protocols.postgres.reading.names import fields_of, type_named
from checkrein.protocols.postgres.reading.overloads import Candidate, place_of, possible
from checkrein.protocols.postgres.reading.scope import Scope
from checkrein.protocols.postgres.reading.state import Node, Reader, strings_of
from checkrein.protocols.postgres.reading.targets import column_name
from checkrein.protocols.sql.lineage import COMPUTED, Value, compute, merge_calls, merge_origins, safely

_CALL: Final = frozenset(
    {
        "funcname", "args", "agg_order", "agg_filter", "over", "agg_within_group", "agg_star", "agg_distinct",
        "func_variadic", "funcformat", "location",
    }
)  # fmt: skip
_RECORD: Final = 2249
_ANYARRAY: Final = 2277


class Called:
    """One resolved call: its overloads, what it gives, and where its columns come from."""

    __slots__ = ("array", "given", "name", "overloads", "user", "value")

    def __init__(
        self,
        name: str,
        overloads: list[CatalogFunction],
        user: bool,
        value: Value,
        array: bool = False,
        given: int = 0,
    ) -> None:
        self.name = name
        self.overloads = overloads
        self.user = user
        self.value = value
        self.array = array
        self.given = given  # the type of the first argument, 0 when not known


def read_call(reader: Reader, node: Node, scope: Scope) -> Value:
    """Read a function call in an expression."""
    projected = _projection(reader, node, scope)
    if projected is not None:
        return projected
    cast = _as_type(reader, node)
    return reader.expr(cast, scope) if cast is not None else call(reader, node, scope).value


def _as_type(reader: Reader, node: Node) -> Node | None:
    """`regclass('orders')` is a cast where a type, but no function of one argument, has the name (func_get_detail)."""
    names = strings_of(node.get("funcname"))
    arguments = node.get("args", [])
    if len(arguments) != 1 or len(names) > 2 or node.keys() - {"funcname", "args", "funcformat", "location"}:
        return None
    schema = names[0] if len(names) > 1 else ""
    overloads = reader.catalog.functions.get(names[-1], ())
    if any(_visible(reader, one, schema) and takes(one, 1) for one in overloads):
        return None
    found = type_named(reader, names)
    if found is None or found.relation:
        return None
    return {"TypeCast": {"arg": arguments[0], "typeName": {"names": node["funcname"]}}}


def _projection(reader: Reader, node: Node, scope: Scope) -> Value | None:
    """`ssn(c)` is the column where no function has the name (PostgreSQL's ParseFuncOrColumn)."""
    names = strings_of(node.get("funcname"))
    arguments = node.get("args", [])
    if len(names) != 1 or len(arguments) != 1 or "agg_star" in node or "over" in node:
        return None
    source = columns.row_source(reader, arguments[0], scope)
    if source is None or not any(column.name == names[0] for column in source.columns):
        return None
    if names[0] in reader.catalog.functions:
        reader.concede(f'"{names[0]}" may be a function or a column of "{source.alias}"')
    return columns.column_of(reader, source, names[0])


def call(reader: Reader, node: Node, scope: Scope) -> Called:
    """Read a call: its arguments, clauses and consequences."""
    reader.only("FuncCall", node, _CALL)
    names = strings_of(node.get("funcname"))
    location = int(node.get("location", -1))
    arguments = reader.exprs(node.get("args"), scope)
    _clauses(reader, node, scope)
    ordered = len(node.get("agg_order", [])) if node.get("agg_within_group") else 0
    types = None if ordered else _types(node, arguments)
    overloads = resolve(reader, names, len(arguments) + ordered, bool(node.get("agg_star")), types)
    name = names[-1]
    if known.lookup(overloads[0]) is None:
        return Called(name, overloads, True, _user_call(reader, overloads, arguments, location))
    facts = consequences.facts_of(overloads, arguments)
    consequences.apply(reader, facts, overloads[0], node.get("args", []), location)
    if not facts.harmless:
        reader.log.stored.update(dict.fromkeys(merge_calls(arguments)))
    result = _result(reader, _chosen(reader, overloads, types), types)
    if "agg_order" in node:
        arguments = [*arguments, Value()]
    if facts.safe and "over" not in node and "agg_filter" not in node and not node.get("agg_distinct"):
        return Called(name, overloads, False, safely(arguments, result))
    nodes = node.get("args", [])
    array = bool(nodes) and all(_is_array(reader, one, value) for one, value in zip(nodes, arguments, strict=False))
    for value in arguments:
        if value.origins:
            reader.log.use(value, "function", reader.at(location))
    given = arguments[0].type if arguments else 0
    return Called(name, overloads, False, compute(arguments, facts.result, result), array, given)


def _clauses(reader: Reader, node: Node, scope: Scope) -> None:
    """Read ORDER BY, FILTER and OVER of an aggregate or window call: everything there is a use."""
    sorting.read_order(reader, node.get("agg_order"), scope, "aggregate ORDER BY")
    reader.used(node.get("agg_filter"), scope, "FILTER")
    if "over" in node:
        sorting.read_window(reader, node["over"], scope)


def _user_call(reader: Reader, overloads: list[CatalogFunction], arguments: list[Value], location: int) -> Value:
    """A function that is not known: an effect that a rule must allow, and an output that is not to be trusted."""
    function = overloads[0]
    name = full_name(function.schema, function.name)
    for value in arguments:
        if value.origins:
            reader.log.use(value, "function", reader.at(location))
    reader.effect(Effect(verb="call", object=name, kind="function", oid=function.oid, position=reader.at(location)))
    reader.changes_names = True
    reader.writes = True
    calls = (*merge_calls(arguments), name)
    return Value(COMPUTED, merge_origins(arguments), None, "other", calls, result_type(overloads))


def _types(node: Node, arguments: list[Value]) -> tuple[int, ...] | None:
    """Return the types of a call's arguments; None where they do not stand in the function's own order."""
    nodes = node.get("args", [])
    if "agg_star" in node or "func_variadic" in node or any("NamedArgExpr" in one for one in nodes):
        return None
    return tuple([operators.type_of(one, value) for one, value in zip(nodes, arguments, strict=True)])


def resolve(
    reader: Reader, names: list[str], given: int, star: bool = False, types: tuple[int, ...] | None = None
) -> list[CatalogFunction]:
    """Return the overloads that a call may mean, all of one standing: known ones, or one user function.

    `types` are those of the arguments (0: not known), None where they cannot be told apart. Concedes when it could be
    either, or when a user-defined cast may run on an argument.
    """
    name = names[-1]
    if len(names) > 2 and names[0] != reader.catalog.database:
        reader.concede("it names another database")
    schema = names[-2] if len(names) > 1 else ""
    system: list[CatalogFunction] = []
    user: list[CatalogFunction] = []
    for function in reader.catalog.functions.get(name, ()):
        if not _visible(reader, function, schema) or not (star or takes(function, given)):
            continue
        (user if known.lookup(function) is None else system).append(function)
    if system and user:
        chosen = _chosen(reader, [*system, *user], types)
        if any(one in chosen for one in user):
            reader.concede(f'function "{name}" may be a user-defined one')
        system, user = chosen, []
    if not system and not user:
        reader.concede(f'function "{name}" is not in the catalog', "42883")
    if len({function.schema for function in user}) > 1:
        reader.concede(f'function "{name}" is in several schemas')
    for function in system if reader.catalog.casts else ():
        for number, taken in enumerate(function.arguments):
            source = 0 if types is None else types[number] if number < len(types) else coercion.UNKNOWN
            if coercion.runs_user_cast(reader.catalog, source, taken, implicit=True):
                reader.concede(f'a user-defined cast may run for function "{name}"')
    return system or user


def _chosen(reader: Reader, found: list[CatalogFunction], types: tuple[int, ...] | None) -> list[CatalogFunction]:
    """Return those of the functions that the server may choose for arguments of these types; all if it takes none."""
    if types is None:
        return found
    types = tuple([max(one, 0) for one in types])
    candidates: list[Candidate] = []
    for one in found:
        place = place_of(reader.names, "", one.schema)
        candidates.append(Candidate(facing(reader.catalog, one, len(types)), one, -1 if place is None else place))
    chosen = possible(reader.catalog, candidates, types, operator=False)
    return [one.meant for one in chosen if isinstance(one.meant, CatalogFunction)] or found


def facing(catalog: CatalogSnapshot, function: CatalogFunction, given: int) -> tuple[int, ...]:
    """Return a function's arguments as a call of so many sees them: without defaults, variadic ones repeated."""
    arguments = function.arguments
    if not function.variadic or len(arguments) > given:
        return arguments[:given] + (0,) * (given - len(arguments))
    repeated = coercion.repeated(catalog, arguments[-1])
    return arguments[:-1] + (repeated,) * (given - len(arguments) + 1)


def _visible(reader: Reader, function: CatalogFunction, schema: str) -> bool:
    """Whether a name, qualified by this schema or not at all, may mean the function."""
    if schema:
        return function.schema == schema
    if function.schema == "pg_catalog" or not reader.names.known:
        return True
    return function.schema in reader.names.search_path


def takes(function: CatalogFunction, given: int) -> bool:
    """Whether a function can be called with that many arguments."""
    count = len(function.arguments)
    if function.variadic:
        return given >= count - 1 - function.defaults
    return count - function.defaults <= given <= count


def _result(reader: Reader, chosen: list[CatalogFunction], types: tuple[int, ...] | None) -> int:
    """Return the type that a call gives, 0 when it is not known."""
    if types is None:
        return result_type(chosen)
    found = {
        coercion.result_of(reader.catalog, one.returns, types, facing(reader.catalog, one, len(types)))
        for one in chosen
    }
    return found.pop() if len(found) == 1 else 0


def result_type(overloads: list[CatalogFunction]) -> int:
    """Return the type that all overloads give, 0 when they differ or it depends on the arguments."""
    first = overloads[0].returns
    if first in coercion.POLYMORPHIC or any(function.returns != first for function in overloads):
        return 0
    return first


def read_row_source(reader: Reader, node: Node, scope: Scope) -> tuple[str, list[str] | None, Value, bool]:
    """Read a function in FROM. Return its name, columns (None: not known), their value, whether it is a scalar."""
    inner = node.get("FuncCall")
    if inner is None:
        name = column_name(node)
        value = reader.expr(node, scope)
        fields = fields_of(reader, value.type)
        return name, fields or [name], value, fields is None
    called = call(reader, inner, scope)
    outputs = _outputs(reader, called, len(inner.get("args", [])))
    scalar = outputs is not None and len(outputs) == 1 and not called.overloads[0].outputs
    scalar = scalar and fields_of(reader, _row_type(reader, called)) is None
    return called.name, outputs, called.value, scalar


def _is_array(reader: Reader, node: Node, value: Value) -> bool:
    """Whether an argument is an array by its type, or written as one: ARRAY[...], ARRAY(...)."""
    found = reader.catalog.types.get(value.type)
    if found is not None:
        return found.category == "A"
    return "A_ArrayExpr" in node or node.get("SubLink", {}).get("subLinkType") == "ARRAY_SUBLINK"


def _outputs(reader: Reader, called: Called, given: int) -> list[str] | None:
    """Return the column names of a function in FROM."""
    overloads = called.overloads
    if called.name == "unnest" and called.given:
        overloads = [function for function in overloads if function.arguments == (called.given,)] or overloads
    if called.name == "unnest" and called.array:
        overloads = [function for function in overloads if function.arguments == (_ANYARRAY,)]
    first = overloads[0]
    if any(function.outputs != first.outputs for function in overloads):
        return None
    if first.outputs:
        return list(first.outputs)
    if called.name == "unnest" and given > 1:
        return ["unnest"] * given
    composite = _row_type(reader, called)
    if called.name.endswith(("_populate_record", "_populate_recordset")):
        return fields_of(reader, composite)
    if any(function.returns == _RECORD for function in overloads):
        return None
    found = reader.catalog.types.get(coercion.base_of(reader.catalog, composite) or composite)
    if (found is not None and found.relation) or (found is None and composite >= FIRST_USER_OID):
        return fields_of(reader, composite)  # a type that the catalog does not have may be composite
    return [called.name]


def _row_type(reader: Reader, called: Called) -> int:
    """Return the type of a row that a function in FROM gives: its result, or what its first argument makes of it."""
    first = called.overloads[0]
    if called.name == "unnest" and called.array:
        found = reader.catalog.types.get(called.given)
        return 0 if found is None else found.element
    if first.returns in coercion.POLYMORPHIC and called.name.endswith(("_populate_record", "_populate_recordset")):
        return called.given
    return first.returns


def read_grouping(reader: Reader, node: Node, scope: Scope) -> Value:
    """GROUPING(...): which columns are grouped by, none of their values."""
    reader.only("GroupingFunc", node, frozenset({"args", "refs", "agglevelsup", "location"}))
    reader.exprs(node.get("args"), scope)
    return Value(type=23)
