"""An endpoint's writes: in order and whole, whatever the socket takes at once."""

from __future__ import annotations

import asyncio
import hashlib
import socket
from collections.abc import Callable

import pytest
import uvloop

from checkrein.core.side import Side
from checkrein.dataplane.transports import Endpoint


class Listener:
    """A relay that keeps what its transport tells."""

    def __init__(self) -> None:
        self.full: list[bool] = []
        self.over = asyncio.Event()

    def data(self, side: Side, data: bytes) -> None:
        raise AssertionError("nothing was sent to it")

    def ended(self, side: Side) -> None:
        self.over.set()

    def pressure(self, side: Side, full: bool) -> None:
        self.full.append(full)


async def pair() -> tuple[Endpoint, asyncio.Transport, Listener, socket.socket]:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    theirs.setblocking(False)
    listener = Listener()
    endpoint = Endpoint(Side.CLIENT, listener)
    await asyncio.get_running_loop().create_connection(lambda: endpoint, sock=ours)
    assert endpoint.transport is not None
    return endpoint, endpoint.transport, listener, theirs


async def everything(sock: socket.socket, size: int) -> bytes:
    """Read so many bytes, or what comes within five seconds."""
    got = bytearray()
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(5):
            while len(got) < size:
                got += await loop.sock_recv(sock, 100_000)
    except TimeoutError:
        pass
    return bytes(got)


PIECES = [bytes([number]) * size for number, size in enumerate([1, 500_000, 7, 0, 900_000, 3, 65_536, 2], 1)]


@pytest.mark.parametrize("factory", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_a_slow_reader_gets_every_byte_in_order(factory: Callable[[], asyncio.AbstractEventLoop]) -> None:
    """What the socket does not take goes behind, and later pieces wait their turn; pressure is told."""

    async def scene() -> None:
        endpoint, transport, listener, theirs = await pair()
        for piece in PIECES:
            endpoint.write(piece)
        expected = b"".join(PIECES)
        try:
            got = await everything(theirs, len(expected))
            endpoint.write(b"last")
            assert await everything(theirs, 4) == b"last"
        finally:
            theirs.close()
            transport.abort()
        assert hashlib.sha256(got).digest() == hashlib.sha256(expected).digest()
        assert listener.full == [True, False]

    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(asyncio.wait_for(scene(), 20))


def test_a_reader_that_is_gone_ends_the_endpoint_and_later_writes_do_nothing() -> None:
    """The transport finds out; nothing is raised into the session."""

    async def scene() -> None:
        endpoint, transport, listener, theirs = await pair()
        theirs.close()
        endpoint.write(b"into the void")
        await listener.over.wait()
        transport.abort()
        endpoint.write(b"and again")

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(asyncio.wait_for(scene(), 20))
