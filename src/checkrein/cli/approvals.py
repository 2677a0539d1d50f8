"""`checkrein approvals`: what waits for a person, and answering it."""

from __future__ import annotations

import json
import time
from typing import Any

import click

from checkrein.cli.client import connect, in_path
from checkrein.cli.output import print_json, print_table, printable, when

STATES = ("pending", "approved", "denied", "expired", "withdrawn", "used")
WATCH_SECONDS = 1.0
WAIT_SECONDS = 0.2


_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
_always = click.option("--json", is_flag=True, expose_value=False, help="The output is JSON with or without it.")


@click.group("approvals")
def command() -> None:
    """List and answer what waits for a person."""


@command.command("ls")
@click.option("--state", type=click.Choice(STATES), default=None, help="Only this state.")
@click.option("--wait", type=float, default=0.0, help="Wait up to so many seconds until there is one.")
@_json
def ls(state: str | None, wait: float, as_json: bool) -> None:
    """List approvals, newest first."""
    client = connect()
    rows = client.get("/api/v1/approvals", state=state)
    until = time.monotonic() + wait
    while not rows and time.monotonic() < until:
        time.sleep(WAIT_SECONDS)
        rows = client.get("/api/v1/approvals", state=state)
    if as_json:
        print_json(rows)
    else:
        _print(rows)


@command.command("show")
@click.argument("id")
@_json
def show(id: str, as_json: bool) -> None:
    """Show one approval: exactly what would run, with invisible characters made visible."""
    row = connect().get(f"/api/v1/approvals/{in_path(id)}")
    if as_json:
        print_json(row)
        return
    for key, value in row.items():
        text = when(value) if key in ("asked_at", "expires_at") else printable(value)
        click.echo(f"{key + ':':<13} {text}")


@command.command("approve")
@click.argument("id")
@click.option("--note", default="", help="Words for the record.")
@_always
def approve(id: str, note: str) -> None:
    """Say yes to a question."""
    print_json(connect().post(f"/api/v1/approvals/{in_path(id)}/approve", {"note": note}))


@command.command("deny")
@click.argument("id")
@click.option("--reason", default="", help="Why; the agent is told.")
@_always
def deny(id: str, reason: str) -> None:
    """Say no to a question."""
    print_json(connect().post(f"/api/v1/approvals/{in_path(id)}/deny", {"note": reason}))


@command.command("watch")
@click.option("--json", "as_json", is_flag=True, help="Print each question as a line of JSON.")
def watch(as_json: bool) -> None:
    """Print questions as they come, until interrupted."""
    client = connect()
    seen: set[str] = set()
    while True:
        rows = [row for row in client.get("/api/v1/approvals", state="pending") if row["id"] not in seen]
        seen.update(row["id"] for row in rows)
        if as_json:
            for row in reversed(rows):
                click.echo(json.dumps(row))
        elif rows:
            _print(rows)
        time.sleep(WATCH_SECONDS)


def _print(rows: list[dict[str, Any]]) -> None:
    shown = [{**row, "asked": when(row["asked_at"])} for row in rows]
    print_table(shown, ("id", "state", "asked", "principal", "target", "statement"), "no approvals")
