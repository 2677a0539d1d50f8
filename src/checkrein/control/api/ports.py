"""What the API is given by the composition root."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Protocol

from checkrein.core.identity import LoginRefused, Principal, Secret


class Identities(Protocol):
    """Verifies tokens of people and agents."""

    async def identify(self, token: Secret) -> Principal | LoginRefused:
        """Verify a token."""


class SessionsPort(Protocol):
    """Recorded and open sessions. Shapes are those of the configuration page."""

    async def ls(self, filters: dict[str, str]) -> list[dict[str, Any]]:
        """List sessions, newest first. Raises ValueError naming a filter that is wrong."""

    async def show(self, id: str) -> dict[str, Any] | None:
        """Return one session with its events, None when there is none."""

    def tail(self, id: str) -> AsyncIterator[bytes] | None:
        """Follow one session's events as JSON lines, None when there is none."""

    async def export(self, ids: list[str]) -> bytes | None:
        """Return an evidence bundle (zip), None when one of the sessions does not exist."""

    async def verify(self, id: str) -> dict[str, Any] | None:
        """Verify one session's recording, None when there is none."""

    def kill(self, id: str, reason: str) -> bool:
        """End an open session. Return whether it was open."""


class ApprovalsPort(Protocol):
    """Questions to people."""

    async def ls(self, state: str) -> list[dict[str, Any]]:
        """List approvals of a state (empty: all), newest first."""

    async def show(self, id: str) -> dict[str, Any] | None:
        """Return one."""

    async def answer(self, id: str, person: Principal, approve: bool, note: str) -> dict[str, Any]:
        """Answer one. Raises PermissionError or LookupError or ValueError with a sentence."""


class TargetsPort(Protocol):
    """Configured targets."""

    def ls(self) -> list[dict[str, Any]]:
        """List targets: name, protocol, address, labels, profiles, mode."""

    async def test(self, name: str) -> list[dict[str, Any]] | None:
        """Try every profile's login and side link; one row a profile. None when there is no such target."""

    def reach(self, name: str, profile: str) -> dict[str, Any] | None:
        """Say how a client reaches a target: protocol, host, port, dsn, ca. None when there is no such target."""

    async def starter(self, name: str) -> str | None:
        """Return a starter policy from the live schema. Raises ValueError when it cannot be read."""


class Readiness(Protocol):
    """Whether the gateway can serve."""

    async def problems(self) -> list[str]:
        """Return what stops or hampers it, empty when ready."""

    def warnings(self) -> list[str]:
        """Return what should be known: what only observes, names that concede."""


class Reloads(Protocol):
    """Reads policies and configuration again."""

    def reload(self) -> dict[str, Any]:
        """Return {policies, snapshot, problems, restart_needed}. Blocks while it reads and compiles."""


class Control:
    """Everything the API serves."""

    def __init__(
        self,
        identities: Identities,
        sessions: SessionsPort,
        approvals: ApprovalsPort,
        targets: TargetsPort,
        readiness: Readiness,
        local_approver: bool,
        reloading: Reloads,
    ) -> None:
        self.identities = identities
        self.sessions = sessions
        self.approvals = approvals
        self.targets = targets
        self.readiness = readiness
        self.local_approver = local_approver
        self.reloading = reloading
