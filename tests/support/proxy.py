"""A TCP proxy for tests: it records what passes, passes it in pieces of any size, and breaks at any byte."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import socket
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

CHUNK = 256 * 1024
UP, DOWN = "up", "down"
"""Towards the server, and back from it."""


@dataclass(frozen=True)
class Cut:
    """Break a connection once this many bytes have passed a way: with a reset, or with an orderly end."""

    way: str
    after: int
    reset: bool = True


def _set() -> asyncio.Event:
    event = asyncio.Event()
    event.set()
    return event


@dataclass
class Carried:
    """One connection through the proxy: the bytes of each way, kept or only counted.

    `says` replaces what the server says by other bytes, once. `client` is the address that connected.
    A way whose event in `going` is cleared is not read: its sender stalls.
    """

    cut: Cut | None
    client: tuple[str, int]
    says: bytes | None = None
    going: dict[str, asyncio.Event] = field(default_factory=lambda: {UP: _set(), DOWN: _set()})
    up: bytearray = field(default_factory=bytearray)
    down: bytearray = field(default_factory=bytearray)
    passed: dict[str, int] = field(default_factory=lambda: {UP: 0, DOWN: 0})
    broken: bool = False
    ended: asyncio.Event = field(default_factory=asyncio.Event)


class Proxy:
    """Carries connections to a server. What it does is set by its attributes, at any time.

    `sizes` gives piece sizes (bytes) to pass everything in; `cut` is taken over by each connection as it is made;
    `watch` sees bytes before they go to the server.
    """

    def __init__(self, host: str, port: int) -> None:
        self.server = (host, port)
        self.connections: list[Carried] = []
        self.keep = True
        self.sizes: tuple[int, ...] = ()
        self.cut: Cut | None = None
        self.watch: Callable[[Carried, bytes], None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._listener: asyncio.Server | None = None

    async def start(self) -> tuple[str, int]:
        """Listen on a free port of loopback and return it."""
        self._listener = await asyncio.start_server(self._accepted, "127.0.0.1", 0)
        name = self._listener.sockets[0].getsockname()
        return str(name[0]), int(name[1])

    async def stop(self) -> None:
        """Break what is still carried and stop listening."""
        assert self._listener is not None
        self._listener.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def passed(self, way: str) -> int:
        """Return how many bytes passed a way in all."""
        return sum(one.passed[way] for one in self.connections)

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        carried = Carried(self.cut, writer.get_extra_info("peername")[:2])
        self.connections.append(carried)
        writers = [writer]
        try:
            there, onward = await asyncio.open_connection(*self.server, limit=CHUNK)
            writers.append(onward)
            await self._carry(carried, (reader, onward), (there, writer))
        except ConnectionError:
            pass
        except asyncio.CancelledError:
            carried.broken = True
        finally:
            for one in writers:
                end(one, carried.broken and (carried.cut is None or carried.cut.reset))
            for one in writers:
                with contextlib.suppress(OSError):
                    await one.wait_closed()
            carried.ended.set()

    async def _carry(
        self,
        carried: Carried,
        up: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        down: tuple[asyncio.StreamReader, asyncio.StreamWriter],
    ) -> None:
        """Carry both ways until one ends."""
        pumps = [asyncio.create_task(self._pump(carried, way, *ends)) for way, ends in ((UP, up), (DOWN, down))]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            if up[0].at_eof() and not carried.broken:
                await asyncio.wait(pumps)
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)

    async def _pump(
        self, carried: Carried, way: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(CHUNK):
                await carried.going[way].wait()
                if way == DOWN and carried.says is not None:
                    data, carried.says = carried.says, None
                for piece in pieces(data, self.sizes):
                    allowed = self._allowed(carried, way, piece)
                    if allowed and not writer.is_closing():
                        self._note(carried, way, allowed)
                        writer.write(allowed)
                        await writer.drain()
                    if carried.broken:
                        return
                    if self.sizes:
                        await turns(2)
            if not writer.is_closing():
                writer.write_eof()

    def _allowed(self, carried: Carried, way: str, piece: bytes) -> bytes:
        cut = carried.cut
        if cut is None or cut.way != way:
            return piece
        left = cut.after - carried.passed[way]
        if len(piece) < left:
            return piece
        carried.broken = True
        return piece[: max(left, 0)]

    def _note(self, carried: Carried, way: str, data: bytes) -> None:
        carried.passed[way] += len(data)
        if self.keep:
            (carried.up if way == UP else carried.down).extend(data)
            if way == UP and self.watch is not None:
                self.watch(carried, data)


def pieces(data: bytes, sizes: tuple[int, ...]) -> Iterator[bytes]:
    """Cut bytes into pieces of these sizes, over and over; no sizes: one piece."""
    if not sizes:
        yield data
        return
    at = 0
    for size in itertools.cycle(sizes):
        if at >= len(data):
            return
        yield data[at : at + size]
        at += size


async def turns(count: int) -> None:
    """Let the loop turn, so that what was written is read by its peer as a piece of its own."""
    for _ in range(count):
        await asyncio.sleep(0)


def end(writer: asyncio.StreamWriter, reset: bool) -> None:
    """Close a connection: with a TCP reset, or in order after what was written."""
    if reset:
        sock = writer.get_extra_info("socket")
        if sock is not None and sock.fileno() >= 0:
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()
    else:
        writer.close()
