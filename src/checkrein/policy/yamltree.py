"""YAML text to plain values with the position of every key and value, bounded against hostile documents.

Nodes are taken from ruamel's composer and built here: so aliases are counted as often as they are used (a "billion
laughs" meets DOCUMENT_NODES), no tag can name a Python type, and every duplicate key is seen.
"""

from __future__ import annotations

import io
import math
from typing import Any, Final

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from checkrein.core.errors import Problem
from checkrein.core.limits import DOCUMENT_DEPTH, DOCUMENT_NODES

Path = tuple[int | str, ...]

_TAG: Final = "tag:yaml.org,2002:"
_TRUE: Final = frozenset({"true", "True", "TRUE"})
_FALSE: Final = frozenset({"false", "False", "FALSE"})


class TooLarge(Exception):
    """A document grew above DOCUMENT_NODES or DOCUMENT_DEPTH."""


class Tree:
    """One document: its plain `value`, and line and column of each value and key by path."""

    __slots__ = ("_keys", "_values", "file", "nodes", "value")

    def __init__(self, file: str) -> None:
        self.file = file
        self.value: Any = None
        self.nodes = 0
        self._values: dict[Path, tuple[int, int]] = {}
        self._keys: dict[Path, tuple[int, int]] = {}

    def where(self, path: Path) -> tuple[int, int]:
        """Return line and column (1-based) of the value at `path`, or of its nearest known ancestor."""
        while path and path not in self._values:
            path = path[:-1]
        return self._values.get(path, (0, 0))

    def where_key(self, path: Path) -> tuple[int, int]:
        """Return line and column of the key that ends `path`, or of the value around it."""
        return self._keys.get(path) or self.where(path)

    def problem(self, path: Path, message: str) -> Problem:
        """Return a Problem at the value of `path`."""
        line, column = self.where(path)
        return Problem(self.file, line, column, message)

    def note(self, path: Path, node: Node) -> None:
        """Remember where a value stands. Raises TooLarge."""
        self.nodes += 1
        if self.nodes > DOCUMENT_NODES or len(path) > DOCUMENT_DEPTH:
            raise TooLarge
        self._values[path] = _position(node)

    def note_key(self, path: Path, node: Node) -> None:
        """Remember where a key stands."""
        self._keys[path] = _position(node)


def read_trees(text: str, file: str) -> tuple[list[Tree], list[Problem]]:
    """Read every document of a YAML 1.2 text; empty ones are left out. Never raises for what the text holds."""
    problems: list[Problem] = []
    trees: list[Tree] = []
    yaml = YAML(typ="safe", pure=True)
    try:
        for node in yaml.compose_all(io.StringIO(text)):
            tree = Tree(file)
            tree.value = _build(node, (), tree, problems) if node is not None else None
            if tree.value is not None:
                trees.append(tree)
    except TooLarge:
        problems.append(
            Problem(file, 0, 0, f"deeper than {DOCUMENT_DEPTH} levels or more than {DOCUMENT_NODES} values")
        )
    except RecursionError:
        problems.append(Problem(file, 0, 0, f"deeper than {DOCUMENT_DEPTH} levels"))
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark is not None else (0, 0)
        problems.append(Problem(file, line, column, f"not YAML: {error.problem or error.context}"))
    except (YAMLError, ValueError) as error:
        problems.append(Problem(file, 0, 0, f"not YAML: {str(error).splitlines()[0] if str(error) else 'unreadable'}"))
    return trees, problems


def _position(node: Node) -> tuple[int, int]:
    return node.start_mark.line + 1, node.start_mark.column + 1


def _build(node: Node, path: Path, tree: Tree, problems: list[Problem]) -> Any:
    """Return the plain value of a node."""
    tree.note(path, node)
    if isinstance(node, MappingNode):
        return _mapping(node, path, tree, problems)
    if isinstance(node, SequenceNode):
        _plain_tag(node, "seq", tree, problems)
        return [_build(item, (*path, index), tree, problems) for index, item in enumerate(node.value)]
    return _scalar(node, tree, problems)


def _mapping(node: MappingNode, path: Path, tree: Tree, problems: list[Problem]) -> dict[str, Any]:
    _plain_tag(node, "map", tree, problems)
    out: dict[str, Any] = {}
    for key_node, value_node in node.value:
        line, column = _position(key_node)
        if not isinstance(key_node, ScalarNode) or str(key_node.tag) != _TAG + "str":
            problems.append(Problem(tree.file, line, column, "a key must be a plain string (quote it)"))
            continue
        key = str(key_node.value)
        if key in out:
            problems.append(Problem(tree.file, line, column, f"duplicate key {key}"))
            continue
        tree.note_key((*path, key), key_node)
        out[key] = _build(value_node, (*path, key), tree, problems)
    return out


def _plain_tag(node: Node, kind: str, tree: Tree, problems: list[Problem]) -> None:
    if str(node.tag) != _TAG + kind:
        line, column = _position(node)
        problems.append(Problem(tree.file, line, column, f"tag {node.tag} is not supported"))


def _scalar(node: Node, tree: Tree, problems: list[Problem]) -> Any:
    """Return a scalar by the YAML 1.2 core schema; dates stay text."""
    tag, text = str(node.tag).removeprefix(_TAG), str(node.value)
    try:
        if tag == "null":
            return None
        if tag == "bool" and (text in _TRUE or text in _FALSE):
            return text in _TRUE
        if tag == "int":
            return _integer(text)
        if tag == "float" and math.isfinite(float(text.replace("_", ""))):
            return float(text.replace("_", ""))
        if tag in ("str", "timestamp"):
            return text
    except ValueError:
        pass
    line, column = _position(node)
    problems.append(Problem(tree.file, line, column, f"not a value that is understood ({tag})"))
    return None


def _integer(text: str) -> int:
    if len(text) > 20:
        raise ValueError("number too long")
    number = int(text, 0) if text.lower().lstrip("+-").startswith(("0x", "0o")) else int(text.replace("_", ""))
    if not -(2**63) <= number < 2**63:
        raise ValueError("number too large")
    return number
