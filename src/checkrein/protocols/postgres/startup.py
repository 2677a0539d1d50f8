"""Start-up packets: what a client says first, and what the gateway says first to a target.

PostgreSQL manual, "Message Formats" (StartupMessage, SSLRequest, GSSENCRequest, CancelRequest) and "Start-up".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from checkrein.core.errors import ProtocolError
from checkrein.core.framing import int32_at
from checkrein.core.limits import STARTUP_BYTES
from checkrein.core.side import Side

SSL_CODE: Final = 80877103
GSS_CODE: Final = 80877104
CANCEL_CODE: Final = 80877102
SSL_REQUEST: Final = (8).to_bytes(4, "big") + SSL_CODE.to_bytes(4, "big")

_ENCODINGS: Final = {
    "UTF8": "UTF8",
    "UNICODE": "UTF8",
    "LATIN1": "LATIN1",
    "ISO88591": "LATIN1",
    "SQLASCII": "SQL_ASCII",
}


class SslRequest(msgspec.Struct, frozen=True):
    """The client asks whether TLS may start."""


class GssRequest(msgspec.Struct, frozen=True):
    """The client asks whether GSSAPI encryption may start; the answer is always 'N'."""


class CancelRequest(msgspec.Struct, frozen=True):
    """The client asks that the session of `key` (what BackendKeyData told it, 8 to 260 bytes) be cancelled."""

    key: bytes


class Startup(msgspec.Struct, frozen=True):
    """A StartupMessage: protocol minor version and parameters in the order given."""

    minor: int
    parameters: dict[str, str]

    @property
    def extensions(self) -> tuple[str, ...]:
        """Names of the protocol extensions asked for (`_pq_.*`), all of which are declined."""
        return tuple(name for name in self.parameters if name.startswith("_pq_."))


StartupPacket = SslRequest | GssRequest | CancelRequest | Startup


def packet_size(buffer: bytes) -> int:
    """Return the size of the packet at the front, 0 while its length is not there.

    Raises ProtocolError when it is shorter than eight bytes or longer than STARTUP_BYTES (PG-A31).
    """
    if len(buffer) < 4:
        return 0
    size = int32_at(buffer, 0)
    if size < 8 or size > STARTUP_BYTES:
        raise ProtocolError(
            f"a start-up packet of {size} bytes; it must have 8 to {STARTUP_BYTES}", Side.CLIENT, "08P01"
        )
    return size


def parse_packet(packet: bytes) -> StartupPacket:
    """Read one whole start-up packet. Raises ProtocolError for anything but the four that exist in protocol 3."""
    code = int32_at(packet, 4)
    if code in (SSL_CODE, GSS_CODE):
        if len(packet) != 8:
            raise ProtocolError("an encryption request has exactly eight bytes", Side.CLIENT, "08P01")
        return SslRequest() if code == SSL_CODE else GssRequest()
    if code == CANCEL_CODE:
        if not 16 <= len(packet) <= 268:
            raise ProtocolError("a cancel key has 8 to 260 bytes", Side.CLIENT, "08P01")
        return CancelRequest(packet[8:])
    if code >> 16 != 3:
        raise ProtocolError(f"protocol {code >> 16}.{code & 0xFFFF} is not spoken here", Side.CLIENT, "0A000")
    return Startup(code & 0xFFFF, _parameters(packet[8:]))


def _parameters(body: bytes) -> dict[str, str]:
    """Read name and value pairs up to the closing zero byte; a dangling name or a name given twice is an error."""
    pieces = body.split(b"\0")
    if len(pieces) < 2 or pieces[-1] or pieces[-2] or len(pieces) % 2:
        raise ProtocolError("start-up parameters are not pairs closed by a zero byte", Side.CLIENT, "08P01")
    found: dict[str, str] = {}
    for name, value in zip(pieces[:-2:2], pieces[1:-2:2], strict=True):
        key = _text(name)
        if not key or key in found:
            raise ProtocolError("a start-up parameter without name, or given twice", Side.CLIENT, "08P01")
        found[key] = _text(value)
    return found


def _text(value: bytes) -> str:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        raise ProtocolError("a start-up parameter is not UTF-8", Side.CLIENT, "22021") from None


def negotiate(startup: Startup, newest: int = 0) -> bytes:
    """Return NegotiateProtocolVersion (minor version spoken, extensions declined), empty when nothing is declined."""
    if startup.minor <= newest and not startup.extensions:
        return b""
    names = [name.encode() + b"\0" for name in startup.extensions]
    body = ((3 << 16) | newest).to_bytes(4, "big") + len(names).to_bytes(4, "big") + b"".join(names)
    return b"v" + (len(body) + 4).to_bytes(4, "big") + body


def startup_message(parameters: Mapping[str, str]) -> bytes:
    """Return a StartupMessage of protocol 3.0. Raises ProtocolError when a name or value holds a zero byte."""
    body = bytearray((3 << 16).to_bytes(4, "big"))
    for name, value in parameters.items():
        if "\0" in name or "\0" in value or not name:
            raise ProtocolError("a start-up parameter holds a zero byte", Side.CLIENT, "22021")
        body += name.encode() + b"\0" + value.encode() + b"\0"
    body += b"\0"
    return (len(body) + 4).to_bytes(4, "big") + bytes(body)


def encoding_of(name: str) -> str:
    """Return UTF8, LATIN1 or SQL_ASCII for any spelling of these, empty for any other encoding."""
    return _ENCODINGS.get("".join(letter for letter in name.upper() if letter.isalnum()), "")


def target_settings(forward: Mapping[str, str], principal: str) -> dict[str, str]:
    """Return what is set on the target at login: the client's settings that may pass, and what the gateway holds.

    `forward` is `settings.startup_parameters(...).forward`. The principal's name becomes `application_name` (I11).
    Raises ProtocolError (22023) for a client encoding other than UTF8, LATIN1 and SQL_ASCII (PG-A30).
    """
    encoding = encoding_of(forward.get("client_encoding", "UTF8"))
    if not encoding:
        raise ProtocolError("client_encoding must be UTF8, LATIN1 or SQL_ASCII", Side.CLIENT, "22023")
    return dict(forward) | {
        "client_encoding": encoding,
        "standard_conforming_strings": "on",
        "application_name": application_name(principal),
    }


def application_name(principal: str) -> str:
    """Return a principal's name as a server shows it: printable ASCII, others as `?`, at most 63 bytes."""
    return "".join(letter if " " <= letter <= "~" else "?" for letter in principal)[:63]
