"""Mask plans at hand: the same description under the same duties is planned once a session, not once a statement."""

from __future__ import annotations

from typing import Any, Final

from checkrein.core.maskplan import MaskPlan
from checkrein.core.statement import Output
from checkrein.core.verdict import Obligations

PLANS_KEPT: Final = 128
"""Plans of one session; a driver repeats few statements."""
PLANNED_COLUMNS: Final = 256
"""Wider answers are planned each time: their plans are large, and their rows cost more than a plan."""


class Planned:
    """One plan with its masker. `busy` while a result counts in it; keyed objects are held, so ids stay true."""

    __slots__ = ("busy", "columns", "masker", "obligations", "outputs", "plan", "types")

    def __init__(
        self, columns: tuple[Any, ...], outputs: tuple[Output, ...], obligations: Obligations, types: Any
    ) -> None:
        self.columns = columns
        self.outputs = outputs
        self.obligations = obligations
        self.types = types
        self.plan: MaskPlan | None = None
        self.masker: Any = None
        self.busy = True

    def take(self) -> bool:
        """Begin to count anew; False while another result does."""
        if self.busy:
            return False
        self.busy = True
        if self.plan is not None:
            self.plan.counts.clear()
        return True


class Plans:
    """The plans of one session, by the identity of what they follow from."""

    def __init__(self) -> None:
        self._kept: dict[tuple[int, int, int, int, str], Planned] = {}

    def before(self, result: Any, columns: Any, types: Any, encoding: str) -> bool:
        """Give a result the plan of the same description, prediction, duties and client encoding, where no other
        result counts in it."""
        decision = result.decision
        outputs, obligations = decision.statement.outputs, decision.obligations
        known = self._kept.get((id(columns), id(outputs), id(obligations), id(types), encoding))
        if known is None or not known.take():
            return False
        result.plan, result.masker, result.planned = known.plan, known.masker, known
        return True

    def remember(self, result: Any, columns: Any, types: Any, encoding: str) -> None:
        """Keep the plan that was made for a result."""
        if len(columns) > PLANNED_COLUMNS:
            return
        if len(self._kept) >= PLANS_KEPT:
            self._kept.clear()
        outputs, obligations = result.decision.statement.outputs, result.decision.obligations
        made = Planned(columns, outputs, obligations, types)
        made.plan, made.masker = result.plan, result.masker
        self._kept[id(columns), id(outputs), id(obligations), id(types), encoding] = made
        result.planned = made
