"""COPY TO STDOUT under masks: it has no RowDescription, so columns come from the catalog or the inner query."""

from __future__ import annotations

from checkrein.core.steps import Steps
from checkrein.core.verdict import Refusal
from checkrein.protocols.postgres.acts import Act
from checkrein.protocols.postgres.answering import Answers
from checkrein.protocols.postgres.catalog import CatalogSnapshot
from checkrein.protocols.postgres.exchange import Result
from checkrein.protocols.postgres.messages import RowColumn
from checkrein.protocols.postgres.state import State


def copied_columns(catalog: CatalogSnapshot | None, act: Act) -> tuple[RowColumn, ...] | None:
    """Return the columns of COPY table TO, in order; None when the catalog does not know them."""
    if catalog is None or act.copy_relation is None:
        return None
    relation = catalog.relations.get(act.copy_relation)
    if relation is None:
        return None
    known = {column.name: column for column in relation.columns}
    names = act.copy_columns or tuple(known)
    if any(name not in known for name in names):
        return None
    form = 1 if act.copy_format == "binary" else 0
    columns = [known[name] for name in names]
    return tuple(RowColumn(one.name, relation.oid, one.number, one.type_oid, -1, one.typmod, form) for one in columns)


def plan_copy(state: State, answers: Answers, result: Result) -> Steps[Refusal | None]:
    """Fix the mask plan of a copy of a table; a Refusal when that cannot be done."""
    act = result.act
    columns = copied_columns(state.catalog, act)
    if columns is None:
        reason = "COPY owes masks and its columns are not known; send COPY (query) as a simple Query outside a block"
        return Refusal(code="mask_failed", reason=reason)
    result.described = True
    return (yield from answers.plan(result, columns))
