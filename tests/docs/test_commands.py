"""Commands, names and policies that the documentation tells are those that the program has."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from checkrein.cli import _COMMANDS, _NOT_BUILT, group
from checkrein.protocols.postgres import VERBS, doors, known_groups, settings
from tests.docs.test_docs import FENCE, PAGES, ROOT, name

POSTGRES = (ROOT / "docs" / "postgresql.md").read_text(encoding="utf-8")
INLINE = re.compile(r"`(checkrein [a-z][^`]*)`")
SHELL = re.compile(
    r"(?:^|[\s\"(])checkrein ((?:[^\s|&;<>()\"]|\"[^\"$]*\")(?:[^|&;<>()\n\"]|\"[^\"$]*\")*)", re.MULTILINE
)


def shell_blocks(page: Path) -> list[str]:
    return [text for kind, text in FENCE.findall(page.read_text(encoding="utf-8")) if kind in ("sh", "console")]


def told(page: Path) -> Iterator[list[str]]:
    """Yield the words behind `checkrein` of every command line of a page."""
    prose = FENCE.sub("", page.read_text(encoding="utf-8"))
    for line in INLINE.findall(prose):
        if "|" not in line:
            yield line.split()[1:]
    for block in shell_blocks(page):
        for line in SHELL.findall(re.sub(r"#.*", "", block)):
            yield shlex.split(line)


def resolved(words: list[str]) -> tuple[click.Command, list[str]]:
    """Return the command that words name, and what is left of them. Fails when there is none."""
    command: click.Command = group
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        found = command.get_command(click.Context(command), words[0])
        assert found is not None, f"no such command: {words}"
        command, words = found, words[1:]
    return command, words


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_commands_exist(page: Path) -> None:
    """Every command line names a command, and options that it has."""
    for words in told(page):
        if words[0] in _NOT_BUILT:
            continue
        command, rest = resolved(words)
        options = {option for parameter in command.params for option in parameter.opts} | {"--help"}
        for word in rest:
            if word.startswith("-") and word != "-":
                assert word.split("=")[0] in options, f"{name(page)}: {words}"


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_shell_is_shell(page: Path) -> None:
    """Every shell block is whole and correct as bash reads it."""
    for block in shell_blocks(page):
        done = subprocess.run(["bash", "-n"], input=block, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{name(page)}: {done.stderr}"


def test_commands_are_looked_at() -> None:
    """The search above finds command lines, with their options."""
    found = [" ".join(words) for page in PAGES for words in told(page)]
    assert "sessions ls --limit 1 --json" in found
    assert "connect orders" in found and len(found) > 30


def test_every_command_has_help() -> None:
    """Every command and subcommand prints a help text that says what it does."""
    for first in _COMMANDS:
        command, _ = resolved([first])
        below = [[first, one] for one in command.commands] if isinstance(command, click.Group) else []
        for words in ([first], *below):
            done = CliRunner().invoke(group, [*words, "--help"])
            found, _ = resolved(words)
            assert done.exit_code == 0 and (found.help or "").strip(), words


def test_postgresql_page_names_what_there_is() -> None:
    """Every verb, guardrail, door, known extension, and setting with fixed values is on the page."""
    words = set(re.findall(r"[a-z_]+(?:-[a-z]+)?", POSTGRES))
    named = {*VERBS, *doors.GUARDS, *doors.DOORS, *known_groups.KNOWN_EXTENSIONS, *settings._ONLY_VALUES}
    assert named <= words, named - words
    assert {"btree_gin", "uuid-ossp", "masked_ddl"} <= named


def test_policies_compile(tmp_path: Path) -> None:
    """Every policy on a page, and the shipped ones, pass `policy check`."""
    found = [
        (page, text)
        for page in PAGES
        for kind, text in FENCE.findall(page.read_text(encoding="utf-8"))
        if kind == "yaml" and re.search(r"^kind: Policy$", text, re.MULTILINE)
    ]
    found += [
        (page, text)
        for page in PAGES
        for text in re.findall(r"<<'YAML'\n(.*?)\nYAML", page.read_text(), re.DOTALL)
        if "kind: Policy" in text
    ]
    assert len(found) > 1
    for number, (page, text) in enumerate(found):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "policy.yaml").write_text(text)
        done = CliRunner().invoke(group, ["policy", "check", str(folder)])
        assert done.exit_code == 0, f"{name(page)}: {done.output}"
    done = CliRunner().invoke(group, ["policy", "check", str(ROOT / "examples" / "policies")])
    assert done.exit_code == 0, done.output


def test_decisions_are_listed() -> None:
    """The list of decisions names every page, and the index every page of the folder."""
    folder = ROOT / "docs" / "decisions"
    listed = (folder / "README.md").read_text(encoding="utf-8")
    assert not [page.name for page in folder.glob("0*.md") if page.name not in listed]
    index = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    assert not [
        page.name for page in (ROOT / "docs").glob("*.md") if page.name != "index.md" and page.name not in index
    ]
