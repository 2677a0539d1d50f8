"""What policy says of a statement: a verdict with its reason, its refusal or the duties of its allow."""

from __future__ import annotations

from typing import Any

import msgspec

ALLOW = "allow"
DENY = "deny"
ASK = "ask"


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """A denial that agents can use; rendered natively by every protocol.

    `code` is stable: denied, not_allowed, conceded, inference, guardrail, door, approval_required, approval_denied,
    approval_expired, approval_withdrawn, limit, unavailable, mask_failed, witness, protocol.
    `retry` is never, after_approval or after:SECONDS. `position` is the 1-based character of the offending piece.
    """

    code: str
    reason: str
    policy: str = ""
    rule: str = ""
    instead: str = ""
    retry: str = "never"
    approval: str = ""
    approval_url: str = ""
    position: int = 0

    def details(self) -> dict[str, Any]:
        """Return the machine-readable part, without what is empty."""
        return {key: value for key, value in msgspec.structs.asdict(self).items() if value not in ("", 0)}


class MaskDuty(msgspec.Struct, frozen=True, kw_only=True):
    """How one column, or one kind of detected value, must be masked.

    `strategy` is null, redact, partial, hash or token. `rule` names the policy that owes it.
    """

    strategy: str
    keep_first: int = 0
    keep_last: int = 0
    text: str = ""
    joinable: bool = False
    inference: str = DENY
    policy: str = ""


class DetectDuty(msgspec.Struct, frozen=True, kw_only=True):
    """One detector that reads every answer, with how what it finds is masked. `definition` is set for custom ones."""

    detector: str
    duty: MaskDuty
    transformed: str = ALLOW
    definition: CustomDetector | None = None


class CustomDetector(msgspec.Struct, frozen=True, kw_only=True):
    """A detector that a policy defines: `pattern` (RE2) or `words`, with optional checksum and context words."""

    name: str
    pattern: str = ""
    words: tuple[str, ...] = ()
    checksum: str = ""
    near: tuple[str, ...] = ()


class Obligations(msgspec.Struct, frozen=True, kw_only=True):
    """Duties attached to an allow that must be met or the allow is void.

    `columns` maps (relation, column) of the statement's relations to its duty. `detect` reads every answer and text.
    `clear_calls` are functions whose output a rule vouches for. `fixed_texts` is True when error and notice texts must
    become fixed sentences because the statement touches a relation with a masked column.
    """

    columns: dict[tuple[str, str], MaskDuty] = {}
    detect: tuple[DetectDuty, ...] = ()
    clear_calls: frozenset[str] = frozenset()
    redact_unknown_calls: bool = False
    fixed_texts: bool = False
    read_only: bool = False
    record: str = "full"
    rows_changed: int | None = None

    @property
    def owed(self) -> bool:
        """Whether any mask may be owed to an answer."""
        return bool(self.columns or self.detect or self.redact_unknown_calls)


class AskTerms(msgspec.Struct, frozen=True, kw_only=True):
    """One rule that asks: who may answer, how long the client is held, when it expires, what a yes gives."""

    policy: str
    rule: str
    approvers: tuple[str, ...]
    count: int = 1
    hold: float = 50.0
    expire: float = 3600.0
    uses: int = 1
    session_only: bool = False
    message: str = ""
    digest: str = ""  # of the rule as compiled: an approval binds to it


class Considered(msgspec.Struct, frozen=True):
    """One rule that was looked at for one effect; the trace is the explanation."""

    effect: int
    policy: str
    rule: str
    kind: str
    matched: bool
    why: str = ""


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What policy says of a statement, with the rule that won, its reason, and the duties of an allow.

    `obligations` is filled whatever the outcome: the journal masks a refused statement's constants by it too. `reads`
    names what the consulted rules looked at beyond the statement's meaning; a verdict is cached only when it is empty.
    """

    outcome: str
    policy: str = ""
    rule: str = ""
    reason: str = ""
    instead: str = ""
    code: str = ""
    position: int = 0
    asks: tuple[AskTerms, ...] = ()
    obligations: Obligations = Obligations()
    trace: tuple[Considered, ...] = ()
    observed: tuple[Considered, ...] = ()
    reads: frozenset[str] = frozenset()  # of time, counters, parameters, text: what forbids caching, or at Parse alone
    snapshot: str = ""

    def refusal(self) -> Refusal:
        """Return the denial to show, for a verdict of deny."""
        return Refusal(
            code=self.code or "denied",
            reason=self.reason,
            policy=self.policy,
            rule=self.rule,
            instead=self.instead,
            position=self.position,
        )
