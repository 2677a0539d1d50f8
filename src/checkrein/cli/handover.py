"""A local port that logs its clients in at the gateway with a fresh token each time: `checkrein connect --listen`.

Loopback only: whoever reaches the port is the agent. The protocol's part is its `token_login`, the sockets are here.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Callable

import msgspec

from checkrein.core.errors import CheckreinError
from checkrein.core.identity import Secret
from checkrein.core.limits import DIAL_SECONDS, LOGIN_SECONDS, MAX_CONNECTIONS
from checkrein.core.spec import TokenLogin

_CHUNK = 64 * 1024


class Gateway(msgspec.Struct, frozen=True):
    """Where the gateway is; `ca` is a PEM path, empty for the system's authorities."""

    host: str
    port: int
    ca: str = ""

    def context(self) -> ssl.SSLContext:
        """Return TLS that verifies certificate and host name."""
        return ssl.create_default_context(cafile=self.ca or None)


class LocalPort:
    """Serves local connections. `login` makes a protocol's TokenLogin, `token` gives a fresh token (it may block)."""

    def __init__(self, gateway: Gateway, login: Callable[[], TokenLogin], token: Callable[[], str]) -> None:
        self._gateway = gateway
        self._login = login
        self._token = token
        self._tls = gateway.context()
        self._tasks: set[asyncio.Task[None]] = set()

    async def listen(self, port: int) -> asyncio.Server:
        """Listen on 127.0.0.1 at `port` (0: any). Raises OSError."""
        return await asyncio.start_server(self._accept, "127.0.0.1", port)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._tasks) >= MAX_CONNECTIONS:
            writer.close()
            return
        task = asyncio.create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = _Connection(self._gateway, self._tls, self._login(), self._token, reader, writer)
        try:
            await connection.run()
        except (OSError, CheckreinError):
            pass
        finally:
            connection.close()


class _Connection:
    """One client, and its transport to the gateway."""

    def __init__(
        self,
        gateway: Gateway,
        tls: ssl.SSLContext,
        login: TokenLogin,
        token: Callable[[], str],
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self._gateway = gateway
        self._tls = tls
        self._login = login
        self._token = token
        self._client = (reader, writer)
        self._far: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    def close(self) -> None:
        """Close both transports."""
        self._client[1].close()
        if self._far is not None:
            self._far[1].close()

    async def run(self) -> None:
        """Log in, then carry bytes until either side ends."""
        try:
            async with asyncio.timeout(LOGIN_SECONDS):
                while self._login.wants not in ("open", "close"):
                    await self._step()
                    await self._flush()
        except (TimeoutError, OSError, CheckreinError) as error:
            self._login.failed(f"checkrein connect: {_sentence(error)}")
        await self._flush()
        if self._login.wants == "open" and self._far is not None:
            await _carry(self._client, self._far)

    async def _step(self) -> None:
        """Do the one thing that the log-in wants next."""
        wants = self._login.wants
        if wants == "client":
            self._login.client(await _some(self._client[0], "the client"))
        elif wants == "dial":
            async with asyncio.timeout(DIAL_SECONDS):
                self._far = await asyncio.open_connection(self._gateway.host, self._gateway.port)
            self._login.dialled()
        elif wants == "token":
            self._login.give(Secret(await asyncio.to_thread(self._token)))
        elif wants == "tls":
            assert self._far is not None
            await self._far[1].start_tls(self._tls, server_hostname=self._gateway.host)
            self._login.tls_started()
        else:
            assert self._far is not None
            self._login.gateway(await _some(self._far[0], "the gateway"))

    async def _flush(self) -> None:
        near, far = self._login.take()
        if near:
            self._client[1].write(near)
            await self._client[1].drain()
        if far and self._far is not None:
            self._far[1].write(far)
            await self._far[1].drain()


def _sentence(error: BaseException) -> str:
    if isinstance(error, TimeoutError):
        return "the log-in took too long"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the gateway's certificate is not trusted: {error.verify_message}"
    return str(error) or type(error).__name__


async def _some(reader: asyncio.StreamReader, who: str) -> bytes:
    data = await reader.read(_CHUNK)
    if not data:
        raise ConnectionError(f"{who} closed the connection")
    return data


async def _carry(
    one: tuple[asyncio.StreamReader, asyncio.StreamWriter], other: tuple[asyncio.StreamReader, asyncio.StreamWriter]
) -> None:
    """Carry bytes both ways until either side ends, with back-pressure."""
    ways = [asyncio.create_task(_one_way(one[0], other[1])), asyncio.create_task(_one_way(other[0], one[1]))]
    try:
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for way in ways:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)


async def _one_way(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(_CHUNK):
            writer.write(data)
            await writer.drain()
