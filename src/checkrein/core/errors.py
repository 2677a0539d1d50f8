"""The one error tree.

    CheckreinError
    ├── ProtocolError        a peer broke the protocol; `blame` says which side
    ├── LimitExceeded        a named limit was met
    ├── Conceded             a request could not be read completely
    ├── MaskError            a value that is owed a mask cannot be masked and re-framed
    ├── ConfigurationError   the operator's documents are wrong; carries `problems`
    └── Unavailable          something the gateway depends on is away

Errors say what is wrong, where, and what to do. They never carry a secret.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from checkrein.core.side import Side


class CheckreinError(Exception):
    """Base of every error that the gateway raises on purpose."""


class ProtocolError(CheckreinError):
    """A peer sent what its protocol does not allow at this point.

    `blame` is the side that did it; `hint` is a native error code to answer with, if the protocol has one.
    """

    def __init__(self, message: str, blame: Side, hint: str = "") -> None:
        super().__init__(message)
        self.blame = blame
        self.hint = hint


class LimitExceeded(CheckreinError):
    """A named limit of `core.limits` was met; `limit` is its name."""

    def __init__(self, message: str, limit: str) -> None:
        super().__init__(message)
        self.limit = limit


class Conceded(CheckreinError):
    """A request could not be read completely; the message says why.

    `code` is the target's own code for it where there is one, such as that of a table that does not exist; `position`
    is the 1-based character that it is about, 0 when there is none.
    """

    def __init__(self, why: str, code: str = "", position: int = 0) -> None:
        super().__init__(why)
        self.code = code
        self.position = position


class MaskError(CheckreinError):
    """A value that is owed a mask cannot be masked and re-framed (I5): the answer ends in a native error."""


class Unavailable(CheckreinError):
    """A dependency (target, identity provider, store) cannot be reached; the message says which."""


class Problem(msgspec.Struct, frozen=True):
    """One thing wrong in a document, with where it stands (1-based line and column; 0 when unknown)."""

    file: str
    line: int
    column: int
    message: str
    severity: str = "error"  # or "warning"

    def __str__(self) -> str:
        """Return `file:line:column: severity: message`, as compilers print it."""
        return f"{self.file}:{self.line}:{self.column}: {self.severity}: {self.message}"


class ConfigurationError(CheckreinError):
    """Documents were refused; `problems` lists everything that is wrong, not just the first."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems
