"""CEL and RE2: the two small languages that a policy may use, compiled at load, evaluated in bounded time.

CEL's variables are declared one by one with dotted names, so that a misspelt field is an error of the document and not
of the night it first matters. Only BOOL true counts; error values of CEL are truthy objects and are told apart by type.
"""

from __future__ import annotations

import datetime
import re
from typing import Any, Final

import re2
from cel_expr_python import cel

from checkrein.core.facts import FactRecord
from checkrein.core.identity import Principal
from checkrein.core.target import Target

_STRINGS = cel.Type.List(cel.Type.STRING)
_STRING_MAP = cel.Type.Map(cel.Type.STRING, cel.Type.STRING)

PRINCIPAL_VARIABLES: Final[dict[str, Any]] = {
    "principal.subject": cel.Type.STRING,
    "principal.issuer": cel.Type.STRING,
    "principal.name": cel.Type.STRING,
    "principal.groups": _STRINGS,
    "principal.roles": _STRINGS,
    "principal.claims": cel.Type.Map(cel.Type.STRING, cel.Type.DYN),
    "actors": cel.Type.List(_STRING_MAP),
    "target.name": cel.Type.STRING,
    "target.protocol": cel.Type.STRING,
    "target.database": cel.Type.STRING,
    "target.labels": _STRING_MAP,
    "target.profile": cel.Type.STRING,
}
STATEMENT_VARIABLES: Final[dict[str, Any]] = {
    "statement.text": cel.Type.STRING,
    "statement.protocol": cel.Type.STRING,
    "statement.verbs": _STRINGS,
    "statement.touches": _STRINGS,
    "statement.filtered": cel.Type.BOOL,
    "statement.bounded": cel.Type.BOOL,
    "statement.bounded_keys": cel.Type.INT,
    "statement.complete": cel.Type.BOOL,
    "statement.writes": cel.Type.BOOL,
    "statement.parameters": cel.Type.List(cel.Type.DYN),
    "session.id": cel.Type.STRING,
    "session.application": cel.Type.STRING,
    "session.opened_at": cel.Type.TIMESTAMP,
    "client": cel.Type.STRING,
    "now": cel.Type.TIMESTAMP,
    "counters": cel.Type.Map(cel.Type.STRING, cel.Type.INT),
}
READS: Final[dict[str, str]] = {
    "now": "time",
    "counters": "counters",
    "statement.parameters": "parameters",
    "statement.text": "text",
    "session.id": "session",
    "session.application": "session",
    "session.opened_at": "session",
    "client": "session",
}
"""What a variable makes a verdict depend on beyond the meaning of the statement."""

_ALL: Final = {**PRINCIPAL_VARIABLES, **STATEMENT_VARIABLES}
_ENVIRONMENT = cel.NewEnv(variables=_ALL)
_SUBJECT_ENVIRONMENT = cel.NewEnv(variables=PRINCIPAL_VARIABLES)
_WITHOUT = {name: cel.NewEnv(variables={k: t for k, t in _ALL.items() if k != name}) for name in READS}

_ERROR = re.compile(r"ERROR: <input>:(\d+):(\d+): (.*)")


class ConditionError(ValueError):
    """An expression does not compile; `line` and `column` (1-based) say where in it."""

    def __init__(self, message: str, line: int = 1, column: int = 1) -> None:
        super().__init__(message)
        self.line = line
        self.column = column


class Condition:
    """One compiled CEL expression of type bool. `reads` names what it looks at beyond the statement's meaning."""

    __slots__ = ("_compiled", "reads", "text")

    def __init__(self, text: str, subject: bool = False) -> None:
        """Compile; with `subject` only principal, actors and target may be used. Raises ConditionError."""
        self.text = text
        self._compiled = _compile(_SUBJECT_ENVIRONMENT if subject else _ENVIRONMENT, text)
        if self._compiled.return_type() != cel.Type.BOOL:
            raise ConditionError(f"a condition is a bool, this is {self._compiled.return_type().name()}")
        self.reads: frozenset[str] = frozenset() if subject else _reads(text)

    def evaluate(self, data: dict[str, Any]) -> bool | None:
        """Return its value, or None when evaluating it was an error. Never raises."""
        try:
            value = self._compiled.eval(data=data)
            if value.type() != cel.Type.BOOL:
                return None
            return value.value() is True
        except Exception:  # noqa: BLE001 - whatever the library raises is an error of the rule, which has a meaning
            return None


def _compile(environment: Any, text: str) -> Any:
    try:
        return environment.compile(text)
    except RuntimeError as error:
        match = _ERROR.search(str(error))
        if match is None:
            raise ConditionError("not a CEL expression") from None
        raise ConditionError(_readable(match[3]), int(match[1]), int(match[2])) from None


def _readable(message: str) -> str:
    """Return CEL's message without the parts that say nothing to an author."""
    return message.replace(" (in container '')", "").split(", expecting {")[0].split(" expecting {")[0]


def _reads(text: str) -> frozenset[str]:
    """Find which variables an expression uses: those without which it does not compile."""
    found = set()
    for name, what in READS.items():
        try:
            _WITHOUT[name].compile(text)
        except RuntimeError:
            found.add(what)
    return frozenset(found)


def principal_data(principal: Principal, target: Target, profile: str) -> dict[str, Any]:
    """Return the values of the variables that are fixed for a session."""
    return {
        "principal.subject": principal.subject,
        "principal.issuer": principal.issuer,
        "principal.name": principal.name,
        "principal.groups": list(principal.groups),
        "principal.roles": list(principal.roles),
        "principal.claims": principal.claims,
        "actors": [{"subject": actor.subject, "issuer": actor.issuer} for actor in principal.actors],
        "target.name": target.name,
        "target.protocol": target.protocol,
        "target.database": target.database,
        "target.labels": target.labels,
        "target.profile": profile,
    }


def statement_data(facts: FactRecord, fixed: dict[str, Any]) -> dict[str, Any]:
    """Return the values of all variables; what is not known is left out, so that using it is an error."""
    statement, session = facts.statement, facts.session
    data = {
        **fixed,
        "statement.text": statement.text,
        "statement.protocol": statement.protocol,
        "statement.verbs": list(statement.verbs),
        "statement.touches": list(dict.fromkeys(e.object for e in statement.effects if not e.housekeeping)),
        "statement.filtered": statement.filtered,
        "statement.bounded": statement.bounded,
        "statement.complete": statement.complete,
        "statement.writes": statement.writes,
        "session.id": session.id,
        "session.application": session.application,
        "client": session.client,
        "counters": facts.counters,
    }
    if statement.bounded_keys is not None:
        data["statement.bounded_keys"] = statement.bounded_keys
    if statement.parameters is not None and statement.parameters_read:
        data["statement.parameters"] = list(statement.parameters)
    data["now"] = datetime.datetime.fromtimestamp(facts.now, datetime.UTC)
    data["session.opened_at"] = datetime.datetime.fromtimestamp(session.opened_at, datetime.UTC)
    return data


class Regex:
    """One RE2 expression: linear time, no backtracking."""

    __slots__ = ("_compiled", "text")

    def __init__(self, text: str) -> None:
        """Compile. Raises ConditionError."""
        options = re2.Options()
        options.log_errors = False
        self.text = text
        try:
            self._compiled = re2.compile(text, options)
        except re2.error as error:
            reason = error.args[0] if error.args else b""
            detail = reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)
            raise ConditionError(f"not an RE2 expression: {detail}") from None

    def whole(self, text: str) -> bool | None:
        """Whether all of `text` matches; None when that could not be told."""
        try:
            return self._compiled.fullmatch(text) is not None
        except (ValueError, re2.error):  # a text that is not Unicode (lone surrogates)
            return None

    def anywhere(self, text: str) -> bool | None:
        """Whether some part of `text` matches; None when that could not be told."""
        try:
            return self._compiled.search(text) is not None
        except (ValueError, re2.error):
            return None
