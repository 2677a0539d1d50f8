"""What the gate does with one statement. Compiled when the wheel is built: every message of an exchange looks at it."""

from __future__ import annotations

from checkrein.core.statement import Statement
from checkrein.core.verdict import ASK, Refusal, Verdict


class Decision:
    """What the gate does with one statement. Only `gate/` makes these; bytes to a target need one.

    `refusal` is None when it may be forwarded. `preparing` is True for a statement that was judged to be prepared only
    (it must be decided again when it runs). `pending` is True when it would be asked as it runs. `id` is unique in a
    session and joins the journal's `decided` and `answered` events. `waited` is True when a person was waited for:
    the session then reads the statement again and decides it once more with `again`, so that what was approved is what
    runs. `maker` is the gate's private token: a Decision made elsewhere is no warrant. `obligations` are the duties of
    the verdict; `owed` whether any mask may be owed to an answer.
    """

    __slots__ = (
        "approval", "id", "maker", "obligations", "owed", "pending", "preparing", "refusal", "statement", "verdict",
        "waited",
    )  # fmt: skip

    def __init__(
        self,
        id: int,
        statement: Statement,
        verdict: Verdict,
        refusal: Refusal | None = None,
        preparing: bool = False,
        maker: object = None,
        owed: bool | None = None,
    ) -> None:
        self.id = id
        self.statement = statement
        self.verdict = verdict
        self.refusal = refusal
        self.preparing = preparing
        self.pending = preparing and verdict.outcome == ASK
        self.approval = ""
        self.waited = False
        self.maker = maker
        self.obligations = verdict.obligations
        self.owed: bool = verdict.obligations.owed if owed is None else owed
