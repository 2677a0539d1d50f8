"""`checkrein version`: version, Python, and whether the hot modules are compiled."""

from __future__ import annotations

import importlib.util
import platform
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as distribution_version

import click

from checkrein.cli.output import print_json
from checkrein.hot import hot_modules


def version() -> str:
    """Return the version of the installed distribution."""
    try:
        return distribution_version("checkrein")
    except PackageNotFoundError:
        return "0+checkout"


def compiled() -> list[str]:
    """Return the hot modules that are compiled in this installation."""
    return [name for name in hot_modules() if _is_compiled(name)]


def _is_compiled(name: str) -> bool:
    spec = importlib.util.find_spec(name)
    return spec is not None and spec.origin is not None and spec.origin.endswith((".so", ".pyd"))


def build() -> str:
    """Return `compiled`, or `pure (slower)`, or how many are compiled when only some are."""
    count, all_of_them = len(compiled()), len(hot_modules())
    if count == all_of_them:
        return "compiled"
    return "pure (slower)" if not count else f"partly compiled ({count} of {all_of_them} hot modules)"


@click.command("version")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(as_json: bool) -> None:
    """Say which version and build this is."""
    if as_json:
        print_json({"version": version(), "build": build(), "python": platform.python_version()})
    else:
        click.echo(f"checkrein {version()}, {build()}, Python {platform.python_version()}")
