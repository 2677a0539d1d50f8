"""The two asyncio protocols of a relay: they hand bytes, ends and write pressure on, and do nothing else."""

from __future__ import annotations

import asyncio
import os
import select
import socket
from typing import Protocol, cast

from checkrein.core.limits import WRITE_HIGH_WATER
from checkrein.core.side import Side


class Ends(Protocol):
    """What a transport tells its relay."""

    def data(self, side: Side, data: bytes) -> None:
        """Bytes arrived."""

    def ended(self, side: Side) -> None:
        """The peer is gone or will send no more."""

    def pressure(self, side: Side, full: bool) -> None:
        """The write buffer of a side went over or under its mark."""


class Endpoint(asyncio.Protocol):
    """One side's transport."""

    def __init__(self, side: Side, relay: Ends) -> None:
        self.side = side
        self.relay = relay
        self.transport: asyncio.Transport | None = None
        self.over = False
        self._descriptor = -1

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Set marks and TCP options."""
        self.adopt(cast(asyncio.Transport, transport))  # uvloop's have the interface without the base class
        sock = transport.get_extra_info("socket")
        if sock is not None and sock.family in (socket.AF_INET, socket.AF_INET6):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)

    def adopt(self, transport: asyncio.Transport) -> None:
        """Take over a transport (also after TLS was started on it)."""
        self.transport = transport
        transport.set_write_buffer_limits(high=WRITE_HIGH_WATER)
        sock = transport.get_extra_info("socket")
        clear = sock is not None and transport.get_extra_info("sslcontext") is None
        self._descriptor = sock.fileno() if clear else -1

    def write(self, data: bytes) -> None:
        """Send bytes behind those that were sent before; nothing once the transport is closing.

        While nothing waits in the transport and there is no TLS they go straight to the socket: the transport would
        keep them until the loop's next turn. What the socket does not take, and its errors, are the transport's.
        """
        transport = self.transport
        if transport is None or transport.is_closing():
            return
        if self._descriptor >= 0 and transport.get_write_buffer_size() == 0:
            try:
                sent = os.write(self._descriptor, data)
            except OSError:  # full, or the peer is gone: the transport finds out and says so
                sent = 0
            if sent == len(data):
                return
            data = data[sent:]
        transport.write(data)

    def data_received(self, data: bytes) -> None:
        """Hand bytes on."""
        self.relay.data(self.side, data)

    def eof_received(self) -> bool:
        """A half-closed peer is a gone peer: no protocol here goes on after its end of stream."""
        self._end()
        return self.transport is not None and self.transport.get_extra_info("sslcontext") is None  # TLS has no half

    def connection_lost(self, exc: Exception | None) -> None:
        """The transport is closed."""
        self._end()

    def _end(self) -> None:
        if not self.over:
            self.over = True
            self.relay.ended(self.side)

    def pause_writing(self) -> None:
        """The peer reads slowly: stop reading from the other side."""
        self.relay.pressure(self.side, True)

    def resume_writing(self) -> None:
        """The peer caught up."""
        self.relay.pressure(self.side, False)

    def hung_up(self, reset_only: bool = False) -> bool:
        """Whether the peer went away, found without reading (a paused transport does not notice).

        `reset_only`: an orderly end, before which there may be bytes that were not read, does not count.
        """
        if self.transport is None or self.transport.is_closing():
            return True
        sock = self.transport.get_extra_info("socket")
        if sock is None or sock.fileno() < 0:
            return True
        poll = select.poll()
        orderly = 0 if reset_only else select.POLLRDHUP
        poll.register(sock.fileno(), orderly | select.POLLHUP | select.POLLERR)
        return bool(poll.poll(0))
