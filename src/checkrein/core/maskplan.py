"""Per-column functions fixed once per result set: what a protocol's answers are masked by.

`masking/` builds plans, `protocols/*/answers.py` applies them. A mask function takes one value's text form (UTF-8
bytes, as the protocol's text format shows it) and returns its masked text form, or None for NULL.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import msgspec

from checkrein.core.statement import Origin

MaskFunction = Callable[[bytes], bytes | None]


class ColumnInfo(msgspec.Struct, frozen=True, kw_only=True):
    """One column of a result set, as the target described it and as reading predicted it.

    `kind` is the neutral kind of its type: text, json, integer, numeric, boolean, bytes, array, composite, uuid,
    timestamp, other. `origins` and `how` come from the statement's Output; `relation_names` carry its labels.
    """

    name: str
    kind: str = "text"
    how: str = "computed"
    output: str = "other"  # boolean | count | other
    origins: tuple[Origin, ...] = ()
    calls: tuple[str, ...] = ()


class ColumnPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What one column owes. `mask` is applied to every value but NULL; `scan` hands the column to the scanner."""

    mask: MaskFunction | None = None
    scan: bool = False
    strategy: str = ""
    label: str = ""  # what the journal counts it under: the column's full name


class Scanner(Protocol):
    """Detectors compiled together for one duty set; stateless, shared between sessions of one principal."""

    def hit(self, chunk: bytes) -> bool:
        """Say whether anything may be found in whole values joined by line feeds (stage one: never a false no)."""

    def places(self, chunk: bytes) -> list[int] | None:
        """Return where in whole values joined by line feeds something may be found, ascending; None: anywhere.

        A place is the offset behind the last byte of what may be something: a value at `start` that is followed by its
        line feed at `stop` need not be read unless a place is above `start` and at most `stop`.
        """

    def takes_integers(self, column: str, digits: int) -> bool:
        """Say whether a whole number of at most so many digits may be found in a column of this name."""

    def rewrite(self, value: bytes, column: str, kind: str, counts: dict[str, int]) -> bytes | None:
        """Return one value (UTF-8 text form, of neutral kind `kind`) with what was found masked.

        Counts findings by detector in `counts`. `column` gives context to detectors with `near`. Returns the same
        object when nothing was found, and None when the value must become NULL. JSON is read at any depth, on decoded
        strings.
        """


class MaskPlan:
    """The duties of one result set. `counts` is mutable: masked cells by column label and by detector.

    A plan that owes nothing is not made: Describe answers None and bytes pass raw.
    """

    __slots__ = ("columns", "counts", "scanner")

    def __init__(self, columns: tuple[ColumnPlan | None, ...], scanner: Scanner | None) -> None:
        self.columns = columns
        self.scanner = scanner
        self.counts: dict[str, int] = {}
