"""What a policy test document may contain, as pydantic models: who asks, where, what, and what must be said of it."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from checkrein.policy.documents import StrictModel
from checkrein.policy.model import Sentence


class AsModel(StrictModel):
    """The principal of a policy test."""

    subject: str
    """Subject of its token."""
    issuer: str = "test"
    """Name of the issuer."""
    groups: tuple[str, ...] = ()
    """Its groups."""
    claims: dict[str, Any] = {}
    """Other claims of its token."""
    actors: tuple[str, ...] = ()
    """Its `act` chain."""


class TestTarget(StrictModel):
    """A target as a policy test describes it."""

    __test__ = False

    name: str
    """Its name."""
    protocol: str | None = None
    """Its protocol."""
    labels: dict[str, str] = {}
    """Its labels."""
    unguarded: bool = False
    """Whether guardrails are dropped there."""
    housekeeping: Literal["normal", "strict"] = "normal"
    """Which catalog reading needs no rule there."""


class Expectation(StrictModel):
    """What a case expects; what is left out is not compared."""

    verdict: Literal["allow", "deny", "ask"]
    """What must be decided."""
    rule: str | None = None
    """The rule that decides."""
    policy: str | None = None
    """Its policy."""
    code: str | None = None
    """The refusal's code."""
    reason: str | None = None
    """Its reason."""
    instead: str | None = None
    """What it says to do instead."""
    masks: dict[str, str] | None = None
    """Output columns and the strategies owed to them."""


class CaseModel(StrictModel):
    """One input and what must be said of it."""

    name: Sentence
    """What the case shows."""
    input: str
    """The statement."""
    expect: Expectation
    """What must be said of it."""
    parameters: tuple[str | None, ...] | None = None
    """Its parameters, as texts."""
    as_: AsModel | None = Field(default=None, alias="as")
    """Who sends it; the test's when left out."""
    profile: str | None = None
    """The credential profile; the test's when left out."""


class PolicyTestModel(StrictModel):
    """A `kind: PolicyTest` document."""

    apiVersion: Literal["checkrein/v1"]
    """The format's version."""
    kind: Literal["PolicyTest"]
    """The kind of document."""
    as_: AsModel = Field(alias="as")
    """Who sends the statements."""
    target: str | TestTarget
    """Where to: a target of the configuration by name, or one described here."""
    profile: str = "default"
    """The credential profile."""
    schema_: dict[str, tuple[str, ...]] = Field(default={}, alias="schema")
    """Tables and their columns; the statements are read against them."""
    cases: tuple[CaseModel, ...]
    """The cases."""
