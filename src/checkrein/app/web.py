"""The control API's two doors: loopback TCP and the socket in the data folder, served by uvicorn on the same loop."""

from __future__ import annotations

import asyncio
import os
import socket
from pathlib import Path
from typing import Any, Final

import uvicorn

from checkrein.control.api.callers import LocalAware

SOCKET: Final = "control.sock"
SOCKET_BACKLOG: Final = 64


class _Server(uvicorn.Server):
    """uvicorn without its own signal handlers: the application ends it."""

    def install_signal_handlers(self) -> None:
        """Leave signals to the application."""

    def capture_signals(self) -> Any:
        """Leave signals to the application."""
        import contextlib

        return contextlib.nullcontext()


class Web:
    """Serves one ASGI application on the control address and on the socket."""

    def __init__(self, data: Path, listener: socket.socket | None) -> None:
        self._path = data / SOCKET
        self._listener = listener
        self._server: _Server | None = None
        self._task: asyncio.Task[None] | None = None

    def start(self, app: Any) -> None:
        """Serve. The sockets were bound before, so a taken address is found at start."""
        # No proxy headers: X-Forwarded-For would let a caller name itself `local:root`, or dodge the issuer's throttle.
        config = uvicorn.Config(
            app, log_config=None, access_log=False, lifespan="off", http=LocalAware, ws="none", proxy_headers=False
        )
        self._server = _Server(config)
        sockets = [_local(self._path)]
        if self._listener is not None:
            sockets.append(self._listener)
        self._task = asyncio.get_running_loop().create_task(self._server.serve(sockets))

    async def stop(self) -> None:
        """End open requests and give the sockets up."""
        if self._server is not None and self._task is not None:
            self._server.should_exit = True
            self._server.force_exit = True
            await self._task
        self._path.unlink(missing_ok=True)


def bind(host: str, port: int) -> socket.socket:
    """Bind the control address. Raises OSError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((host, port))
        sock.listen(SOCKET_BACKLOG)
    except OSError:
        sock.close()
        raise
    sock.setblocking(False)
    return sock


def _local(path: Path) -> socket.socket:
    """Bind the socket that only the owner of the data folder (0700) and root can reach; itself 0600."""
    path.unlink(missing_ok=True)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        sock.bind(str(path))
    finally:
        os.umask(before)
    sock.listen(SOCKET_BACKLOG)
    sock.setblocking(False)
    return sock
