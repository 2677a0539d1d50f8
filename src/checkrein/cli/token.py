"""`checkrein token`: the agent's token, from CHECKREIN_TOKEN or by client credentials."""

from __future__ import annotations

import os
from typing import Any

import click

from checkrein.cli import Refused, Unreachable
from checkrein.cli.client import require_safe


def get_token() -> str:
    """Return CHECKREIN_TOKEN, else a fresh token of CHECKREIN_CLIENT_ISSUER for CHECKREIN_CLIENT_ID and _SECRET.

    Raises Refused, Unreachable; click.UsageError when neither is set.
    """
    token = os.environ.get("CHECKREIN_TOKEN")
    if token:
        return token
    issuer = _first("CHECKREIN_CLIENT_ISSUER", "CHECKREIN_ISSUER")
    id = _first("CHECKREIN_CLIENT_ID")
    secret = _first("CHECKREIN_CLIENT_SECRET", "CHECKREIN_SECRET")
    if issuer and id and secret:
        return client_credentials(issuer, id, secret)
    raise click.UsageError(
        "set CHECKREIN_TOKEN, or CHECKREIN_CLIENT_ID, CHECKREIN_CLIENT_SECRET and CHECKREIN_CLIENT_ISSUER"
    )


def _first(*names: str) -> str:
    """Return the first of these environment variables that is set."""
    return next((value for name in names if (value := os.environ.get(name))), "")


def client_credentials(issuer: str, id: str, secret: str) -> str:
    """Ask an issuer for a token (RFC 6749 section 4.4); discovery says where. Raises Refused, Unreachable."""
    import httpx

    require_safe(issuer)
    try:
        with httpx.Client(timeout=10.0, trust_env=issuer.startswith("https:")) as http:
            metadata = _json(http.get(issuer.rstrip("/") + "/.well-known/openid-configuration"), issuer)
            endpoint = metadata.get("token_endpoint")
            if metadata.get("issuer") != issuer or not isinstance(endpoint, str):
                raise Refused(f"what answers at {issuer} is not that issuer")
            require_safe(endpoint)
            form = {"grant_type": "client_credentials", "audience": "checkrein"}
            answer = http.post(endpoint, data=form, auth=httpx.BasicAuth(*map(_encoded, (id, secret))))
    except httpx.HTTPError as error:
        raise Unreachable(f"the issuer {issuer} cannot be reached ({type(error).__name__})") from None
    return _token(answer, issuer)


def _encoded(value: str) -> str:
    """Encode a client id or secret for Basic as RFC 6749 section 2.3.1 says."""
    from urllib.parse import quote_plus

    return quote_plus(value)


def _json(answer: Any, issuer: str) -> dict[str, Any]:
    try:
        value = answer.json()
    except ValueError:
        value = None
    if answer.status_code != 200 or not isinstance(value, dict):
        raise Unreachable(f"the issuer {issuer} answered {answer.status_code} to discovery")
    return value


def _token(answer: Any, issuer: str) -> str:
    from checkrein.cli.output import printable

    try:
        value = answer.json()
    except ValueError:
        value = {}
    token = value.get("access_token") if isinstance(value, dict) else None
    if answer.status_code == 200 and isinstance(token, str):
        return token
    reason = (value.get("error_description") or value.get("error") or "") if isinstance(value, dict) else ""
    raise Refused(f"the issuer {issuer} gave no token: {printable(reason) or answer.status_code}")


@click.command("token")
def command() -> None:
    """Print the agent's token: CHECKREIN_TOKEN, else by client credentials (CHECKREIN_CLIENT_ID, _SECRET, _ISSUER)."""
    click.echo(get_token())
