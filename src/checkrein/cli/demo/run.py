"""Brings the demo up, says how to use it, and takes it down."""

# ruff: noqa: S608 - what looks like built SQL here are shell lines for a person to copy
from __future__ import annotations

import asyncio
import json
import secrets
import shlex
import signal
import socket
import sys
from pathlib import Path
from typing import Any

import click

from checkrein.app.application import Application
from checkrein.cli.demo import sample
from checkrein.cli.demo.database import Database
from checkrein.cli.version import version
from checkrein.config.load import read_config
from checkrein.protocols import PROTOCOLS

AGENTS = {"support-bot": ["support"], "report-bot": ["reports"]}
PEOPLE = {"anna": ["approver", "auditor"]}
READY_SECONDS = 30.0


def free_port(wanted: int) -> int:
    """Return a port of loopback that is free: the wanted one if it is."""
    for port in (wanted, 0):
        with socket.socket() as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                sock.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(sock.getsockname()[1])
    raise click.ClickException("no port is free on loopback")


async def demo(folder: Path) -> None:
    """Run the demo in a folder until interrupted."""
    passwords = {name: secrets.token_urlsafe(24) for name in (*AGENTS, *PEOPLE, "database")}
    ports = {"control": free_port(8080), "listen": free_port(15432), "database": free_port(0)}
    write_files(folder, passwords, ports)
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    database = Database(ports["database"], secrets.token_urlsafe(24))
    application: Application | None = None
    try:
        click.echo("starting PostgreSQL and the gateway ...", err=True)
        await database.start(sample.SQL.format(password=passwords["database"]))
        specs = {spec.name: spec for spec in PROTOCOLS}
        config = read_config(str(folder / "checkrein.yaml"), {name: spec.default_port for name, spec in specs.items()})
        application = Application(config, specs, version())
        await application.start()
        described = await describe(folder, application, database, passwords)
        await show_first(described)
        if not sys.stdout.isatty():  # a person at a terminal is told the same, without the tokens
            click.echo(json.dumps(described))
            sys.stdout.flush()
        tell(described)
        await stopping.wait()
    finally:
        if application is not None:
            await application.stop()
        await database.stop()


def write_files(folder: Path, passwords: dict[str, str], ports: dict[str, int]) -> None:
    """Write the demo's configuration, secrets (0600) and policies."""
    (folder / "secrets").mkdir(parents=True, exist_ok=True, mode=0o700)
    (folder / "policies").mkdir(exist_ok=True)
    for name, value in passwords.items():
        write_secret(folder / "secrets" / name, value)
    (folder / "checkrein.yaml").write_text(sample.CONFIG.format(**ports))
    for name, text in sample.POLICIES.items():
        (folder / "policies" / name).write_text(text)


def write_secret(path: Path, value: str) -> None:
    """Write a file that its owner alone may read (0600)."""
    path.touch(mode=0o600)
    path.chmod(0o600)  # where it was there before
    path.write_text(value)


def token_file(folder: Path, name: str) -> Path:
    """Return where the demo keeps somebody's token, so that the lines to copy stay short and hold no secret."""
    return folder / "secrets" / f"{name}.token"


async def token_of(url: str, name: str, password: str) -> str:
    """Fetch a token from the embedded issuer, as an agent would."""
    import httpx

    async with httpx.AsyncClient(trust_env=False) as client:
        form = {"grant_type": "client_credentials"}
        answer = await client.post(f"{url}/issuer/token", data=form, auth=(name, password), timeout=READY_SECONDS)
        answer.raise_for_status()
        return str(answer.json()["access_token"])


async def describe(
    folder: Path, application: Application, database: Database, passwords: dict[str, str]
) -> dict[str, Any]:
    """Return the one object that the demo prints."""
    url = application.control_url
    reach = application.control.targets.reach("shop", "default")
    assert reach is not None
    tokens = {name: await token_of(url, name, passwords[name]) for name in (*AGENTS, *PEOPLE)}
    for name, token in tokens.items():
        write_secret(token_file(folder, name), token)
    # the wheel's psql is built without TLS; on loopback the demo's gateway lets it do without
    plain = f"host={reach['host']} port={reach['port']} dbname=shop user=default sslmode=disable"
    psql = f"{shlex.quote(str(database.programs / 'psql'))} {shlex.quote(plain)} -X"
    return {
        "control": url,
        "ca": str(application.ca),
        "targets": [{"name": "shop", "protocol": "postgres", "address": f"{reach['host']}:{reach['port']}"}],
        "agents": [
            {"name": name, "groups": groups, "token": tokens[name], "dsn": reach["dsn"]}
            for name, groups in AGENTS.items()
        ],
        "people": [{"name": name, "roles": roles, "token": tokens[name]} for name, roles in PEOPLE.items()],
        "try": things_to_try(folder, url, psql),
    }


def things_to_try(folder: Path, url: str, psql: str) -> list[dict[str, str]]:
    """Return copy-paste lines that each show one thing, with a text that their output contains."""
    script = Path(sys.executable).parent / "checkrein"
    checkrein = shlex.quote(str(script)) if script.exists() else f"{shlex.quote(sys.executable)} -m checkrein.cli"
    token = {name: f'"$(cat {shlex.quote(str(token_file(folder, name)))})"' for name in (*AGENTS, *PEOPLE)}
    support = f"PGPASSWORD={token['support-bot']} {psql} -c"
    report = f"PGPASSWORD={token['report-bot']} {psql} -c"
    owner = f"env -u CHECKREIN_TOKEN CHECKREIN_CONFIG={shlex.quote(str(folder / 'checkrein.yaml'))} {checkrein}"
    anna = f"CHECKREIN_URL={url} CHECKREIN_TOKEN={token['anna']} {checkrein}"
    ident = f"{shlex.quote(sys.executable)} -c 'import json,sys; print(json.load(sys.stdin)[0][\"id\"])'"
    pending = f"$({anna} approvals ls --state pending --wait 20 --json | {ident})"
    newest = f"$({owner} sessions ls --limit 1 --json | {ident})"
    policy = shlex.quote(str(folder / "policies" / "reports.yaml"))
    return [
        {
            "what": "a masked row: the SSN by column, the card and the e-mail by what they are",
            "run": f'{support} "SELECT name, email, ssn, note FROM customers WHERE id = 1"',
            "expect": "8145",
        },
        {
            "what": "no way round a mask: an expression over a masked column is inference",
            "run": f"{support} \"SELECT name FROM customers WHERE ssn LIKE '536%'\" 2>&1 || true",
            "expect": "public.customers.ssn",
        },
        {
            "what": "a refusal with its reason and what to do instead",
            "run": f'{support} "DELETE FROM orders" 2>&1 || true',
            "expect": "UPDATE one order at a time by id.",
        },
        {
            "what": "another agent, other rights: figures, but no customers",
            "run": f'{report} "SELECT * FROM reporting.revenue"; {report} "SELECT name FROM customers" 2>&1 || true',
            "expect": "public.customers",
        },
        {
            "what": "an approval: the UPDATE waits until a person of the on-call group says yes, then runs",
            "run": f"{support} \"UPDATE orders SET status = 'done' WHERE id = 4\" & "
            f"{anna} approvals approve {pending}; wait",
            "expect": "UPDATE 1",
        },
        {
            "what": "a policy edited live: report-bot may read orders from now on",
            "run": f"sed -i 's/touches: .reporting.revenue[^]]*./touches: [reporting.revenue, public.orders]/' "
            f"{policy}; for i in 1 2 3 4 5 6 7 8 9 10; do "
            f'{report} "SELECT count(*) AS orders_seen FROM orders" 2>/dev/null && break; sleep 0.3; done',
            "expect": "orders_seen",
        },
        {
            "what": "the recording: what the last session did, as the agent saw it",
            "run": f"{owner} sessions show {newest}",
            "expect": "SELECT count(*)",
        },
        {
            "what": "its verification: signatures, hash chain, every byte",
            "run": f"{checkrein} verify --allow-unclosed {shlex.quote(str(folder / 'data' / 'recordings'))}",
            "expect": "whole",
        },
    ]


async def show_first(described: dict[str, Any]) -> None:
    """Run the first thing to try and show its output."""
    first = described["try"][0]
    process = await asyncio.create_subprocess_shell(
        first["run"], stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    output, _ = await process.communicate()
    text = output.decode(errors="replace")
    if first["expect"] not in text:
        raise click.ClickException(f"the demo's first query did not give a masked row:\n{text}")
    click.echo(f"\n{first['what']}:\n\n{text}", err=True)


def tell(described: dict[str, Any]) -> None:
    """Say to a person what the JSON object says to a script."""
    click.echo("The gateway runs. Things to try in another terminal, each a line to copy:", err=True)
    for thing in described["try"]:
        click.echo(f"\n# {thing['what']}\n{thing['run']}", err=True)
    click.echo("\nCtrl-C ends it.", err=True)
