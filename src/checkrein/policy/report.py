"""Collects what is wrong with documents while they are compiled, with where it stands."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

from checkrein.core.errors import Problem
from checkrein.policy.conditions import Condition, ConditionError, Regex
from checkrein.policy.documents import Document
from checkrein.policy.model import PolicyModel
from checkrein.policy.yamltree import Path

T = TypeVar("T")


class Report:
    """Problems of one policy document. Mutable."""

    __slots__ = ("document", "problems")

    def __init__(self, document: Document[PolicyModel], problems: list[Problem]) -> None:
        self.document = document
        self.problems = problems

    def error(self, path: Path, message: str) -> None:
        """Add an error at a path below `spec`."""
        self.problems.append(self.document.problem(("spec", *path), message))

    def warn(self, path: Path, message: str) -> None:
        """Add a warning at a path below `spec`."""
        self.problems.append(self.document.problem(("spec", *path), message, "warning"))

    def not_built(self, path: Path, what: str) -> None:
        """Refuse by name what this version cannot do yet."""
        self.error(path, f"{what} is not built yet")

    def condition(self, path: Path, text: str | None, subject: bool = False) -> Condition | None:
        """Compile a CEL expression; a problem points into it where it stands on one line."""
        if text is None:
            return None
        try:
            return Condition(text, subject)
        except ConditionError as error:
            line, column = self.document.where(("spec", *path))
            inside = f"{error} (at {error.line}:{error.column} of the expression)"
            self.problems.append(Problem(self.document.file, line, column, f"when: {inside}"))
            return None

    def regex(self, path: Path, text: str | None) -> Regex | None:
        """Compile an RE2 expression."""
        return None if text is None else self.made(path, Regex, text)

    def made(self, path: Path, make: Callable[[str], T], text: str) -> T | None:
        """Compile one word; a ValueError becomes a problem."""
        try:
            return make(text)
        except ValueError as error:
            self.error(path, str(error))
            return None

    def all_made(self, path: Path, make: Callable[[str], T], texts: Iterable[str]) -> tuple[T, ...]:
        """Compile a list of words; those that fail are left out, with a problem each."""
        made = [self.made((*path, index), make, text) for index, text in enumerate(texts)]
        return tuple(one for one in made if one is not None)
