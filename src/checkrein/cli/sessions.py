"""`checkrein sessions`: list, show, follow, export and kill sessions."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click

from checkrein.cli import Group, Refused
from checkrein.cli.client import connect, in_path
from checkrein.cli.output import print_json, print_table, printable, when

_PATH = "/api/v1/sessions"
_COLUMNS = ("id", "principal", "target", "opened", "closed", "state", "statements", "refused", "asked", "masked")


@click.group("sessions", cls=Group)
def command() -> None:
    """List, show, follow, export and kill sessions."""


command.later = ("play",)


@command.command("ls")
@click.option("--principal", help="Subject, or issuer:subject.")
@click.option("--target", help="Name of the target.")
@click.option("--since", help="Open at or after: 2026-01-31, 2026-01-31T12:00 (UTC) or epoch seconds.")
@click.option("--until", help="Opened at or before.")
@click.option("--touches", help="An object that a statement touched: orders or public.orders.")
@click.option("--rule", help="A rule that decided: rule or policy/rule.")
@click.option("--verdict", type=click.Choice(["allow", "deny", "ask"]), help="A verdict that was given.")
@click.option("--text", help="A piece of a statement's text.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=100, show_default=True, help="At most so many.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def ls(as_json: bool, **filters: Any) -> None:
    """List sessions, newest first."""
    rows = connect().get(_PATH, **filters)
    if as_json:
        print_json(rows)
        return
    shown = [{**row, "opened": when(row["opened"]), "closed": when(row["closed"])} for row in rows]
    print_table(shown, _COLUMNS, "no such sessions")


@command.command("show")
@click.argument("id")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def show(id: str, as_json: bool) -> None:
    """Show one session: its statements with decision, rows and what was masked."""
    found = connect().get(f"{_PATH}/{in_path(id)}")
    if as_json:
        print_json(found)
        return
    session = found["session"]
    for name, value in session.items():
        click.echo(f"{name}: {printable(when(value) if name in ('opened', 'closed') else value)}")
    click.echo()
    for event in found["events"]:
        click.echo(told(event, session["opened"]))
    if found.get("more"):
        click.echo("... more events; export the session to have them all")


@command.command("tail")
@click.argument("id")
@click.option("--json", "as_json", is_flag=True, help="Print the events as JSON lines.")
def tail(id: str, as_json: bool) -> None:
    """Follow a session until it is closed."""
    import json

    opened = None
    for line in connect().lines(f"{_PATH}/{in_path(id)}/tail"):
        event = json.loads(line)
        opened = event["at"] if opened is None else opened
        click.echo(json.dumps(event) if as_json else told(event, opened))


@command.command("export")
@click.argument("ids", nargs=-1, required=True, metavar="ID...")
@click.option(
    "-o", "--output", type=click.Path(dir_okay=False, path_type=Path), required=True, help="The zip to write."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def export(ids: tuple[str, ...], output: Path, as_json: bool) -> None:
    """Write an evidence bundle: journals, keys, verifier and an index."""
    content = connect().fetch(f"{_PATH}/export", {"ids": list(ids)})
    try:
        fd = os.open(output, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
    except OSError as error:
        raise Refused(f"{output} cannot be written: {error.strerror}") from None
    with os.fdopen(fd, "wb") as file:
        file.write(content)
    if as_json:
        print_json({"file": str(output), "bytes": len(content), "sessions": list(ids)})
    else:
        click.echo(f"{output}: {len(content)} bytes; check it with: checkrein verify {output}")


@command.command("kill")
@click.argument("id")
@click.option("--reason", default="an operator ended this session", show_default=True, help="Told to the client.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def kill(id: str, reason: str, as_json: bool) -> None:
    """End an open session."""
    killed = connect().post(f"{_PATH}/{in_path(id)}/kill", {"reason": reason})
    if as_json:
        print_json(killed)
    else:
        click.echo(f"session {id} is ended")


def told(event: dict[str, Any], opened: float) -> str:
    """Return one event as a line for people; what came over the wire cannot move the cursor."""
    kind = event["kind"]
    head = f"{event['at'] - opened:10.3f}s  {event['seq']:>5}  "
    if kind == "decided":
        rule = f"{event.get('policy', '')}/{event.get('rule', '')}" if event.get("rule") else ""
        why = f" ({printable(event['reason'])})" if event.get("reason") and event.get("outcome") == "refused" else ""
        return f"{head}{event.get('outcome')}  {printable(rule)}{why}\n{'':20}{printable(event.get('statement'))}"
    if kind == "answered":
        masked = sum((event.get("masked") or {}).values())
        error = f", error {printable(event['error'])}" if event.get("error") else ""
        sample = "".join(f"\n{'':20}| {_row(row)}" for row in event.get("sample") or ())
        return f"{head}answered: {event.get('rows')} rows, {masked} masked{error}{sample}"
    rest = {k: v for k, v in event.items() if k not in ("seq", "at", "mono", "prev", "kind")}
    return f"{head}{kind}: {printable(rest)}"


def _row(row: list[Any]) -> str:
    return " | ".join("NULL" if cell is None else printable(cell) for cell in row)
