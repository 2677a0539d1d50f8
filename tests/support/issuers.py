"""Real OIDC issuers in processes of their own: the embedded one, and an independent implementation (nanoidp)."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import httpx
import pytest

ROOT = Path(__file__).parents[2]

_SETTINGS = """
config_version: 1
server: {{host: "127.0.0.1", port: {port}}}
oauth:
  issuer: "http://127.0.0.1:{port}"
  audience: "{audience}"
  token_expiry_minutes: 60
  clients:
    - {{client_id: "bot", client_secret: "bot-secret", description: "an agent"}}
"""

_USERS = """
config_version: 1
users:
  anna:
    password: "anna-secret"
    email: "anna@example.org"
    groups: ["oncall", "staff"]
    roles: ["USER"]
    tenant: "default"
"""


class IssuerProcess:
    """A running issuer: its URL, and how to get a token from it."""

    def __init__(self, url: str, process: subprocess.Popen[str], token_endpoint: str) -> None:
        self.url = url
        self.process = process
        self._token_endpoint = token_endpoint

    def token(self, id: str, secret: str, **form: str) -> str:
        """Return an access token by client credentials, or by the grant in `form`."""
        body = {"grant_type": "client_credentials", **form}
        answer = httpx.post(self._token_endpoint, data=body, auth=(id, secret), trust_env=False)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["access_token"])

    def stop(self) -> None:
        """End the process."""
        self.process.terminate()
        self.process.wait(10)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _start(
    command: list[str], ready: str, cwd: Path, environment: dict[str, str] | None = None
) -> tuple[subprocess.Popen[str], str]:
    """Start a process and read its output up to the line that holds `ready`; return that line."""
    process = subprocess.Popen(
        command,
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONWARNINGS": "ignore", **(environment or {})},
    )
    assert process.stdout is not None
    seen: list[str] = []
    for line in process.stdout:
        seen.append(line)
        if ready in line:
            threading.Thread(target=_drain, args=(process.stdout,), daemon=True).start()
            return process, line
    raise AssertionError("the issuer did not start:\n" + "".join(seen))


def _drain(output: IO[str]) -> None:
    """Read what a process says until it ends, so that its log never fills the pipe."""
    with output:
        output.read()


@contextlib.contextmanager
def embedded_issuer(folder: Path) -> Iterator[IssuerProcess]:
    """Run the gateway's own issuer under uvicorn; members bot (bot-secret) and anna (anna-secret)."""
    command = [sys.executable, "-m", "tests.support.embedded", str(folder)]
    process, line = _start(command, "issuer at ", ROOT)
    url = line.split("issuer at ", 1)[1].strip()
    issuer = IssuerProcess(url, process, f"{url}/token")
    try:
        yield issuer
    finally:
        issuer.stop()


@contextlib.contextmanager
def independent_issuer(folder: Path, audience: str = "checkrein") -> Iterator[IssuerProcess]:
    """Run nanoidp: client bot (bot-secret), person anna (anna-secret) by the password grant."""
    pytest.importorskip("nanoidp")
    port = _free_port()
    config = folder / "config"
    (config / "keys").mkdir(parents=True)
    (config / "settings.yaml").write_text(_SETTINGS.format(port=port, audience=audience))
    (config / "users.yaml").write_text(_USERS)
    command = [sys.executable, "-m", "nanoidp", "--config", str(config), "--port", str(port)]
    process, _ = _start(command, "Running on http", folder)
    url = f"http://127.0.0.1:{port}"
    issuer = IssuerProcess(url, process, f"{url}/token")
    try:
        yield issuer
    finally:
        issuer.stop()
