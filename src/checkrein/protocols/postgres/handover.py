"""Logs a local client in at the gateway with a fresh token, for `checkrein connect TARGET --listen`.

The client's start-up goes on with user and database replaced by profile and target; the gateway's cleartext request
(AuthenticationCleartextPassword) is answered here, inside TLS; from AuthenticationOk on bytes are only carried.
Source: PostgreSQL manual, 55.2.1 Start-up, 55.7 Message Formats.
"""

# not compiled: runs in a command
from __future__ import annotations

import struct
from typing import Final

from checkrein.core.errors import ProtocolError
from checkrein.core.identity import Secret
from checkrein.core.limits import STARTUP_BYTES
from checkrein.core.side import Side

_SSL: Final = 80877103
_GSS: Final = 80877104
_CANCEL: Final = 80877102
_SSL_REQUEST: Final = struct.pack("!II", 8, _SSL)
_OK, _CLEARTEXT = 0, 3


class Handover:
    """One connection's log-in: a `core.spec.TokenLogin`."""

    def __init__(self, target: str, profile: str) -> None:
        self.wants = "client"
        self._target = target
        self._profile = profile
        self._from_client = b""
        self._from_gateway = b""
        self._startup = b""
        self._to_client = b""
        self._to_gateway = b""
        self._cancelling = False

    def take(self) -> tuple[bytes, bytes]:
        """Return and forget what is to be sent to the client, and to the gateway."""
        out = self._to_client, self._to_gateway
        self._to_client = self._to_gateway = b""
        return out

    def client(self, data: bytes) -> None:
        """Take start-up packets; requests for encryption are answered N, loopback needs none. Raises ProtocolError."""
        self._from_client += data
        while self.wants == "client" and len(self._from_client) >= 8:
            length, code = struct.unpack_from("!II", self._from_client)
            if not 8 <= length <= STARTUP_BYTES:
                raise ProtocolError("a start-up packet of this length is not possible", Side.CLIENT)
            if len(self._from_client) < length:
                return
            packet, self._from_client = self._from_client[:length], self._from_client[length:]
            self._packet(code, packet)

    def _packet(self, code: int, packet: bytes) -> None:
        if code in (_SSL, _GSS):
            self._to_client += b"N"
            return
        if self._from_client:
            raise ProtocolError("bytes behind the start-up packet", Side.CLIENT)
        self._cancelling = code == _CANCEL
        self._startup = packet if self._cancelling else self._addressed(code, packet[8:])
        self.wants = "dial"

    def _addressed(self, code: int, body: bytes) -> bytes:
        """Return the start-up packet with user and database replaced. Raises ProtocolError."""
        if code >> 16 != 3:
            raise ProtocolError("protocol 3 is spoken here", Side.CLIENT)
        parts = body.split(b"\0")
        if len(parts) < 2 or parts[-2:] != [b"", b""] or len(parts) % 2:
            raise ProtocolError("the start-up packet cannot be read", Side.CLIENT)
        pairs = zip(parts[:-2:2], parts[1:-2:2], strict=True)
        kept = [pair for pair in pairs if pair[0] not in (b"user", b"database")]
        own = [(b"user", self._profile.encode()), (b"database", self._target.encode())]
        text = b"".join(name + b"\0" + value + b"\0" for name, value in own + kept) + b"\0"
        return struct.pack("!II", 8 + len(text), code) + text

    def dialled(self) -> None:
        """The transport to the gateway is open: TLS first."""
        self._to_gateway += _SSL_REQUEST
        self.wants = "gateway"

    def tls_started(self) -> None:
        """TLS runs: now the start-up packet may go."""
        self._to_gateway += self._startup
        self._startup = b""
        self.wants = "gateway"

    def gateway(self, data: bytes) -> None:
        """Take what the gateway says before the client is logged in. Raises ProtocolError."""
        if self._startup:
            if data != b"S":
                raise ProtocolError("the gateway does not offer TLS here", Side.TARGET)
            self.wants = "tls"
            return
        if self._cancelling:
            return
        self._from_gateway += data
        while self.wants == "gateway" and len(self._from_gateway) >= 5:
            length = 1 + struct.unpack_from("!I", self._from_gateway, 1)[0]
            if not 5 <= length <= STARTUP_BYTES:
                raise ProtocolError("what answers is not the gateway", Side.TARGET)
            if len(self._from_gateway) < length:
                return
            message, self._from_gateway = self._from_gateway[:length], self._from_gateway[length:]
            self._message(message)
        if self.wants == "open":
            self._to_client += self._from_gateway
            self._from_gateway = b""

    def _message(self, message: bytes) -> None:
        kind = message[:1]
        method = struct.unpack_from("!I", message, 5)[0] if kind == b"R" and len(message) >= 9 else -1
        if method == _CLEARTEXT:
            self.wants = "token"
            return
        if method != _OK and kind not in (b"E", b"N", b"v"):
            raise ProtocolError("the gateway asks for something else than a token", Side.TARGET)
        self._to_client += message
        if kind == b"E":
            self.wants = "close"
        elif method == _OK:
            self.wants = "open"

    def give(self, token: Secret) -> None:
        """Answer the gateway's request with the token, which travels inside TLS alone."""
        value = token.reveal() + b"\0"
        self._to_gateway += b"p" + struct.pack("!I", 4 + len(value)) + value
        self.wants = "gateway"

    def failed(self, reason: str) -> None:
        """Tell the client in an ErrorResponse (08001) and close; a cancel request is never answered, only closed."""
        self.wants = "close"
        if self._cancelling:
            return
        fields = (b"SFATAL", b"VFATAL", b"C08001", b"M" + reason.encode())
        body = b"".join(field.replace(b"\0", b"") + b"\0" for field in fields) + b"\0"
        self._to_client += b"E" + struct.pack("!I", 4 + len(body)) + body
