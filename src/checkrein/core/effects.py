"""What statements are made of: effects, lineage, uses, relations, and the names of objects."""

from __future__ import annotations

import msgspec


class Effect(msgspec.Struct, frozen=True, kw_only=True):
    """One verb on one object, wherever in the request it stands.

    `object` is the target's own full name (`schema.table`, `schema.function`, a channel, a setting), parts joined by a
    dot and double-quoted when they hold one. `columns` are the columns where known; None means "not known: all".
    `any_column` is for reads such as `count(*)` that need only some one column. `via` names the views through which
    the object was reached, outermost first: an allow that names one of them covers this effect, for allow only.

    `housekeeping` effects need no rule unless the target is `housekeeping: strict`. `guard` names a guardrail that
    this effect trips: denied unless the target is unguarded. `door` names a door that is shut unless an allow or ask
    rule names this object without a wildcard.
    """

    verb: str
    object: str
    kind: str = "table"
    columns: tuple[str, ...] | None = None
    any_column: bool = False
    via: tuple[str, ...] = ()
    oid: int = 0
    filtered: bool = False
    bounded: bool = False
    bounded_keys: int | None = None
    housekeeping: bool = False
    guard: str = ""
    door: str = ""
    position: int = 0  # 1-based character in the text, 0 when unknown


class Origin(msgspec.Struct, frozen=True):
    """One column of one base relation. `relation` is the catalog's full name; `oid` and `number` are its own ids."""

    relation: str
    column: str
    oid: int = 0
    number: int = 0


class Output(msgspec.Struct, frozen=True, kw_only=True):
    """What reading predicts of one output column.

    Exactly one of three: `how` is "bare" (the value of `origins`, unchanged, each alternative a column: UNION ALL
    gives several), "safe" (through functions that cannot fail and give one value a row) or "computed" (anything else;
    `origins` may be empty). `witness` is what the target must say of it: the (oid, number) it must report, or None
    for "must report nothing". `kind` is boolean, count or other. `calls` are functions that are not known, whose
    output is redacted on a masked target unless a rule says `output: clear`.
    """

    name: str
    how: str
    origins: tuple[Origin, ...] = ()
    witness: tuple[int, int] | None = None
    kind: str = "other"
    calls: tuple[str, ...] = ()


class Use(msgspec.Struct, frozen=True):
    """A column used where its value could be inferred (WHERE, ORDER BY, an aggregate, a write's input)."""

    origin: Origin
    place: str
    position: int = 0


class Relation(msgspec.Struct, frozen=True):
    """A base relation that the statement touches, with all its columns: policy matches masks against these.

    `aliases` are other names under which masks that name it must hold: partition parents, inheritance parents, the
    tables under a materialised view's columns are given per column in `column_origins`. `definition` is what a view was
    made of, as the target tells it: an approval binds to it.
    """

    name: str
    oid: int = 0
    columns: tuple[str, ...] = ()
    parents: tuple[str, ...] = ()
    column_origins: dict[str, tuple[Origin, ...]] = {}
    definition: str = ""


class Literal(msgspec.Struct, frozen=True):
    """A constant of the text (byte offsets of its UTF-8) and the columns it is compared with or written to.

    `password` is True for a constant that is a credential whatever it stands beside. The journal keeps a keyed digest
    of those that belong to a masked column, and of passwords.
    """

    start: int
    end: int
    origins: tuple[Origin, ...] = ()
    password: bool = False


def quote_part(part: str) -> str:
    """Return one part of an object's name, double-quoted when it holds a dot, a quote or is empty."""
    if part and "." not in part and '"' not in part:
        return part
    return '"' + part.replace('"', '""') + '"'


def full_name(*parts: str) -> str:
    """Join the parts of an object's name as policies write it: `public.orders`, `public."odd.name"`."""
    return ".".join(quote_part(part) for part in parts)
