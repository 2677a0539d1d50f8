"""The second witness (I13): what the target says of an answer's columns, held against what reading predicted."""

from __future__ import annotations

from checkrein.core.statement import Statement
from checkrein.protocols.postgres.messages import RowColumn


def disagreement(columns: tuple[RowColumn, ...] | None, statement: Statement) -> str:
    """Return where a RowDescription (None: NoData) and the prediction differ, empty when they agree.

    A column whose witness is (table, attribute) must be reported as that; one that must be computed must be reported as
    nothing. Statements whose rows cannot be predicted (`opaque_rows`) have no witness.
    """
    if statement.opaque_rows:
        return ""
    outputs = statement.outputs
    if outputs is None:
        return "" if columns is None else "it answers rows that were not expected"
    if columns is None:
        return "" if not outputs else "it answers no rows where rows were expected"
    if len(columns) != len(outputs):
        return f"it answers {len(columns)} columns where {len(outputs)} were expected"
    for index, (column, output) in enumerate(zip(columns, outputs, strict=True)):
        said = (column.table, column.number) if column.table else None
        if said != output.witness:
            return f"column {index + 1} comes from elsewhere than was read"
    return ""
