"""Who may enter: from a verified principal to an open journal, or to a refusal that is on record."""

from __future__ import annotations

from typing import Any

from checkrein.core.errors import Unavailable
from checkrein.core.facts import SessionFacts
from checkrein.core.identity import Claim, LoginRefused, Principal
from checkrein.core.session import SessionContext
from checkrein.core.spec import ProtocolSpec
from checkrein.core.target import Profile, Target
from checkrein.gate.ports import Gateway, SessionJournal


class Admitted:
    """What an admitted session has: where it goes, its journal, and when it must end (None: no limit)."""

    __slots__ = ("deadline", "facts", "journal", "profile", "target")

    def __init__(
        self, target: Target, profile: Profile, journal: SessionJournal, facts: SessionFacts, deadline: float | None
    ) -> None:
        self.target = target
        self.profile = profile
        self.journal = journal
        self.facts = facts
        self.deadline = deadline


class Admission:
    """The door of one session."""

    def __init__(self, gateway: Gateway, spec: ProtocolSpec, context: SessionContext) -> None:
        self._gateway = gateway
        self._spec = spec
        self._context = context

    def admit(self, principal: Principal, claim: Claim, now: float) -> Admitted | LoginRefused:
        """Check target, profile and policy, then open the journal. The token is verified before: see the gate."""
        target = self._gateway.targets.get(claim.target)
        if target is None or target.protocol != self._spec.name:
            return LoginRefused(f"there is no target {claim.target!r} for this protocol", "target")
        profile = target.profiles.get(claim.profile)
        if profile is None:
            return LoginRefused(f"target {claim.target!r} has no credential profile {claim.profile!r}", "profile")
        reason = self._gateway.policies.current().may_enter(principal, target, claim.profile)
        if reason:
            return LoginRefused(reason, "policy")
        context = self._context
        facts = SessionFacts(context.id, target.name, profile.name, context.client, claim.application, now)
        try:
            journal = self._gateway.journals.open(context.id, self._fields(principal, claim, target))
        except Unavailable as away:
            return LoginRefused(f"the recording cannot be written: {away}", "unavailable")
        return Admitted(target, profile, journal, facts, self._deadline(principal, target, now))

    def _deadline(self, principal: Principal, target: Target, now: float) -> float | None:
        limits = [principal.expires_at + self._gateway.grace] if principal.expires_at is not None else []
        limits += [now + target.max_session] if target.max_session is not None else []
        return min(limits, default=None)

    def _fields(self, principal: Principal, claim: Claim, target: Target) -> dict[str, Any]:
        return {
            "session": self._context.id,
            "principal": principal.subject,
            "issuer": principal.issuer,
            "groups": principal.groups,
            "roles": principal.roles,
            "actors": principal.actors,
            "claims": principal.claims,
            "token_digest": principal.token_digest,
            "target": target.name,
            "protocol": target.protocol,
            "labels": target.labels,
            "unguarded": target.unguarded,
            "housekeeping": target.housekeeping,
            "profile": claim.profile,
            "client": claim.client,
            "application": claim.application,
            "version": self._context.version,
            "snapshot": self._gateway.policies.current().id,
        }

    def refused(self, claim: Claim, refused: LoginRefused, principal: Principal | None) -> None:
        """Put a refused login on record."""
        self._gateway.journals.login_refused(
            {
                "session": self._context.id,
                "principal": principal.name if principal else "",
                "target": claim.target,
                "profile": claim.profile,
                "client": claim.client,
                "check": refused.check,
                "reason": refused.reason,
            }
        )
