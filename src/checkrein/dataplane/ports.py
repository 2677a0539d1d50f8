"""What the relay needs done that is not bytes on a socket; `app` wires it."""

from __future__ import annotations

import ssl
from typing import Any, Protocol

from checkrein.core.errors import Unavailable
from checkrein.core.identity import Claim, LoginRefused, Principal, Secret
from checkrein.core.steps import Offload, Query
from checkrein.core.target import DialError, Profile, Target


class Services(Protocol):
    """The awaited side of the gate's steps. Every method answers with a value, errors included; none raises."""

    async def authenticate(self, claim: Claim, now: float) -> Principal | LoginRefused:
        """Verify a token."""

    async def ask(self, question: Any, session: str) -> Any:
        """Serve an Ask step: Question, Await or Consume of gate.ports."""

    async def query(self, target: Target, profile: Profile, step: Query) -> Any | Unavailable:
        """Ask the side link."""

    async def offload(self, step: Offload, who: str) -> Any | Unavailable:
        """Run a pure function in the killable worker for a principal."""

    async def persist(self, session: str) -> Unavailable | None:
        """Bring a session's journal to stable storage."""

    def password(self, target: Target, profile: Profile) -> Secret | DialError | None:
        """Resolve a profile's password reference; None when it has none."""

    def client_tls(self) -> ssl.SSLContext | None:
        """Return the listener's TLS context, None when it offers none."""

    def cancel(self, key: bytes) -> None:
        """Hand a cancel to the session that owns the key, if there is one here."""

    def broke(self, session: str, error: Exception) -> None:
        """Report an error that ended a session, to the operator's log."""
