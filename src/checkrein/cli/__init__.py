"""The command line: one file a command, each loaded only when it runs. Exit status 0 done, 1 refused or a check failed,
2 used wrongly, 3 the gateway cannot be reached.

A command's module has the command under the name `command` (or under its own name).
"""

from __future__ import annotations

import importlib
import sys
from typing import Final

import click

_COMMANDS: Final = {
    "serve": "Run the gateway in the foreground.",
    "demo": "Run a gateway with a sample database, agents and policies.",
    "check": "Check the configuration and say what it resolves to.",
    "schema": "Print the JSON Schema of a kind of document.",
    "policy": "Write, check, test and explain policies.",
    "targets": "List targets, and try to log in to them.",
    "sessions": "List, show, follow, export and kill sessions.",
    "verify": "Verify recordings.",
    "approvals": "List and answer what waits for a person.",
    "token": "Print the agent's token.",
    "connect": "Print how to reach a target, or open a local port to it.",
    "version": "Say which version and build this is.",
}

_NOT_BUILT: Final = (
    "login",
    "logout",
    "whoami",
    "keys",
    "kubeconfig",
    "kube-token",
    "ssh-cert",
    "ssh-config",
    "connector",
)

REFUSED: Final = 1
USAGE: Final = 2
UNREACHABLE: Final = 3


class Refused(click.ClickException):
    """The gateway refused, or a check failed: exit status 1."""

    exit_code = REFUSED


class Unreachable(click.ClickException):
    """The gateway cannot be reached: exit status 3."""

    exit_code = UNREACHABLE


class NotBuilt(click.UsageError):
    """A command of the contract that is not in this version. Status 2, since 1 would read as a check's outcome."""

    def __init__(self, name: str, ctx: click.Context) -> None:
        super().__init__(f"`checkrein {name}` is not built yet: it is not in this version", ctx)


class Group(click.Group):
    """A group that refuses by name the commands of the contract that are not built, whatever stands behind them."""

    later: tuple[str, ...] = ()

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command. Raises NotBuilt."""
        if cmd_name in self.later:
            raise NotBuilt(f"{self.name} {cmd_name}", ctx)
        return super().get_command(ctx, cmd_name)


class _Lazy(click.Group):
    """A group whose commands are imported when they are called, so that starting is quick."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order of the table."""
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one command; refuse by name those of the contract that are not built."""
        if cmd_name in _NOT_BUILT:
            raise NotBuilt(cmd_name, ctx)
        if cmd_name not in _COMMANDS:
            return None
        module = importlib.import_module(f"checkrein.cli.{cmd_name}")
        found = getattr(module, "command", None) or getattr(module, cmd_name, None)
        return found if isinstance(found, click.Command) else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands from the table, without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))


@click.group(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"]})
def group() -> None:
    """Checkrein: a policy-enforcement gateway for autonomous agents."""


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; never returns. Errors of configuration are printed as `file:line:column: ...`."""
    try:
        group.main(args=arguments, prog_name="checkrein")
    except Exception as error:
        from checkrein.core.errors import CheckreinError, ConfigurationError, Unavailable

        if not isinstance(error, CheckreinError):
            raise
        click.echo(str(error) if isinstance(error, ConfigurationError) else f"Error: {error}", err=True)
        sys.exit(UNREACHABLE if isinstance(error, Unavailable) else REFUSED)
