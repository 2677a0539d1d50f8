"""The stage of every benchmark: a PostgreSQL, a PgBouncer before it, and a gateway before it."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.support import gateway as gateways
from tests.support import postgres as servers
from tests.support.gateway import Gateway, Target
from tests.support.postgres import Database, PostgresServer

MASKED = """
apiVersion: checkrein/v1
kind: Policy
metadata: {name: bench}
spec:
  subjects: {groups: [bots]}
  targets: {names: ["*"]}
  rules:
    - name: work
      allow: {verbs: [select, insert, update], touches: ["public.*"]}
"""

MASKS = """
apiVersion: checkrein/v1
kind: Policy
metadata: {name: masks}
spec:
  subjects: {groups: [bots]}
  targets: {names: [db]}
  masks:
    - {columns: [public.wide.card, public.people.ssn], with: partial, keep_last: 4, inference: deny}
    - detect: [us_ssn, iban, email, jwt, private_key, aws_key, github_token, slack_token, stripe_key, credit_card]
      with: token
"""


@dataclass
class Route:
    """One way to the same database. `password` goes into PGPASSWORD."""

    name: str
    port: int
    user: str
    password: str
    database: str
    tls: str = "disable"
    ca: str = ""

    def environment(self) -> dict[str, str]:
        """Return libpq's variables for this route."""
        found = dict(os.environ)
        found |= {"PGHOST": "127.0.0.1", "PGPORT": str(self.port), "PGUSER": self.user, "PGDATABASE": self.database}
        found |= {"PGPASSWORD": self.password, "PGSSLMODE": self.tls}
        if self.ca:
            found["PGSSLROOTCERT"] = self.ca
        return found


@dataclass
class Stage:
    """Everything that runs."""

    server: PostgresServer
    database: Database
    gateway: Gateway
    direct: Route
    bouncer: Route
    checkrein: Route
    unmasked: Route

    @property
    def routes(self) -> tuple[Route, Route, Route]:
        """Direct, PgBouncer, Checkrein."""
        return self.direct, self.bouncer, self.checkrein

    @property
    def pgbench(self) -> str:
        """Path of pgbench."""
        return str(Path(self.server.binaries) / "pgbench")


def with_tls(route: Route, stage: Stage) -> Route:
    """Return the same route over TLS."""
    ca = str(stage.gateway.ca) if route.name == "checkrein" else stage.server.ca
    return Route(f"{route.name}", route.port, route.user, route.password, route.database, "require", ca)


@contextlib.contextmanager
def pgbouncer(server: PostgresServer, database: Database) -> Iterator[int]:
    """Run a PgBouncer in session pooling before a database; give its port."""
    program = shutil.which("pgbouncer") or "/usr/sbin/pgbouncer"
    folder = Path(tempfile.mkdtemp(prefix="checkrein-bouncer-", dir="/tmp"))
    port = gateways.free_port()
    (folder / "users.txt").write_text(f'"{server.user}" "{server.password}"\n')
    for name in ("server.key", "server.crt"):
        shutil.copy(Path(server.folder) / name, folder / name)
    (folder / "pgbouncer.ini").write_text(
        f"""[databases]
{database.name} = host=127.0.0.1 port={server.port} dbname={database.name}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
auth_type = plain
auth_file = {folder}/users.txt
pool_mode = session
max_client_conn = 200
default_pool_size = 50
ignore_startup_parameters = extra_float_digits
client_tls_sslmode = allow
client_tls_key_file = {folder}/server.key
client_tls_cert_file = {folder}/server.crt
unix_socket_dir =
"""
    )
    servers._give_to_server_user(folder)
    prefix = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    log = (folder / "log").open("wb")
    process = subprocess.Popen([*prefix, program, str(folder / "pgbouncer.ini")], stdout=log, stderr=log)
    log.close()
    try:
        _wait_ready(server, port)
        yield port
    finally:
        process.terminate()
        process.wait()
        shutil.rmtree(folder, ignore_errors=True)


def _wait_ready(server: PostgresServer, port: int) -> None:
    ready = str(Path(server.binaries) / "pg_isready")
    for _ in range(100):
        if subprocess.run([ready, "-h", "127.0.0.1", "-p", str(port), "-q"], check=False).returncode == 0:
            return
        subprocess.run(["sleep", "0.1"], check=True)
    raise RuntimeError("PgBouncer did not start")


@contextlib.contextmanager
def stage(rows: int) -> Iterator[Stage]:
    """Set everything up, with `rows` rows in public.wide; take it down at the end."""
    folder = servers.binaries()
    if folder is None:
        raise SystemExit("no PostgreSQL server binaries: apt-get install postgresql pgbouncer")
    server = servers.start(folder, "shared_buffers = 256MB\n")
    try:
        database = server.create_database()
        env = {**os.environ, "PGPASSWORD": server.password}
        where = ["-h", "127.0.0.1", "-p", str(server.port), "-U", server.user, database.name]
        subprocess.run(
            [str(folder / "pgbench"), "-i", "-q", "-s", "10", *where], env=env, check=True, capture_output=True
        )
        _fill(database, rows)
        targets = [Target(database, name="db"), Target(database, name="open")]
        policies = {"bench.yaml": MASKED, "masks.yaml": MASKS}
        with (
            pgbouncer(server, database) as bouncer,
            gateways.running(targets, policies, "tls: {loopback_plaintext: true}") as gateway,
        ):
            direct = Route("direct", server.port, server.user, server.password, database.name)
            pooled = Route("pgbouncer", bouncer, server.user, server.password, database.name)
            ours = Route("checkrein", gateway.port, "default", gateway.token("bot"), "db")
            plain = Route("checkrein", gateway.port, "default", gateway.token("bot"), "open")
            yield Stage(server, database, gateway, direct, pooled, ours, plain)
    finally:
        servers.stop(server)


def _fill(database: Database, rows: int) -> None:
    for statement in (
        f"""CREATE TABLE public.wide AS SELECT n AS id, 'customer ' || n AS name,
            lpad((n::bigint * 7919 % 10000000000000000)::text, 16, '4') AS card, now() + n * interval '1s' AS at,
            'order ' || md5(n::text) AS note FROM generate_series(1, {rows}) AS n""",
        "VACUUM ANALYZE",
    ):
        database.run(statement)
