"""What an answer owes: masks by column through parents and lineage, detectors, and what counts as inference."""

from __future__ import annotations

from collections.abc import Iterator

from checkrein.core.statement import Origin, Output, Statement
from checkrein.core.verdict import MaskDuty, Obligations
from checkrein.policy.view import Owed, View


class Duties:
    """The duties of one statement under one view."""

    __slots__ = ("_columns", "_statement", "_view")

    def __init__(self, view: View, statement: Statement) -> None:
        self._view = view
        self._statement = statement
        self._columns: dict[tuple[str, str], Owed] = {}
        if view.column_masks:
            for relation in statement.relations:
                for column, owed in view.owed(relation).items():
                    self._columns[(relation.name, column)] = owed

    def of(self, origin: Origin) -> Owed | None:
        """Return what one column owes, None when it is not masked."""
        found = self._columns.get((origin.relation, origin.column))
        if found is not None:
            return found
        if not self._view.column_masks:
            return None
        found = self._view.owed_by_name(origin)
        if found is not None:
            self._columns[(origin.relation, origin.column)] = found
        return found

    def inferred(self) -> Iterator[tuple[str, str, int, Owed]]:
        """Yield (column, place, position, what it owes) for each use from which a masked value could be inferred."""
        if not self._view.column_masks:
            return
        for use in self._statement.uses:
            owed = self.of(use.origin)
            if owed is not None:
                yield f"{use.origin.relation}.{use.origin.column}", use.place, use.position, owed
        for output in self._statement.outputs or ():
            if output.how != "computed":
                self._bare(output)
                continue
            for origin in output.origins:
                owed = self.of(origin)
                if owed is not None:
                    yield f"{origin.relation}.{origin.column}", f"the expression {output.name}", 0, owed

    def _bare(self, output: Output) -> None:
        """Look the origins up, so that those of relations that were not listed are among the duties."""
        for origin in output.origins:
            self.of(origin)

    def transformed(self) -> str:
        """Return the name of an output that rewrites a column by functions where a detector forbids it, else ''."""
        if not self._view.transformed_denied:
            return ""
        for output in self._statement.outputs or ():
            if output.how != "bare" and output.origins and output.kind == "other":
                return output.name
        return ""

    def obligations(self, clear_calls: frozenset[str]) -> Obligations:
        """Return the duties as core's value; the view's own when this statement adds nothing."""
        base = self._view.session_duties
        conceded = not self._statement.complete and bool(self._view.column_masks)
        if not self._columns and not clear_calls and not conceded and not self._calls_unknown(clear_calls):
            return base
        columns: dict[tuple[str, str], MaskDuty] = {key: owed.duty for key, owed in self._columns.items()}
        return Obligations(
            columns=columns,
            detect=base.detect,
            clear_calls=clear_calls,
            redact_unknown_calls=base.redact_unknown_calls,
            fixed_texts=bool(columns) or conceded or self._calls_unknown(clear_calls),
            read_only=base.read_only,
            record=base.record,
        )

    def _calls_unknown(self, clear_calls: frozenset[str]) -> bool:
        """Whether masks hold and a function is called that nobody vouches for: it may read, and say, anything."""
        if not self._view.column_masks:
            return False
        return any(effect.verb == "call" and effect.object not in clear_calls for effect in self._statement.effects)
