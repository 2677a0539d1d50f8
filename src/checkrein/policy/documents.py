"""Strict YAML documents with positions: every problem at once, with file, line and column.

Used for policies, policy tests and the gateway's own configuration: one loader, one kind of error.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Final, Generic, TypeVar

import msgspec
from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError, WithJsonSchema
from pydantic_core import ErrorDetails

from checkrein.core.errors import ConfigurationError, Problem
from checkrein.core.limits import DOCUMENT_BYTES
from checkrein.policy.suggest import fields_at, suggestion
from checkrein.policy.yamltree import Path, Tree, read_trees

API_VERSION: Final = "checkrein/v1"

M = TypeVar("M", bound=BaseModel)


class StrictModel(BaseModel):
    """Base of every document's model: unknown keys are errors, nothing is converted, nothing changes afterwards."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        frozen=True,
        populate_by_name=True,
        hide_input_in_errors=True,
        use_attribute_docstrings=True,
    )


class Document(Generic[M]):
    """One validated document: its `kind`, its `value`, and where each of its parts stands."""

    __slots__ = ("_tree", "file", "kind", "value")

    def __init__(self, kind: str, value: M, file: str, tree: Tree) -> None:
        self.kind = kind
        self.value = value
        self.file = file
        self._tree = tree

    def where(self, path: Path) -> tuple[int, int]:
        """Return line and column (1-based) of the value at `path`, or of the nearest part around it that exists."""
        return self._tree.where(path)

    def problem(self, path: Path, message: str, severity: str = "error") -> Problem:
        """Return a Problem that points at `path`."""
        line, column = self.where(path)
        return Problem(self.file, line, column, message, severity)


def load_documents(text: str, file: str, kinds: Mapping[str, type[M]]) -> list[Document[M]]:
    """Read every document of a YAML text; `kinds` maps each `kind` that may stand there to its model.

    Raises ConfigurationError with all problems: YAML syntax, duplicate and unknown keys, wrong types, wrong apiVersion
    or kind, texts above DOCUMENT_BYTES, documents that grow by aliases. A model that declares `apiVersion` and `kind`
    is given them.
    """
    if len(text.encode("utf-8", "surrogatepass")) > DOCUMENT_BYTES:
        raise ConfigurationError((Problem(file, 0, 0, f"larger than {DOCUMENT_BYTES} bytes"),))
    trees, problems = read_trees(text, file)
    documents: list[Document[M]] = []
    for tree in trees:
        document = _document(tree, file, kinds, problems)
        if document is not None:
            documents.append(document)
    if problems:
        raise ConfigurationError(tuple(sorted(problems, key=lambda p: (p.line, p.column))))
    return documents


def _document(tree: Tree, file: str, kinds: Mapping[str, type[M]], problems: list[Problem]) -> Document[M] | None:
    """Validate one document; what is wrong with it is added to `problems`."""
    data = tree.value
    if not isinstance(data, dict):
        problems.append(tree.problem((), "a document is a mapping with apiVersion and kind"))
        return None
    kind = _kind(tree, data, kinds, problems)
    if kind is None:
        return None
    model = kinds[kind]
    given = {k: v for k, v in data.items() if k not in ("apiVersion", "kind") or k in model.model_fields}
    try:
        value = model.model_validate_json(msgspec.json.encode(given))
    except ValidationError as error:
        details = error.errors(include_url=False, include_input=False, include_context=False)
        problems.extend(_validation_problem(tree, model, detail) for detail in details)
        return None
    return Document(kind, value, file, tree)


def _kind(tree: Tree, data: dict[str, Any], kinds: Mapping[str, type[M]], problems: list[Problem]) -> str | None:
    """Check apiVersion and kind; return the kind, or None after adding a problem."""
    version, kind = data.get("apiVersion"), data.get("kind")
    good = True
    if version != API_VERSION:
        at: Path = ("apiVersion",) if "apiVersion" in data else ()
        problems.append(tree.problem(at, f"apiVersion must be {API_VERSION}"))
        good = False
    if not isinstance(kind, str) or kind not in kinds:
        at = ("kind",) if "kind" in data else ()
        words = " or ".join(sorted(kinds))
        hint = suggestion(kind, kinds) if isinstance(kind, str) else ""
        problems.append(tree.problem(at, f"kind must be {words}{hint}"))
        good = False
    return kind if good and isinstance(kind, str) else None


def _validation_problem(tree: Tree, model: type[BaseModel], detail: ErrorDetails) -> Problem:
    """Turn one error of pydantic into a Problem; the value itself is never shown, it may be a secret."""
    path = tuple(detail["loc"])
    if detail["type"] == "extra_forbidden":
        key = str(path[-1])
        known = fields_at(model, path[:-1])
        line, column = tree.where_key(path)
        return Problem(tree.file, line, column, f"unknown key {key}{suggestion(key, known)}")
    message = detail["msg"].removeprefix("Value error, ")
    if detail["type"] == "missing":
        message = f"{path[-1]} is missing"
    else:
        message = f"{_dotted(path)}: {message[:1].lower()}{message[1:]}" if path else message
    return tree.problem(path, message)


def _dotted(path: Path) -> str:
    """Return the last named part of a path for a message: `rules[2].allow`."""
    out = ""
    for part in path:
        out += f"[{part}]" if isinstance(part, int) else f".{part}"
    return out.lstrip(".")


_DURATION = re.compile(r"([0-9]{1,9})(ms|s|m|h|d)\Z")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_SPELT_DURATION = "^[0-9]+(ms|s|m|h|d)$"
_SIZE = re.compile(r"([0-9]{1,12})(B|KB|MB|GB|TB|KiB|MiB|GiB)\Z")
_BYTES = {"B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}


def parse_duration(value: object) -> float:
    """Return seconds of a duration such as `50s`, `30m`, `8h`, `400d`. Raises ValueError."""
    match = _DURATION.match(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError("a duration is a number with a unit: 500ms, 50s, 30m, 8h, 400d")
    return int(match[1]) * _SECONDS[match[2]]


def spelt_defaults(schema: Any) -> None:
    """Write the durations that a JSON Schema gives as defaults as documents spell them: `900s`, not 900.0."""
    if isinstance(schema, dict):
        if schema.get("pattern") == _SPELT_DURATION and isinstance(schema.get("default"), int | float):
            schema["default"] = f"{schema['default']:g}s"
        for part in schema.values():
            spelt_defaults(part)
    elif isinstance(schema, list):
        for part in schema:
            spelt_defaults(part)


def parse_size(value: object) -> int:
    """Return bytes of a size such as `100MB` (10^6) or `64MiB` (2^20). Raises ValueError."""
    match = _SIZE.match(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError("a size is a number with a unit: 512KB, 100MB, 2GB, 64MiB")
    return int(match[1]) * _BYTES[match[2]]


Duration = Annotated[
    float, BeforeValidator(parse_duration), WithJsonSchema({"type": "string", "pattern": _SPELT_DURATION})
]
"""A model field in seconds, written `50s`, `30m`, `8h` or `400d`."""

Size = Annotated[
    int,
    BeforeValidator(parse_size),
    WithJsonSchema({"type": "string", "pattern": "^[0-9]+(B|KB|MB|GB|TB|KiB|MiB|GiB)$"}),
]
"""A model field in bytes, written `100MB` or `64MiB`."""
