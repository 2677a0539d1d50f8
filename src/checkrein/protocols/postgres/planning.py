"""What an answer owes: its description held against the prediction, and the mask plan that follows from it."""

from __future__ import annotations

from typing import Any, Final

from checkrein.core.errors import MaskError, ProtocolError
from checkrein.core.steps import Describe, Steps
from checkrein.core.verdict import Refusal
from checkrein.protocols.postgres.answers import RowMasker, column_infos, parse_row_description
from checkrein.protocols.postgres.copy_formats import CopyMasker
from checkrein.protocols.postgres.exchange import Entry, Result
from checkrein.protocols.postgres.planned import Plans
from checkrein.protocols.postgres.startup import encoding_of
from checkrein.protocols.postgres.state import TARGET, State
from checkrein.protocols.postgres.telling import Telling
from checkrein.protocols.postgres.witness import disagreement

DESCRIBED_CACHE: Final = 256
"""Row descriptions remembered by their bytes, so that a repeated statement parses its description once."""
DESCRIBED_BYTES: Final = 8 * 1024
"""Longer ones are read each time: of the largest, the cache would hold gigabytes."""


class Planning(Telling):
    """The part of a session's answers that descriptions and plans are."""

    def __init__(self, state: State) -> None:
        super().__init__(state)
        self._described: dict[bytes, tuple[Any, ...]] = {}
        self._plans = Plans()

    def _types(self) -> dict[int, Any]:
        catalog = self.state.catalog
        return catalog.types if catalog is not None else {}

    def _columns(self, kind: int, data: bytes) -> tuple[Any, ...] | None:
        """Read a RowDescription; None for NoData."""
        if kind == 0x6E:
            if len(data) != 5:
                raise ProtocolError("a malformed NoData", TARGET)
            return None
        known = self._described.get(data)
        if known is None:
            known = parse_row_description(data[5:])
            if len(data) > DESCRIBED_BYTES:
                return known
            if len(self._described) >= DESCRIBED_CACHE:
                self._described.clear()
            self._described[data] = known
        return known

    def describe_result(self, result: Result, columns: tuple[Any, ...] | None) -> Steps[None] | None:
        """Hold a description against the prediction and fix the mask plan; return the steps that are left to do."""
        decision = result.decision
        result.described = True
        if columns:
            result.row_columns = columns
            result.columns = tuple([column.name for column in columns])
        if not decision.owed or self._planned_before(result, columns):
            return None
        return self._plan_or_fail(result, columns)

    def _plan_or_fail(self, result: Result, columns: tuple[Any, ...] | None) -> Steps[None]:
        refusal = yield from self.plan(result, columns)
        if refusal is not None:
            self.fail(result, refusal)

    def _planned_before(self, result: Result, columns: tuple[Any, ...] | None) -> bool:
        """Give a result the plan of the same description, prediction and duties, if there is one at hand."""
        plain = columns is not None and result.act.kind != "copy_out" and result.decision.statement.outputs is not None
        return plain and self._plans.before(result, columns, self._types(), self._encoding())

    def plan(self, result: Result, columns: tuple[Any, ...] | None) -> Steps[Refusal | None]:
        """Ask for the plan of a described result; a Refusal where the witness disagrees or a duty cannot be met."""
        act = result.act
        if self._planned_before(result, columns):
            return None
        silent = columns is None and not act.returns_rows
        wrong = "" if act.copy_relation or silent else disagreement(columns, result.decision.statement)
        if wrong:
            reason = f"the target describes the answer otherwise than it was read: {wrong}"
            return Refusal(code="witness", reason=reason)
        if columns is None:
            return None
        if act.copy_encoding and encoding_of(act.copy_encoding) != self._encoding():
            return Refusal(code="mask_failed", reason="COPY with an ENCODING other than the session's cannot be masked")
        types = self._types()
        found = yield Describe(result.decision, column_infos(columns, result.decision.statement, types))
        if isinstance(found, Refusal):
            return found
        if found is not None:
            result.plan = found
            try:
                if act.kind == "copy_out":
                    form, options = act.copy_format, act.copy_options
                    result.masker = CopyMasker(found, columns, types, form, options, self._encoding())
                else:
                    result.masker = RowMasker(found, columns, types, self._encoding())
            except MaskError as error:
                return Refusal(code="mask_failed", reason=f"the answer cannot be masked: {error}")
        if act.kind != "copy_out" and result.decision.statement.outputs is not None:
            self._plans.remember(result, columns, types, self._encoding())
        return None

    def execute_begins(self, head: Entry) -> Steps[None] | None:
        """The first answer to an Execute: its portal's description is known by now if anyone asked for it.

        Returns the steps that are left to do.
        """
        result = head.results[0]
        if head.code == "hold" and self.state.held is None:
            self.state.held = []
            self.state.held_rows = 0
        portal = head.portal
        if result.described or portal is None:
            return None
        columns = portal.columns
        if columns is None:
            columns = portal.prepared.columns
            if columns is None:
                return None
            result.columns = tuple([column.name for column in columns])
            result.described = not result.decision.owed
            return None
        return self.describe_result(result, columns or None)
