"""The import rules of the architecture, as a test: layers, purity, no cycles, protocol names in their folders alone."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src"
PACKAGE = SOURCE / "checkrein"

LEVEL = {
    "hot": 0,
    "core": 0,
    "protocols": 1,
    "policy": 1,
    "masking": 1,
    "identity": 1,
    "gate": 2,
    "dataplane": 3,
    "adapters": 3,
    "recording": 3,
    "store": 3,
    "control": 4,
    "config": 5,
    "demo": 6,
    "app": 6,
    "cli": 7,
}
PURE = 2
"""The highest level that may not touch the world: time, ids and bytes come in as arguments."""

WORLD = {
    "asyncio",
    "logging",
    "multiprocessing",
    "random",
    "secrets",
    "select",
    "selectors",
    "socket",
    "ssl",
    "subprocess",
}
WORLD |= {"threading", "time", "httpx", "uvloop", "sqlite3", "sqlalchemy", "fastapi"}

NEVER = {("control", "dataplane"), ("control", "protocols")}
ALONE = {"gate": {"core", "gate"}}
MOST_LINES = 400
MOST_FUNCTION_LINES = 60


def modules() -> dict[str, Path]:
    """Return every module of the package with its file."""
    out = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(SOURCE).with_suffix("").parts
        out[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return out


MODULES = modules()


def imports(path: Path) -> set[str]:
    """Return the full names that a file imports, type-only and late imports included."""
    out: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            out |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            assert node.module is not None
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                out.add(full if full in MODULES else node.module)
    return out


def layer(module: str) -> str:
    """Return the layer of a module: the folder or file right below the package."""
    return module.split(".")[1] if "." in module else ""


def own(module: str, path: Path) -> list[str]:
    """Return the modules of ours that a module imports."""
    return sorted(name for name in imports(path) if name in MODULES and name != "checkrein")


@pytest.mark.parametrize("module", [name for name in MODULES if name != "checkrein"])
def test_layers(module: str) -> None:
    """A module imports only layers to its left, its own layer, and never what its layer must not know."""
    here = layer(module)
    assert here in LEVEL, f"{module}: a new layer; give it a place in the table of the architecture"
    for name in own(module, MODULES[module]):
        there = layer(name)
        if there == here:
            continue
        assert LEVEL[there] < LEVEL[here], f"{module} imports {name}: {there} is not to the left of {here}"
        assert (here, there) not in NEVER, f"{module} imports {name}: {here} must not know {there}"
        assert here not in ALONE or there in ALONE[here], f"{module} imports {name}: {here} is passed its parts"
        assert there != "config" or here in ("app", "cli", "demo"), f"{module} imports {name}"


@pytest.mark.parametrize("module", [name for name in MODULES if LEVEL.get(layer(name), 9) <= PURE])
def test_pure_layers_do_not_touch_the_world(module: str) -> None:
    """Up to the gate nothing imports clocks, sockets, randomness, threads or logging."""
    used = {name.split(".")[0] for name in imports(MODULES[module])} & WORLD
    assert not used, f"{module} imports {', '.join(sorted(used))}"


def test_no_cycles() -> None:
    """No module reaches itself by imports, type-only ones included."""
    graph = {name: own(name, path) for name, path in MODULES.items()}
    done: set[str] = set()

    def visit(name: str, trail: tuple[str, ...]) -> None:
        assert name not in trail, "cycle: " + " -> ".join((*trail[trail.index(name) :], name))
        if name in done:
            return
        for there in graph[name]:
            visit(there, (*trail, name))
        done.add(name)

    for name in graph:
        visit(name, ())


def protocol_names() -> dict[str, re.Pattern[str]]:
    """Return each protocol's folder with the pattern of its name. `sql` is shared ground, not a protocol."""
    folders = [path.name for path in (PACKAGE / "protocols").iterdir() if (path / "codec.py").exists()]
    return {name: re.compile(rf"(?i){name}") for name in folders}


def code(path: Path) -> str:
    """Return a file's code alone: comments and docstrings may name the manual that a fact is from."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            kept = [one for one in body if not (isinstance(one, ast.Expr) and isinstance(one.value, ast.Constant))]
            node.body = kept or [ast.Pass()]  # type: ignore[attr-defined]
    return ast.unparse(tree)


def test_a_protocol_is_named_in_its_folder_alone() -> None:
    """Outside its folder, the one list and the demo no code spells a protocol's name: a new one touches one line.

    The store may name the databases that it keeps its own state in.
    """
    found: list[str] = []
    for folder, pattern in protocol_names().items():
        free = [
            PACKAGE / "protocols" / folder,
            PACKAGE / "protocols" / "__init__.py",
            PACKAGE / "cli/demo",
            PACKAGE / "store",
        ]
        for path in sorted(PACKAGE.rglob("*.py")):
            if any(path.is_relative_to(one) for one in free):
                continue
            lines = code(path).splitlines()
            found += [f"{path.relative_to(ROOT)}: {line.strip()}" for line in lines if pattern.search(line)]
    assert not found, "\n".join(found)


@pytest.mark.parametrize("module", list(MODULES))
def test_sizes(module: str) -> None:
    """Files and functions stay within what one can read."""
    text = MODULES[module].read_text(encoding="utf-8")
    assert text.count("\n") <= MOST_LINES, f"{module}: {text.count(chr(10))} lines"
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno is not None
            length = node.end_lineno - node.lineno + 1
            assert length <= MOST_FUNCTION_LINES, f"{module}.{node.name}: {length} lines"


@pytest.mark.parametrize("folder", sorted(path.parent.name for path in PACKAGE.glob("*/__init__.py")))
def test_every_folder_says_what_lives_there(folder: str) -> None:
    """The first lines of each folder say what it is for."""
    assert ast.get_docstring(ast.parse((PACKAGE / folder / "__init__.py").read_text(encoding="utf-8")))


def test_the_rules_see_what_they_forbid(tmp_path: Path) -> None:
    """The import reader sees late, type-only and nested imports: what it misses the rules would not forbid."""
    file = tmp_path / "x.py"
    file.write_text(
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import socket\n"
        "def f():\n    from checkrein.core import errors\n"
    )
    assert imports(file) == {"typing", "socket", "checkrein.core.errors"}


def test_no_generator_waits_in_a_handler() -> None:
    """Compiled, a generator that is closed while suspended in an `except` or `finally` takes the process down."""
    for module, path in MODULES.items():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            bodies = [node.body] if isinstance(node, ast.ExceptHandler) else []
            bodies += [node.finalbody] if isinstance(node, ast.Try) else []
            for part in (inner for body in bodies for statement in body for inner in ast.walk(statement)):
                assert not isinstance(part, ast.Yield | ast.YieldFrom), f"{module}:{part.lineno}"
