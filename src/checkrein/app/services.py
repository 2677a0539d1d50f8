"""The awaited side of the gate's steps, wired to adapters. Every failure becomes a value here."""

from __future__ import annotations

import ssl
from traceback import extract_tb
from typing import Any

import structlog

from checkrein.adapters.secrets import resolve
from checkrein.adapters.sidelinks import SideLinks
from checkrein.adapters.verifier import Verifier
from checkrein.adapters.worker import Worker
from checkrein.app.metrics import REFUSED_LOGINS, SESSION_ERRORS
from checkrein.control.approvals import Approvals
from checkrein.core.errors import CheckreinError, Unavailable
from checkrein.core.identity import Claim, LoginRefused, Principal, Secret
from checkrein.core.limits import SESSION_GRACE_SECONDS
from checkrein.core.steps import Offload, Query
from checkrein.core.target import DialError, Profile, Target
from checkrein.dataplane.listener import Sessions
from checkrein.gate.ports import Settled
from checkrein.identity.claims import expired
from checkrein.recording.journal import Journal
from checkrein.recording.journals import Journals
from checkrein.recording.sync import SyncGroup

_log = structlog.get_logger("checkrein.sessions")


def password_of(target: Target, profile: Profile) -> Secret | DialError | None:
    """Resolve a profile's password, anew at each dial so that a rotated one is picked up."""
    if not profile.password:
        return None
    try:
        return resolve(profile.password)
    except Unavailable as error:
        return DialError(f"the credential of target {target.name} is away: {error}")


def over(principal: Principal, now: float) -> bool:
    """Say whether a session of this principal's token would have ended already."""
    return principal.expires_at is not None and now >= principal.expires_at + SESSION_GRACE_SECONDS


class Services:
    """Implements dataplane.ports.Services."""

    def __init__(
        self,
        verifier: Verifier,
        approvals: Approvals,
        links: SideLinks,
        worker: Worker,
        sync: SyncGroup,
        journals: Journals,
        sessions: Sessions,
        tls: ssl.SSLContext | None,
    ) -> None:
        self._verifier = verifier
        self._approvals = approvals
        self._links = links
        self._worker = worker
        self._sync = sync
        self._journals = journals
        self._sessions = sessions
        self._tls = tls

    async def authenticate(self, claim: Claim, now: float) -> Principal | LoginRefused:
        """Verify a token, for a session that would not end as it begins.

        The clock skew that a verifier allows would let one in whose session is over at once.
        """
        found = await self._verifier.verify(claim, now)
        if isinstance(found, Principal) and over(found, now):
            found = expired(found.expires_at or now)
        if isinstance(found, LoginRefused):
            REFUSED_LOGINS.labels(found.check).inc()
        return found

    async def ask(self, question: Any, session: str) -> Any:
        """Serve an Ask step; whatever breaks is no yes."""
        try:
            return await self._approvals.ask(question, session)
        except Exception as error:  # noqa: BLE001 - a store that broke must end in a refusal, not in a crash
            _log.error("approvals broke", session=session, error=repr(error))
            return Settled("", "unavailable", 0.0, reason="the approval store is away")

    async def query(self, target: Target, profile: Profile, step: Query) -> Any | Unavailable:
        """Ask the side link."""
        return await self._links.query(target, profile, step)

    async def offload(self, step: Offload, who: str) -> Any | Unavailable:
        """Run in the killable worker."""
        return await self._worker.offload(step, who)

    async def persist(self, session: str) -> Unavailable | None:
        """Bring a session's journal to stable storage, grouped with others."""
        journal: Journal | None = self._journals.find(session)
        if journal is None:
            return Unavailable("the session has no journal")
        try:
            await self._sync.sync(journal)
        except Unavailable as error:
            return error
        return None

    def password(self, target: Target, profile: Profile) -> Secret | DialError | None:
        """Resolve a profile's password reference."""
        return password_of(target, profile)

    def client_tls(self) -> ssl.SSLContext | None:
        """Return the listener's TLS context."""
        return self._tls

    def cancel(self, key: bytes) -> None:
        """Hand a cancel on."""
        self._sessions.cancel(key)

    def broke(self, session: str, error: Exception) -> None:
        """Log what ended a session. Of an unexpected error only its class and places: its text may hold a value."""
        SESSION_ERRORS.labels(type(error).__name__).inc()
        if isinstance(error, CheckreinError):
            _log.warning("session ended by an error", session=session, error=str(error))
        else:
            places = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in extract_tb(error.__traceback__)]
            _log.error("session broke", session=session, error=type(error).__name__, at=places)
