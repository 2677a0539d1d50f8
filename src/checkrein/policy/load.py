"""A directory of policy files, given as (name, text) pairs, to documents. No I/O."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from checkrein.core.errors import ConfigurationError, Problem
from checkrein.policy.cases import PolicyTestModel
from checkrein.policy.documents import Document, load_documents
from checkrein.policy.model import PolicyModel

SUFFIXES: Final = (".yaml", ".yml")
TEST_SUFFIXES: Final = (".test.yaml", ".test.yml")

POLICIES: Final[Mapping[str, type[PolicyModel]]] = {"Policy": PolicyModel}
TESTS: Final[Mapping[str, type[PolicyTestModel]]] = {"PolicyTest": PolicyTestModel}


class Loaded:
    """What a directory holds: policies, tests, and every problem found while reading."""

    __slots__ = ("policies", "problems", "tests")

    def __init__(self) -> None:
        self.policies: list[Document[PolicyModel]] = []
        self.tests: list[Document[PolicyTestModel]] = []
        self.problems: list[Problem] = []


def load_directory(files: Iterable[tuple[str, str]]) -> Loaded:
    """Read (name, text) pairs; names that do not end in .yaml or .yml are left out. Does not raise: see `problems`."""
    loaded = Loaded()
    for name, text in sorted(files):
        try:
            if name.endswith(TEST_SUFFIXES):
                loaded.tests.extend(load_documents(text, name, TESTS))
            elif name.endswith(SUFFIXES):
                loaded.policies.extend(load_documents(text, name, POLICIES))
        except ConfigurationError as error:
            loaded.problems.extend(error.problems)
    _unique_names(loaded)
    return loaded


def load_policies(files: Iterable[tuple[str, str]]) -> list[Document[PolicyModel]]:
    """Return the policies of a directory. Raises ConfigurationError with every problem; tests are read too."""
    loaded = load_directory(files)
    if loaded.problems:
        raise ConfigurationError(tuple(loaded.problems))
    return loaded.policies


def _unique_names(loaded: Loaded) -> None:
    seen: dict[str, Document[PolicyModel]] = {}
    for document in loaded.policies:
        name = document.value.metadata.name
        earlier = seen.setdefault(name, document)
        if earlier is not document:
            message = f"policy {name} is already in {earlier.file}:{earlier.where(('metadata', 'name'))[0]}"
            loaded.problems.append(document.problem(("metadata", "name"), message))
