"""`checkrein connect TARGET`: prints how to reach a target, or opens a local port that logs in with fresh tokens."""

from __future__ import annotations

import asyncio
import contextlib
import os
import tempfile
from pathlib import Path
from typing import Any

import click

from checkrein.cli import Refused
from checkrein.cli.client import connect as api
from checkrein.cli.output import print_json, printable
from checkrein.cli.token import get_token


def certificate_file(reach: dict[str, Any], given: str | None) -> str:
    """Return the path of the authority that signed the gateway's certificate: as given, else as the gateway says.

    A certificate that came over the API, itself verified or on loopback, is put into a file of the user.
    """
    ca = given or reach.get("ca") or ""
    if not str(ca).startswith("-----BEGIN"):
        return str(ca)
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "checkrein"
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "gateway-ca.pem"
    with tempfile.NamedTemporaryFile("w", dir=folder, delete=False) as out:
        out.write(str(ca))
    Path(out.name).replace(file)
    return str(file)


def find(target: str, profile: str) -> dict[str, Any]:
    """Ask the gateway how a target is reached. Raises Refused, Unreachable."""
    found = api(get_token()).get(f"/api/v1/reach/{target}", profile=profile)
    if not isinstance(found, dict) or not found.get("host"):
        raise Refused(f"the gateway does not say how {printable(target)} is reached")
    return found


async def serve_port(reach: dict[str, Any], target: str, profile: str, ca: str, port: int) -> None:
    """Serve the local port until interrupted. Raises Refused when this protocol has no such log-in."""
    from checkrein.cli.handover import Gateway, LocalPort
    from checkrein.cli.policy import protocols

    spec = protocols().get(str(reach.get("protocol")))
    if spec is None or spec.token_login is None:
        raise Refused(f"no local port for protocol {printable(reach.get('protocol'))}")
    make = spec.token_login
    local = LocalPort(Gateway(str(reach["host"]), int(reach["port"]), ca), lambda: make(target, profile), get_token)
    try:
        server = await local.listen(port)
    except OSError as error:
        raise Refused(f"127.0.0.1:{port} cannot be listened on: {error.strerror}") from None
    address = server.sockets[0].getsockname()
    click.echo(f"listening on {address[0]}:{address[1]} for {target} as {profile}; every connection logs in afresh")
    async with server:
        await server.serve_forever()


@click.command("connect")
@click.argument("target")
@click.option("--profile", default="default", show_default=True, help="Credential profile of the target.")
@click.option("--listen", "port", type=click.IntRange(0, 65535), help="Open this port on 127.0.0.1 (0: any).")
@click.option("--ca", type=click.Path(exists=True, dir_okay=False), help="CA of the gateway's certificate (PEM).")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(target: str, profile: str, port: int | None, ca: str | None, as_json: bool) -> None:
    """Print how to reach TARGET, or with --listen open a local port that logs in with a fresh token each time.

    Whoever can open the local port works as you: any program and user of this machine. The token comes from
    CHECKREIN_TOKEN, else by client credentials. Give it to clients as a password, never as an argument.
    """
    reach = find(target, profile)
    authority = certificate_file(reach, ca)
    if port is not None:
        with contextlib.suppress(KeyboardInterrupt):
            asyncio.run(serve_port(reach, target, profile, authority, port))
        return
    if as_json:
        print_json({**reach, "ca": authority})
    else:
        click.echo(printable(reach.get("dsn")))
