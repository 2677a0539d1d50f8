"""A raw client of the gateway: bytes in any pieces out, answers in."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from tests.support.proxy import end, pieces, turns

if TYPE_CHECKING:
    from tests.conformance.driver import Answer, Driver

READ = 256 * 1024


class Wire:
    """One connection. `received` holds what came and was not yet taken; `everything` all that ever came."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, driver: Driver) -> None:
        self.reader = reader
        self.writer = writer
        self.driver = driver
        self.received = b""
        self.everything = b""
        self.sizes: tuple[int, ...] = ()
        self.over = False

    async def send(self, data: bytes) -> None:
        """Send, in pieces of `sizes`; a connection that is gone is not an error here."""
        with contextlib.suppress(ConnectionError):
            for piece in pieces(data, self.sizes):
                if self.writer.is_closing():
                    return
                self.writer.write(piece)
                await self.writer.drain()
                if self.sizes:
                    await turns(2)

    async def pour(self, parts: Iterable[bytes]) -> None:
        """Send parts until the connection is gone."""
        for part in parts:
            if self.over or self.writer.is_closing():
                return
            await self.send(part)

    async def more(self) -> bool:
        """Read once; return whether anything came before the end."""
        try:
            data = await self.reader.read(READ)
        except ConnectionError:
            data = b""
        self.received += data
        self.everything += data
        self.over = self.over or not data
        return bool(data)

    async def take(self, size: Callable[[bytes], int]) -> bytes:
        """Read until `size` of what was received is positive, then take that many bytes. Raises EOFError at the end."""
        while not (count := size(self.received)):
            if not await self.more():
                raise EOFError(f"the gateway closed after {self.received[-300:]!r}")
        taken, self.received = self.received[:count], self.received[count:]
        return taken

    async def answers(self, count: int) -> list[Answer]:
        """Return the next `count` answers, fewer when the connection ends before."""
        found: list[Answer] = []
        while True:
            new, used = self.driver.answers(self.received)
            found += new
            self.received = self.received[used:]
            if len(found) >= count or not await self.more():
                return found

    async def ask(self, *requests: bytes) -> list[Answer]:
        """Send requests in one go and return an answer to each."""
        await self.send(b"".join(requests))
        return await self.answers(len(requests))

    async def end(self) -> bytes:
        """Read to the end of the connection and return what was not taken before."""
        while await self.more():
            pass
        return self.received

    async def close(self) -> None:
        """Close this side."""
        self.writer.close()
        with contextlib.suppress(ConnectionError):
            await self.writer.wait_closed()

    def reset(self) -> None:
        """Drop the connection with a TCP reset."""
        end(self.writer, reset=True)
