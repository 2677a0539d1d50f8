"""What the gate needs from the layers to its right and from its siblings; `app` wires them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import msgspec

from checkrein.core.facts import FactRecord
from checkrein.core.identity import Principal
from checkrein.core.maskplan import ColumnInfo, MaskPlan
from checkrein.core.target import Target
from checkrein.core.verdict import AskTerms, Obligations, Refusal, Verdict


class PolicySnapshot(Protocol):
    """An immutable compiled set of policies."""

    @property
    def id(self) -> str:
        """Digest of the set, as the journal names it."""

    def may_enter(self, principal: Principal, target: Target, profile: str) -> str:
        """Return an empty string, or the sentence that says why this principal may not log in there."""

    def decide(self, facts: FactRecord) -> Verdict:
        """Judge. Total and pure: never raises, whatever the facts."""

    def duties(self, principal: Principal, target: Target, profile: str) -> Obligations:
        """Return what holds for a whole session there: detectors, redact_unknown_calls, read_only, record."""


class Policies(Protocol):
    """The holder of the snapshot in force; swapped whole."""

    def current(self) -> PolicySnapshot:
        """Return the snapshot in force now."""


class Masker(Protocol):
    """Builds mask plans and masks free texts."""

    def plan(
        self, obligations: Obligations, principal: Principal, columns: tuple[ColumnInfo, ...]
    ) -> MaskPlan | Refusal | None:
        """Return the plan of a result set; None when nothing is owed; a Refusal when a duty cannot be met."""

    def scrub(
        self, obligations: Obligations, principal: Principal, texts: tuple[bytes, ...], counts: dict[str, int]
    ) -> tuple[bytes, ...]:
        """Return free texts with what the detectors find masked."""

    def digest(self, value: bytes) -> str:
        """Return the keyed digest under which a secret constant stands in the journal."""


class SessionJournal(Protocol):
    """One session's append-only file."""

    def append(self, kind: str, fields: dict[str, Any], encoded: bytes = b"") -> None:
        """Buffer one event; `fields` holds plain JSON values, `encoded` further members that are JSON already."""

    def flush(self) -> None:
        """Write what is buffered with one write. Raises Unavailable when it cannot: nothing may be forwarded then."""

    def close(self, reason: str, totals: dict[str, Any]) -> None:
        """Write the closing summary with its signature."""


class Journals(Protocol):
    """Makes journals, and keeps the chain of refused logins."""

    def open(self, session: str, fields: dict[str, Any]) -> SessionJournal:
        """Create a session's journal with its `opened` event. Raises Unavailable."""

    def healthy(self) -> bool:
        """Whether new statements may be taken: False after a write failed, until one succeeds again."""

    def login_refused(self, fields: dict[str, Any]) -> None:
        """Append to the chain of refused logins."""


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """An ask, as approvers see it and as it is bound.

    `binding` is the SHA-256 over canonical (text, parameters, resolved effects, target, profile, principal and chain,
    digests of the asking rules). `session` is set when the grant is tied to it. `shown` is what people see: statement,
    parameters, verbs, touches.
    """

    binding: str
    principal: Principal
    target: str
    protocol: str
    profile: str
    session: str
    statement: str
    parameters: tuple[str | None, ...] | None
    verbs: tuple[str, ...]
    touches: tuple[str, ...]
    terms: tuple[AskTerms, ...]


class Await(msgspec.Struct, frozen=True):
    """Wait for the answer to an open question, at most `hold` seconds. Answer: Settled."""

    id: str
    hold: float


class Settled(msgspec.Struct, frozen=True):
    """Where a question stands: approved, denied, expired, withdrawn, or pending (open; after Await: the hold is over).

    `at` is the moment it was looked at, epoch seconds; `url` where an approver sees it, if there is such a place.
    """

    id: str
    state: str
    at: float = 0.0
    answered_by: tuple[str, ...] = ()
    reason: str = ""
    url: str = ""


class Consume(msgspec.Struct, frozen=True):
    """Use up an approved grant, atomically. Answer: True once, False if it was used, expired or withdrawn meanwhile."""

    id: str
    session: str


class Desk(Protocol):
    """Where questions go. Asking and waiting are steps (Ask); only withdrawing must work from a closing generator."""

    def withdraw(self, id: str, reason: str) -> None:
        """The asker went away or its statement ended: withdraw the open question. Returns at once, never raises."""


class Catalogs(Protocol):
    """Answers of side links that are fresh enough to be used at once."""

    def cached(self, target: Target, profile: str) -> Any:
        """Return the answer to the protocol's own catalog question, or None when it must be asked for."""

    def gone(self, changer: object) -> None:
        """The session that told of changes by this token has ended. Returns at once, never raises."""


class Gateway(msgspec.Struct, frozen=True):
    """Everything the gate is given, the same for all sessions of a listener. `targets` is looked up at each login."""

    targets: Mapping[str, Target]
    policies: Policies
    masker: Masker
    journals: Journals
    desk: Desk
    catalogs: Catalogs
    grace: float = 0.0
