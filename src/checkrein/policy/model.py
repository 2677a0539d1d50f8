"""What a policy document may contain, as pydantic models: shapes and cross-field rules, no meaning.

Words that depend on a protocol (`touches`, `functions`, `keys` ...) are kept as extra keys of a Selector; compiling
holds them against the protocols' vocabularies.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, model_validator

from checkrein.core.limits import EXPIRE_SECONDS, HOLD_SECONDS
from checkrein.policy.documents import Duration, Size, StrictModel

Name = Annotated[str, Field(pattern=r"^[a-z0-9A-Z]([a-zA-Z0-9._-]{0,61}[a-zA-Z0-9])?$")]
Word = Annotated[str, Field(min_length=1, max_length=512)]
Words = Annotated[tuple[Word, ...], Field(min_length=1, max_length=1000)]
Sentence = Annotated[str, Field(max_length=1000)]
Expression = Annotated[str, Field(min_length=1, max_length=4096)]
ClaimValue = str | int | bool
Count = Annotated[int, Field(ge=0, le=1000)]
Strategy = Literal["null", "redact", "partial", "hash", "token"]


class Metadata(StrictModel):
    """Name (unique in the set) and description of a policy."""

    name: Name
    description: Sentence = ""


class Subjects(StrictModel):
    """Who a policy speaks of; keys are AND-ed, lists OR-ed; without any key: every principal."""

    groups: Words | None = None
    subjects: Words | None = None
    issuers: Words | None = None
    claims: dict[str, ClaimValue | Annotated[tuple[ClaimValue, ...], Field(min_length=1)]] | None = None
    actors: Words | None = None
    when: Expression | None = None


class Targets(StrictModel):
    """Which targets and credential profiles a policy speaks of; keys are AND-ed, lists OR-ed."""

    names: Words | None = None
    labels: dict[str, str | Words] | None = None
    protocols: Words | None = None
    profiles: Words = ("default",)


class Selector(StrictModel):
    """What a rule matches; keys are AND-ed, lists OR-ed. Extra keys are the protocols' object words."""

    model_config = ConfigDict(extra="allow", strict=True, frozen=True, hide_input_in_errors=True)
    __pydantic_extra__: dict[str, Words] = Field(init=False)

    verbs: Words | None = None
    columns: Words | None = None
    when: Expression | None = None
    matches: Expression | None = None
    patterns: Words | None = None
    incomplete: bool = False
    output: Literal["clear"] | None = None

    @property
    def objects(self) -> dict[str, tuple[str, ...]]:
        """The object words that this selector uses: `{"touches": ("public.orders",)}`."""
        return dict(self.__pydantic_extra__ or {})


class Approvers(StrictModel):
    """Who may answer."""

    groups: Words
    count: Annotated[int, Field(ge=1, le=20)] = 1


class Wait(StrictModel):
    """How long a client is held, and how long the question stays open."""

    hold: Duration = HOLD_SECONDS
    expire: Duration = EXPIRE_SECONDS

    @model_validator(mode="after")
    def _ordered(self) -> Wait:
        if self.hold > self.expire or self.expire <= 0:
            raise ValueError("expire must be longer than hold")
        return self


class Grant(StrictModel):
    """What a yes gives."""

    uses: Annotated[int, Field(ge=1)] = 1
    for_: Duration | None = Field(default=None, alias="for")
    shape: bool = False
    session: bool = False


class RuleModel(StrictModel):
    """One rule: exactly one of allow, deny, ask."""

    name: Name
    allow: Selector | None = None
    deny: Selector | None = None
    ask: Selector | None = None
    message: Sentence = ""
    instead: Sentence = ""
    approvers: Approvers | None = None
    wait: Wait | None = None
    grant: Grant | None = None

    @model_validator(mode="after")
    def _one_kind(self) -> RuleModel:
        kinds = [kind for kind in ("allow", "deny", "ask") if getattr(self, kind) is not None]
        if len(kinds) != 1:
            raise ValueError("a rule has exactly one of allow, deny and ask")
        if kinds == ["ask"] and self.approvers is None:
            raise ValueError("an ask rule names its approvers: {groups: [...]}")
        if kinds != ["ask"] and (self.approvers or self.wait or self.grant):
            raise ValueError("approvers, wait and grant belong to ask rules")
        return self

    @property
    def kind(self) -> str:
        """allow, deny or ask."""
        return "allow" if self.allow is not None else "deny" if self.deny is not None else "ask"

    @property
    def selector(self) -> Selector:
        """The one selector that is set."""
        return self.allow or self.deny or self.ask or Selector()


class MaskModel(StrictModel):
    """A mask on columns, or on what detectors find."""

    columns: Words | None = None
    detect: Words | None = None
    strategy: Strategy = Field(alias="with")
    keep_first: Count = 0
    keep_last: Count = 0
    text: Annotated[str, Field(max_length=200)] = ""
    joinable: bool = False
    inference: Literal["deny", "ask", "allow"] | None = None
    transformed: Literal["deny", "allow"] | None = None
    approvers: Approvers | None = None
    wait: Wait | None = None

    @model_validator(mode="after")
    def _fits(self) -> MaskModel:
        for wrong, message in self._misfits():
            if wrong:
                raise ValueError(message)
        return self

    def _misfits(self) -> tuple[tuple[bool, str], ...]:
        keeps = self.keep_first + self.keep_last
        asks = self.inference == "ask"
        return (
            ((self.columns is None) == (self.detect is None), "a mask has exactly one of columns and detect"),
            (self.strategy == "partial" and keeps == 0, "partial needs keep_first or keep_last"),
            (self.strategy != "partial" and keeps > 0, "keep_first and keep_last belong to partial"),
            (self.text != "" and self.strategy != "redact", "text belongs to redact"),
            (self.joinable and self.strategy not in ("hash", "token"), "joinable belongs to hash and token"),
            (self.inference is not None and self.columns is None, "inference belongs to masks on columns"),
            (self.transformed is not None and self.detect is None, "transformed belongs to masks on detectors"),
            (asks and self.approvers is None, "inference: ask names its approvers: {groups: [...]}"),
            (not asks and (self.approvers or self.wait) is not None, "approvers and wait belong to inference: ask"),
        )


class DetectorModel(StrictModel):
    """A detector of the deployment's own."""

    name: Name
    pattern: Expression | None = None
    words: Words | None = None
    checksum: Word | None = None
    near: Words | None = None

    @model_validator(mode="after")
    def _something(self) -> DetectorModel:
        if (self.pattern is None) == (self.words is None):
            raise ValueError("a detector has exactly one of pattern and words")
        return self


class Limits(StrictModel):
    """Limits by rows, bytes and statements."""

    rows_per_statement: Count | None = None
    rows_per_hour: int | None = None
    bytes_per_hour: Size | None = None
    masked_per_session: int | None = None
    statements_per_minute: int | None = None
    rows_changed: int | None = None


class SessionModel(StrictModel):
    """Duties of a whole session."""

    read_only: bool = False
    record: Literal["full", "statements", "summary"] = "full"
    max: Duration | None = None


class PolicySpec(StrictModel):
    """Body of a policy."""

    mode: Literal["enforce", "observe"] = "enforce"
    subjects: Subjects = Subjects()
    targets: Targets = Targets()
    rules: Annotated[tuple[RuleModel, ...], Field(max_length=1000)] = ()
    masks: Annotated[tuple[MaskModel, ...], Field(max_length=1000)] = ()
    detectors: Annotated[tuple[DetectorModel, ...], Field(max_length=100)] = ()
    limits: Limits | None = None
    session: SessionModel | None = None


class PolicyModel(StrictModel):
    """A `kind: Policy` document."""

    apiVersion: Literal["checkrein/v1"]
    kind: Literal["Policy"]
    metadata: Metadata
    spec: PolicySpec


class AsModel(StrictModel):
    """The principal of a policy test."""

    subject: str
    issuer: str = "test"
    groups: tuple[str, ...] = ()
    claims: dict[str, Any] = {}
    actors: tuple[str, ...] = ()


class TestTarget(StrictModel):
    """A target as a policy test describes it."""

    __test__ = False

    name: str
    protocol: str | None = None
    labels: dict[str, str] = {}
    unguarded: bool = False
    housekeeping: Literal["normal", "strict"] = "normal"


class Expectation(StrictModel):
    """What a case expects; what is left out is not compared."""

    verdict: Literal["allow", "deny", "ask"]
    rule: str | None = None
    policy: str | None = None
    code: str | None = None
    reason: str | None = None
    instead: str | None = None
    masks: dict[str, str] | None = None


class CaseModel(StrictModel):
    """One input and what must be said of it."""

    name: Sentence
    input: str
    expect: Expectation
    parameters: tuple[str | None, ...] | None = None
    as_: AsModel | None = Field(default=None, alias="as")
    profile: str | None = None


class PolicyTestModel(StrictModel):
    """A `kind: PolicyTest` document."""

    apiVersion: Literal["checkrein/v1"]
    kind: Literal["PolicyTest"]
    as_: AsModel = Field(alias="as")
    target: str | TestTarget
    profile: str = "default"
    schema_: dict[str, tuple[str, ...]] = Field(default={}, alias="schema")
    cases: tuple[CaseModel, ...]
