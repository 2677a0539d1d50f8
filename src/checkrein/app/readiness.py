"""Whether statements can be served, and what should be known."""

from __future__ import annotations

from checkrein.adapters.verifier import Verifier
from checkrein.app.policies import PolicySet
from checkrein.app.targets import Targets
from checkrein.recording.journals import Journals


class Ready:
    """Implements control.api.ports.Readiness."""

    def __init__(self, policies: PolicySet, verifier: Verifier, journals: Journals, targets: Targets) -> None:
        self._policies = policies
        self._verifier = verifier
        self._journals = journals
        self._targets = targets

    async def problems(self) -> list[str]:
        """Return what stops or hampers serving."""
        found = [f"issuer {name}: {why}" for name, why in self._verifier.problems().items()]
        if not self._journals.healthy():
            found.append("the recording cannot be written; statements are refused")
        return found + await self._targets.problems()

    def warnings(self) -> list[str]:
        """Return what should be known: a policy set that was refused, what policies warn of."""
        found = [f"the newest policies were refused: {self._policies.problem}"] if self._policies.problem else []
        return found + [str(warning) for warning in self._policies.warnings]
