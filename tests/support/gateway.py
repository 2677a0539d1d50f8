"""A real gateway process for a test: `checkrein serve` in a folder of its own, with the embedded issuer."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import textwrap
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psycopg

from tests.support.postgres import PASSWORD, Database

START_SECONDS = 60.0
STOP_SECONDS = 15.0

AGENTS = {"bot": ("bots",), "breaker": ("bots",), "reader": ("readers",), "stranger": ("nobody",)}
PEOPLE = {"anna": ("oncall",), "bert": ("oncall",), "carl": ("others",), "audrey": ("audit",), "root": ("platform",)}
ROLES = "{admin: [platform], approver: [oncall, others], auditor: [audit]}"


def policy(name: str, rules: str, groups: str = "bots", more: str = "", profiles: str = "default") -> str:
    """Return a policy for some groups on every target: `rules` are lines of its list, `more` other keys of its spec."""
    head = f"---\napiVersion: checkrein/v1\nkind: Policy\nmetadata: {{name: {name}}}\nspec:\n"
    who = f'  subjects: {{groups: [{groups}]}}\n  targets: {{names: ["*"], profiles: ["{profiles}"]}}\n'
    listed = textwrap.indent(textwrap.dedent(rules).strip(), "    ")
    others = textwrap.indent(textwrap.dedent(more).strip(), "  ")
    return f"{head}{who}  rules:\n{listed}\n{others}\n"


ALLOW_ALL = policy(
    "all",
    "- {name: everything, allow: {verbs: [select, insert, update, delete, truncate, lock, create, alter, drop, call]}}",
)


def free_port() -> int:
    """Return a free port of loopback."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Target:
    """One target of a gateway under test. `options` are further lines of its YAML mapping."""

    database: Database
    user: str = "postgres"
    password: str = PASSWORD
    name: str = "db"
    options: str = ""

    def yaml(self, folder: Path) -> str:
        """Return its entry; the password goes into a file."""
        secret = folder / f"{self.name}.password"
        secret.touch(mode=0o600)
        secret.write_text(self.password)
        server = self.database.server
        tls = "" if "tls:" in self.options else "\n    tls: {mode: disable}"
        options = "".join(f"\n    {line}" for line in self.options.splitlines())
        profiles = (
            ""
            if "profiles:" in self.options
            else f"""
    profiles:
      default: {{user: {self.user}, password: "file:{secret}"}}"""
        )
        return f"""
  - name: {self.name}
    protocol: postgres
    address: {server.host}:{server.port}
    database: {self.database.name}{tls}{options}{profiles}"""


@dataclass
class Gateway:
    """A running gateway. Its log is kept and may be searched with `log`."""

    folder: Path
    control: str
    port: int
    process: subprocess.Popen[bytes]
    lines: list[str] = field(default_factory=list)
    tokens: dict[str, str] = field(default_factory=dict)

    @property
    def log(self) -> str:
        """Everything that the gateway wrote to stderr so far."""
        return "\n".join(self.lines)

    @property
    def data(self) -> Path:
        """The data folder."""
        return self.folder / "data"

    @property
    def ca(self) -> Path:
        """The private CA's certificate."""
        return self.data / "tls" / "ca.pem"

    def token(self, who: str) -> str:
        """Return a token of an agent or person, fetched once from the embedded issuer."""
        if who not in self.tokens:
            form = {"grant_type": "client_credentials"}
            answer = httpx.post(f"{self.control}/issuer/token", data=form, auth=(who, f"secret-{who}"), trust_env=False)
            answer.raise_for_status()
            self.tokens[who] = answer.json()["access_token"]
        return self.tokens[who]

    def dsn(self, who: str = "bot", target: str = "db", profile: str = "default", **options: str) -> str:
        """Return a libpq connection string for an agent."""
        given = {"host": "127.0.0.1", "port": str(self.port), "dbname": target, "user": profile}
        given |= {"sslmode": "verify-full", "sslrootcert": str(self.ca), "password": self.token(who), **options}
        return psycopg.conninfo.make_conninfo("", **given)

    def connect(self, who: str = "bot", **options: str) -> psycopg.Connection[Any]:
        """Return an autocommit psycopg connection of an agent through the gateway."""
        return psycopg.connect(self.dsn(who, **options), autocommit=True)

    def api(self, who: str) -> httpx.Client:
        """Return a client of the control API that speaks for someone."""
        headers = {"authorization": f"Bearer {self.token(who)}"}
        return httpx.Client(base_url=self.control, headers=headers, trust_env=False, timeout=30)

    def environment(self, who: str = "") -> dict[str, str]:
        """Return the environment in which commands speak for someone; nobody given: the owner, by socket."""
        found = {key: value for key, value in os.environ.items() if not key.startswith("CHECKREIN_")}
        found["CHECKREIN_CONFIG"] = str(self.folder / "checkrein.yaml")
        if who:
            found |= {"CHECKREIN_TOKEN": self.token(who), "CHECKREIN_URL": self.control}
        return found

    def command(self, *arguments: str, who: str = "") -> subprocess.CompletedProcess[str]:
        """Run a `checkrein` command."""
        return subprocess.run(
            [sys.executable, "-m", "checkrein.cli", *arguments],
            env=self.environment(who),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def write_policies(self, policies: Mapping[str, str]) -> None:
        """Replace the policies on disk, each file whole; the gateway follows by itself (see `reload`)."""
        folder = self.folder / "policies"
        folder.mkdir(exist_ok=True)
        for path in folder.iterdir():
            if path.name not in policies:
                path.unlink()
        for name, text in policies.items():
            new = self.folder / f"{name}.new"
            new.write_text(textwrap.dedent(text))
            new.replace(folder / name)

    def sessions(self, **filters: str) -> list[dict[str, Any]]:
        """List sessions as the auditor sees them."""
        with self.api("audrey") as client:
            return client.get("/api/v1/sessions", params=filters).raise_for_status().json()  # type: ignore[no-any-return]

    def events(self, session: str, kind: str = "") -> list[dict[str, Any]]:
        """Return a session's events, of one kind or all."""
        with self.api("audrey") as client:
            found = client.get(f"/api/v1/sessions/{session}").raise_for_status().json()["events"]
        return [event for event in found if not kind or event["kind"] == kind]

    def stop(self) -> int:
        """End it with SIGTERM; return its exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(STOP_SECONDS)


@contextmanager
def running(
    targets: list[Target],
    policies: Mapping[str, str] | None = None,
    config: str = "",
    env: Mapping[str, str] | None = None,
    issuers: str = "",
) -> Iterator[Gateway]:
    """Run a gateway; fails when it does not end by itself on SIGTERM.

    `config` is further YAML of its configuration, `issuers` YAML entries of identity.issuers, one a line.
    """
    folder = Path(tempfile.mkdtemp(prefix="checkrein-gw-"))
    gateway = start(folder, targets, policies or {"all.yaml": ALLOW_ALL}, config, env, issuers)
    try:
        yield gateway
        assert gateway.stop() == 0, gateway.log
    finally:
        if gateway.process.poll() is None:
            gateway.process.kill()
            gateway.process.wait()
        shutil.rmtree(folder, ignore_errors=True)


def start(
    folder: Path,
    targets: list[Target],
    policies: Mapping[str, str],
    config: str = "",
    env: Mapping[str, str] | None = None,
    issuers: str = "",
) -> Gateway:
    """Write a configuration into a folder and start a gateway on it; returns when it serves."""
    control, port = free_port(), free_port()
    (folder / "secrets").mkdir(mode=0o700, exist_ok=True)
    members = {}
    for kind, names in (("agents", AGENTS), ("people", PEOPLE)):
        for name in names:
            path = folder / "secrets" / name
            path.touch(mode=0o600)
            path.write_text(f"secret-{name}")
        entries = [
            f'      - {{id: {name}, groups: [{", ".join(groups)}], secret: "file:secrets/{name}"}}'
            for name, groups in names.items()
        ]
        members[kind] = "\n".join(entries)
    listed = "issuers:\n" + textwrap.indent(textwrap.dedent(issuers).strip(), "  ") if issuers else ""
    (folder / "checkrein.yaml").write_text(
        f"""apiVersion: checkrein/v1
kind: Gateway
data: ./data
listen:
  control: 127.0.0.1:{control}
  postgres: 127.0.0.1:{port}
identity:
{textwrap.indent(listed, "  ")}
  embedded:
    ttl: 1h
    agents:
{members["agents"]}
    people:
{members["people"]}
people:
  roles: {ROLES}
policies: ./policies
{textwrap.dedent(config)}
targets:{"".join(target.yaml(folder) for target in targets)}
"""
    )
    gateway = Gateway(folder, f"http://127.0.0.1:{control}", port, None)  # type: ignore[arg-type]
    gateway.write_policies(policies)
    launch(gateway, env)
    return gateway


def launch(gateway: Gateway, env: Mapping[str, str] | None = None) -> None:
    """Start (or start again) the process of a gateway whose folder is written."""
    gateway.process = subprocess.Popen(
        [sys.executable, "-m", "checkrein.cli", "serve", "--config", str(gateway.folder / "checkrein.yaml")],
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        env={**os.environ, **(env or {})},
    )
    serving = threading.Event()
    threading.Thread(target=_follow, args=(gateway, gateway.process, serving), daemon=True).start()
    if not serving.wait(START_SECONDS) or '"serving"' not in gateway.log:
        gateway.process.kill()
        raise RuntimeError(f"the gateway did not start:\n{gateway.log}")


def _follow(gateway: Gateway, process: subprocess.Popen[bytes], serving: threading.Event) -> None:
    assert process.stderr is not None
    for line in process.stderr:
        text = line.decode(errors="replace").rstrip()
        gateway.lines.append(text)
        if '"serving"' in text and json.loads(text).get("event") == "serving":
            serving.set()
    process.stderr.close()
    serving.set()
