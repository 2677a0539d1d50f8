"""`checkrein demo`: a gateway with an embedded PostgreSQL, sample data, two agents and an approver."""

from __future__ import annotations

import click


@click.command("demo")
@click.option(
    "--dir", "folder", type=click.Path(), default="checkrein-demo", help="Where its files go [checkrein-demo]."
)
def command(folder: str) -> None:
    """Run a gateway with a sample database, agents and policies.

    When everything is up it tells what to try on standard error, and runs until interrupted. Where standard output
    is not a terminal it prints there one JSON object for scripts: addresses, agents with their tokens, people, things
    to try. Started again in the same folder it writes its configuration and policies anew.
    """
    from pathlib import Path

    from checkrein.cli.demo.run import demo
    from checkrein.cli.serve import log_as_json, run

    log_as_json()
    run(demo(Path(folder).resolve()))


__all__ = ["command"]
