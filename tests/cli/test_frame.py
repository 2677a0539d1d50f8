"""The frame of the command line: what is listed, what is refused by name, exit statuses, and how quickly it starts."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from click.testing import CliRunner

from checkrein.cli import _COMMANDS, _NOT_BUILT, group, main
from checkrein.core.errors import ConfigurationError, Problem, Unavailable
from checkrein.hot import hot_files, hot_modules


@pytest.mark.parametrize("name", list(_COMMANDS))
def test_every_listed_command_is_there(name: str) -> None:
    """Each command of the table loads and explains itself."""
    found = CliRunner().invoke(group, [name, "--help"])
    assert found.exit_code == 0, found.output


@pytest.mark.parametrize("name", _NOT_BUILT)
def test_commands_to_come_are_refused_by_name(name: str) -> None:
    """A command of the contract that is not built says so, with status 2."""
    found = CliRunner().invoke(group, [name, "--anything"])
    assert found.exit_code == 2
    assert f"`checkrein {name}` is not built yet" in found.output


@pytest.mark.parametrize("words", [("policy", "replay"), ("policy", "diff"), ("sessions", "play")])
@pytest.mark.parametrize("behind", [(), ("--against", "x"), ("--help",), ("a", "b")])
def test_subcommands_to_come_are_refused_by_name(words: tuple[str, ...], behind: tuple[str, ...]) -> None:
    """So does one inside a group, whatever stands behind it, its help too; none is listed."""
    found = CliRunner().invoke(group, [*words, *behind])
    assert found.exit_code == 2
    assert f"`checkrein {' '.join(words)}` is not built yet: it is not in this version" in found.output
    assert f"\n  {words[1]} " not in CliRunner().invoke(group, [words[0], "--help"]).output


CONTRACT = """serve demo check schema policy.init policy.check policy.test policy.explain policy.replay policy.diff
targets.ls targets.test sessions.ls sessions.show sessions.play sessions.tail sessions.kill sessions.export verify
approvals.ls approvals.show approvals.approve approvals.deny approvals.watch login logout whoami token connect
keys.create keys.ls keys.revoke kubeconfig kube-token ssh-cert ssh-config connector.run version""".split()


@pytest.mark.parametrize("path", CONTRACT)
def test_every_command_of_the_contract_is_known(path: str) -> None:
    """Each is either there and explains itself, or refused by name; none is `No such command`."""
    found = CliRunner().invoke(group, [*path.split("."), "--help"])
    assert found.exit_code == 0 or "is not built yet" in found.output
    assert "No such command" not in found.output


LISTINGS = ("sessions.ls", "sessions.show", "sessions.export", "sessions.kill", "sessions.tail", "approvals.ls")
MORE = ("approvals.show", "approvals.approve", "approvals.deny", "approvals.watch", "targets.ls", "targets.test")
ALONE = ("check", "verify", "version", "connect", "policy.check", "policy.test", "policy.explain")


@pytest.mark.parametrize("path", (*LISTINGS, *MORE, *ALONE))
def test_listings_take_json(path: str) -> None:
    """Whatever lists or shows takes `--json`."""
    assert "--json" in CliRunner().invoke(group, [*path.split("."), "--help"]).output


def test_unknown_commands_are_used_wrongly() -> None:
    """Anything else is status 2."""
    assert CliRunner().invoke(group, ["frobnicate"]).exit_code == 2


def test_starting_imports_little() -> None:
    """`--help` loads neither pydantic, FastAPI, httpx nor the parsers: it runs before every command."""
    script = (
        "import sys\nfrom checkrein.cli import main\ntry:\n main(['--help'])\nexcept SystemExit: pass\n"
        "heavy = {'pydantic', 'fastapi', 'httpx', 'asyncio', 'sqlalchemy', 'ruamel', 'hyperscan', 'rich'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
    assert "serve" in done.stdout


@pytest.mark.parametrize(
    ("error", "status", "says"),
    [
        (ConfigurationError((Problem("a.yaml", 3, 5, "wrong"),)), 1, "a.yaml:3:5: error: wrong"),
        (Unavailable("the store is away"), 3, "the store is away"),
    ],
)
def test_errors_become_statuses(
    error: Exception, status: int, says: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Our own errors end in a sentence and the contract's status, never in a traceback."""

    def fail(**_: object) -> None:
        raise error

    monkeypatch.setattr(group, "main", fail)
    with pytest.raises(SystemExit) as caught:
        main(["version"])
    assert caught.value.code == status
    assert says in capsys.readouterr().err


def test_version_says_which_build() -> None:
    """The build is compiled, pure or partly compiled, by looking at the modules themselves."""
    value = json.loads(CliRunner().invoke(group, ["version", "--json"]).output)
    assert value["build"] == "compiled" or value["build"].startswith(("pure (slower)", "partly compiled"))


def test_hot_modules_exist() -> None:
    """Every pattern of the list finds a module."""
    assert len(hot_files()) == len(hot_modules())
    assert "checkrein.core.framing" in hot_modules()
