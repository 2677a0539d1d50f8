"""`checkrein verify`: check recordings, offline from files or through the gateway by id."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from checkrein.cli.output import print_json, printable


@click.command("verify")
@click.argument("what", metavar="PATH|ID")
@click.option(
    "--key",
    "keys",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Trust this public key and no other; without it, the keys beside the recordings or in the bundle.",
)
@click.option("--allow-unclosed", is_flag=True, help="Accept sessions that have no signed summary (yet).")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(what: str, keys: tuple[Path, ...], allow_unclosed: bool, as_json: bool) -> None:
    """Check signatures, hash chains and files; name the first thing that is wrong. Exit status 1 when not whole."""
    found = _verify(what, keys, allow_unclosed)
    if as_json:
        print_json(found)
    else:
        from checkrein.recording.verify_all import told

        click.echo("\n".join(printable(line) for line in told(found).splitlines()))
    sys.exit(0 if found["ok"] else 1)


def _verify(what: str, keys: tuple[Path, ...], allow_unclosed: bool) -> dict[str, Any]:
    from checkrein.cli.client import data_folder
    from checkrein.recording.verify_all import verify_path

    path = Path(what)
    if not path.exists():
        path = _folder_of(what, data_folder())
    return verify_path(path, keys).as_json(allow_unclosed)


def _folder_of(id: str, data: Path) -> Path:
    """Return the folder of a session by its id. Raises UsageError when there is neither such a path nor session."""
    if id and all(c.isascii() and (c.isalnum() or c in "-_") for c in id):
        for day in sorted((data / "recordings").glob("*"), reverse=True):
            if (day / id).is_dir():
                return day / id
    raise click.UsageError(f"{printable(id)} is neither a path nor a session under {data / 'recordings'}")
