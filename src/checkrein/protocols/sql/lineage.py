"""Where a value comes from: what reading knows of an expression, and how that combines. No dialect, no protocol."""

from __future__ import annotations

from collections.abc import Iterable

from checkrein.core.statement import Origin, Output

BARE = "bare"
SAFE = "safe"
COMPUTED = "computed"

NO_ORIGINS: tuple[Origin, ...] = ()
NO_CALLS: tuple[str, ...] = ()


class Value:
    """What is known of one expression's value. Treated as immutable once made.

    `origins` are the base columns it derives from; `how` says how (see core.statement.Output). `witness` is the (oid,
    number) that the target will report for it, None for nothing. `type` is the type's object id, 0 when not known,
    `typmod` its modifier, -1 for none. `constant` marks literals and parameters, through casts; such a one has
    `parameter`, its 0-based index or -1, and `start` and `end`, its byte offsets or -1.
    """

    __slots__ = (
        "calls",
        "constant",
        "end",
        "how",
        "kind",
        "origins",
        "parameter",
        "start",
        "type",
        "typmod",
        "witness",
    )

    def __init__(
        self,
        how: str = COMPUTED,
        origins: tuple[Origin, ...] = NO_ORIGINS,
        witness: tuple[int, int] | None = None,
        kind: str = "other",
        calls: tuple[str, ...] = NO_CALLS,
        type: int = 0,
        typmod: int = -1,
        constant: bool = False,
    ) -> None:
        self.how = how
        self.origins = origins
        self.witness = witness
        self.kind = kind
        self.calls = calls
        self.type = type
        self.typmod = typmod
        self.constant = constant
        self.parameter = -1
        self.start = -1
        self.end = -1

    def unwitnessed(self) -> Value:
        """Return the same value as the target shows it once it no longer is a plain column."""
        if self.witness is None:
            return self
        return Value(self.how, self.origins, None, self.kind, self.calls, self.type, self.typmod)

    def typed(self, type: int) -> Value:
        """Return the same value as one of that type (0: not known); no constant any more."""
        if type == self.type:
            return self
        return Value(self.how, self.origins, self.witness, self.kind, self.calls, type, self.typmod)

    def derivation(self) -> tuple[object, ...]:
        """Return all that decides how the value is shown: a loop through a query ends when this stays as it is."""
        return self.how, self.origins, self.calls, self.kind, self.type

    def output(self, name: str) -> Output:
        """Return it as a result column of that name."""
        return Output(
            name=name, how=self.how, origins=self.origins, witness=self.witness, kind=self.kind, calls=self.calls
        )


NOTHING = Value()
BOOLEAN = Value(kind="boolean")


class Column:
    """One column that a FROM item offers. `owner` notes its use under its own name `real`, whatever alias it bears."""

    __slots__ = ("name", "owner", "real", "value")

    def __init__(self, name: str, value: Value, owner: Read | None = None, real: str = "") -> None:
        self.name = name
        self.value = value
        self.owner = owner
        self.real = real or name

    def used(self) -> Value:
        """Note the use and return the value."""
        if self.owner is not None:
            self.owner.columns.add(self.real)
        return self.value

    def named(self, name: str) -> Column:
        """Return the same column under another name."""
        return Column(name, self.value, self.owner, self.real)


class Read:
    """One relation as it stands in a query, with the columns that were used of it. Mutable: reading adds to it."""

    __slots__ = ("columns", "needed", "oid", "position", "whole")

    def __init__(self, oid: int, position: int, needed: bool = True) -> None:
        self.oid = oid
        self.position = position
        self.needed = needed  # an effect even when no column is used: it stands in FROM
        self.whole = False
        self.columns: set[str] = set()


def bare(value: Value) -> bool:
    """Return whether a value is one constant or parameter of the text."""
    return value.constant and (value.start >= 0 or value.parameter >= 0)


def merge_origins(values: Iterable[Value]) -> tuple[Origin, ...]:
    """Return the origins of several values, each once, in order."""
    found: dict[Origin, None] = {}
    for value in values:
        for origin in value.origins:
            found[origin] = None
    return tuple(found)


def merge_calls(values: Iterable[Value]) -> tuple[str, ...]:
    """Return the unknown functions behind several values, each once, in order."""
    found: dict[str, None] = {}
    for value in values:
        for call in value.calls:
            found[call] = None
    return tuple(found)


def compute(values: list[Value], kind: str = "other", type: int = 0) -> Value:
    """Return what comes of values by an expression that is not known to be safe."""
    if not values:
        return Value(kind=kind, type=type)
    return Value(COMPUTED, merge_origins(values), None, kind, merge_calls(values), type)


def safely(values: list[Value], type: int = 0) -> Value:
    """Return what comes of values by a function that cannot fail and gives one value a row."""
    how = SAFE
    for value in values:
        if value.origins and value.how == COMPUTED:
            how = COMPUTED
    origins = merge_origins(values)
    return Value(how if origins else COMPUTED, origins, None, "other", merge_calls(values), type)


def alternatives(values: list[Value]) -> Value:
    """Return one column of UNION ALL: whichever branch a row comes from, the strictest way it was made."""
    how = BARE
    kind = values[0].kind
    type = values[0].type
    some = False
    for value in values:
        if value.kind != kind:
            kind = "other"
        if value.type != type:
            type = 0
        if not value.origins and not value.calls:
            continue
        some = True
        if value.how == COMPUTED or (value.how == SAFE and how == BARE):
            how = value.how
    return Value(how if some else COMPUTED, merge_origins(values), None, kind, merge_calls(values), type)
