"""`checkrein targets ls|test`: the configured targets, and whether the gateway can log in to them."""

from __future__ import annotations

import click

from checkrein.cli import Refused
from checkrein.cli.client import connect
from checkrein.cli.output import print_json, print_table, printable

_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group("targets")
def command() -> None:
    """List targets, and try to log in to them."""


@command.command("ls")
@_json
def ls(as_json: bool) -> None:
    """List the targets that the gateway protects."""
    found = connect().get("/api/v1/targets")
    if as_json:
        print_json(found)
    else:
        print_table(found, ["name", "protocol", "address", "labels", "profiles", "mode"], "no targets")


@command.command("test")
@click.argument("name")
@_json
def test(name: str, as_json: bool) -> None:
    """Try every profile's login, and the catalog, of the target NAME. Exit status 1 when one fails."""
    found = connect().post(f"/api/v1/targets/{name}/test")
    if as_json:
        print_json(found)
    else:
        print_table(found, list(found[0]) if found else ["profile"], f"{printable(name)} has no profiles")
    if not all(row.get("ok", False) for row in found):
        raise Refused(f"{printable(name)}: a profile cannot log in")
