"""What a policy document may contain, as pydantic models: shapes and cross-field rules, no meaning.

Words that depend on a protocol (`touches`, `functions`, `keys` ...) are kept as extra keys of a Selector; compiling
holds them against the protocols' vocabularies.
"""

from __future__ import annotations

from typing import Annotated, Literal

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
    """Name, unique in the set; denials and recordings show it."""
    description: Sentence = ""
    """What the policy is for."""


class Subjects(StrictModel):
    """Who a policy speaks of; keys are AND-ed, lists OR-ed; without any key: every principal."""

    groups: Words | None = None
    """Groups: ISSUER:GROUP, or the plain name where the issuer may assert it."""
    subjects: Words | None = None
    """Subjects of tokens; with a colon ISSUER:SUBJECT."""
    issuers: Words | None = None
    """Issuers, by their configured names."""
    claims: dict[str, ClaimValue | Annotated[tuple[ClaimValue, ...], Field(min_length=1)]] | None = None
    """Claims of the token and the values, any of which they must have."""
    actors: Words | None = None
    """Subjects of the `act` chain; with a colon ISSUER:SUBJECT."""
    when: Expression | None = None
    """CEL expression that must be true."""


class Targets(StrictModel):
    """Which targets and credential profiles a policy speaks of; keys are AND-ed, lists OR-ed."""

    names: Words | None = None
    """Names of targets."""
    labels: dict[str, str | Words] | None = None
    """Labels of targets and the values, any of which they must have."""
    protocols: Words | None = None
    """Protocols of targets."""
    profiles: Words = ("default",)
    """Credential profiles that the policy speaks of."""


class Selector(StrictModel):
    """What a rule matches; keys are AND-ed, lists OR-ed. Extra keys are the protocols' object words."""

    model_config = ConfigDict(
        extra="allow", strict=True, frozen=True, hide_input_in_errors=True, use_attribute_docstrings=True
    )
    __pydantic_extra__: dict[str, Words] = Field(init=False)

    verbs: Words | None = None
    """What is done, in the protocol's words: select, insert, drop ..."""
    columns: Words | None = None
    """Columns that are used, SCHEMA.TABLE.COLUMN; `*` stops at a dot."""
    when: Expression | None = None
    """CEL expression that must be true."""
    matches: Expression | None = None
    """Regular expression (RE2) over the statement's whole text, anchored at both ends."""
    patterns: Words | None = None
    """Regular expressions (RE2) anywhere in the text, any of which; for deny and ask."""
    incomplete: bool = False
    """Whether it matches statements that could not be read completely, too."""
    output: Literal["clear"] | None = None
    """`clear`: the output of the allowed functions is vouched for, and not redacted on a masked target."""

    @property
    def objects(self) -> dict[str, tuple[str, ...]]:
        """The object words that this selector uses: `{"touches": ("public.orders",)}`."""
        return dict(self.__pydantic_extra__ or {})


class Approvers(StrictModel):
    """Who may answer."""

    groups: Words
    """Groups of people, any of whom may answer."""
    count: Annotated[int, Field(ge=1, le=20)] = 1
    """How many must say yes."""


class Wait(StrictModel):
    """How long a client is held, and how long the question stays open."""

    hold: Duration = HOLD_SECONDS
    """How long the client's statement is held."""
    expire: Duration = EXPIRE_SECONDS
    """How long the question stays open, at least as long as `hold`."""

    @model_validator(mode="after")
    def _ordered(self) -> Wait:
        if self.hold > self.expire or self.expire <= 0:
            raise ValueError("expire must be longer than hold")
        return self


class Grant(StrictModel):
    """What a yes gives."""

    uses: Annotated[int, Field(ge=1)] = 1
    """How many statements a yes lets run."""
    for_: Duration | None = Field(default=None, alias="for")
    """How long it holds."""
    shape: bool = False
    """Whether it holds for statements of the same shape."""
    session: bool = False
    """Whether it holds for the whole session."""


class RuleModel(StrictModel):
    """One rule: exactly one of allow, deny, ask."""

    name: Name
    """Name, unique in the policy; denials and recordings show it."""
    allow: Selector | None = None
    """What it allows."""
    deny: Selector | None = None
    """What it denies: deny beats ask beats allow."""
    ask: Selector | None = None
    """What a person is asked for first."""
    message: Sentence = ""
    """Why, in words for the agent."""
    instead: Sentence = ""
    """What the agent may do instead."""
    approvers: Approvers | None = None
    """Who may answer; for ask rules."""
    wait: Wait | None = None
    """How long is waited for an answer; for ask rules."""
    grant: Grant | None = None
    """What a yes gives; for ask rules."""

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
    """Columns that are masked wherever their values go, SCHEMA.TABLE.COLUMN; instead of `detect`."""
    detect: Words | None = None
    """Detectors that read every answer, whose findings are masked; instead of `columns`."""
    strategy: Strategy = Field(alias="with")
    """What stands in place of the value."""
    keep_first: Count = 0
    """Characters that `partial` leaves in front."""
    keep_last: Count = 0
    """Characters that `partial` leaves at the end."""
    text: Annotated[str, Field(max_length=200)] = ""
    """What `redact` writes."""
    joinable: bool = False
    """Whether equal values get equal hashes or tokens for every principal."""
    inference: Literal["deny", "ask", "allow"] | None = None
    """What is said to a use from which the column's values could be inferred."""
    transformed: Literal["deny", "allow"] | None = None
    """Whether functions may be called over columns, which could hide a value from detectors."""
    approvers: Approvers | None = None
    """Who may answer; with `inference: ask`."""
    wait: Wait | None = None
    """How long is waited for an answer; with `inference: ask`."""

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
    """What masks call it."""
    pattern: Expression | None = None
    """Regular expression (RE2); instead of `words`."""
    words: Words | None = None
    """Words to find; instead of `pattern`."""
    checksum: Word | None = None
    """A checksum that a finding must pass: luhn, mod11 or mod97."""
    near: Words | None = None
    """Words, of which one must stand near a finding."""

    @model_validator(mode="after")
    def _something(self) -> DetectorModel:
        if (self.pattern is None) == (self.words is None):
            raise ValueError("a detector has exactly one of pattern and words")
        return self


class Limits(StrictModel):
    """Limits by rows, bytes and statements."""

    rows_per_statement: Count | None = None
    """Not built yet: given, it is refused by name."""
    rows_per_hour: int | None = None
    """Not built yet: given, it is refused by name."""
    bytes_per_hour: Size | None = None
    """Not built yet: given, it is refused by name."""
    masked_per_session: int | None = None
    """Not built yet: given, it is refused by name."""
    statements_per_minute: int | None = None
    """Not built yet: given, it is refused by name."""
    rows_changed: int | None = None
    """Not built yet: given, it is refused by name."""


class SessionModel(StrictModel):
    """Duties of a whole session."""

    read_only: bool = False
    """Whether every verb that is not reading is refused."""
    record: Literal["full", "statements", "summary"] = "full"
    """How much of a session is recorded."""
    max: Duration | None = None
    """Not built yet: given, it is refused by name."""


class PolicySpec(StrictModel):
    """Body of a policy."""

    mode: Literal["enforce", "observe"] = "enforce"
    """`observe`: it adds nothing to the verdict; what it would have matched is recorded."""
    subjects: Subjects = Subjects()
    """Who it speaks of."""
    targets: Targets = Targets()
    """Which targets it speaks of."""
    rules: Annotated[tuple[RuleModel, ...], Field(max_length=1000)] = ()
    """What is allowed, denied and asked for."""
    masks: Annotated[tuple[MaskModel, ...], Field(max_length=1000)] = ()
    """What is masked."""
    detectors: Annotated[tuple[DetectorModel, ...], Field(max_length=100)] = ()
    """Detectors of the deployment's own."""
    limits: Limits | None = None
    """Not built yet: given, it is refused by name."""
    session: SessionModel | None = None
    """Duties of the whole session."""


class PolicyModel(StrictModel):
    """A `kind: Policy` document."""

    apiVersion: Literal["checkrein/v1"]
    """The format's version."""
    kind: Literal["Policy"]
    """The kind of document."""
    metadata: Metadata
    """Name and description."""
    spec: PolicySpec
    """The policy itself."""
