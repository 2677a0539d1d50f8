"""Both logins: us as server to the client, us as client to the target. Sans-IO."""

# not compiled: runs once a login; raises with `from None`, which keeps its context once compiled
from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Final

from checkrein.core.errors import ProtocolError, Unavailable
from checkrein.core.framing import frame, frame_size, int32_at
from checkrein.core.identity import Secret
from checkrein.core.limits import LOGIN_MESSAGE_BYTES, LOGIN_MESSAGES
from checkrein.core.side import Side
from checkrein.core.target import Link
from checkrein.protocols.postgres.errors import login_reason
from checkrein.protocols.postgres.scram import Scram
from checkrein.protocols.postgres.startup import (
    SSL_REQUEST,
    GssRequest,
    SslRequest,
    Startup,
    StartupPacket,
    encoding_of,
    packet_size,
    parse_packet,
    startup_message,
)

PASSWORD_REQUEST: Final = frame(b"R", (3).to_bytes(4, "big"))
"""AuthenticationCleartextPassword: the token comes as a password, so only inside TLS or on loopback."""

POOLER_PROBE: Final = "SELECT pg_catalog.pg_backend_pid()"
"""Answers the process behind the link; compare it with `TargetLogin.process` by `pooler_reason`."""


def pooler_reason(process: int, answer: str | None) -> str:
    """Return why a target may not be used, empty when it is a server: POOLER_PROBE's answer against BackendKeyData.

    A server tells its own process id in BackendKeyData. A pooler makes up a key there, since it cannot say which server
    process will run the next transaction; session state (settings, prepared statements) would go astray (tried with
    PgBouncer in transaction and session pooling, which cannot be told apart over one link).
    """
    if answer is not None and answer == str(process):
        return ""
    return "the target is a connection pooler, which loses session state; point the target at the server itself"


class ClientLogin:
    """Us as server: reads what a client says before it is known. Feed bytes, get one packet at a time.

    `receive` answers None until one is whole; call it again with no bytes for what is left. The order is encryption
    requests (each at most once), a start-up or a cancel, then, once `asks_password`, one PasswordMessage as a Secret.
    """

    def __init__(self) -> None:
        self._buffer = b""
        self._seen: set[type] = set()
        self._started = False

    @property
    def surplus(self) -> bytes:
        """Bytes received behind the last packet. Any that came with an SSLRequest must close the connection."""
        return self._buffer

    def take_surplus(self) -> bytes:
        """Return the surplus and forget it: after the login it belongs to the session."""
        left, self._buffer = self._buffer, b""
        return left

    def receive(self, data: bytes) -> StartupPacket | Secret | None:
        """Take bytes. Raises ProtocolError for whatever does not belong here; nothing is buffered beyond one packet."""
        self._buffer += data
        if self._started:
            return self._password()
        size = packet_size(self._buffer)
        if not size or len(self._buffer) < size:
            return None
        packet = parse_packet(self._buffer[:size])
        self._buffer = self._buffer[size:]
        self._check_order(packet)
        return packet

    def _check_order(self, packet: StartupPacket) -> None:
        if isinstance(packet, SslRequest | GssRequest):
            if type(packet) in self._seen:
                raise ProtocolError("encryption was asked for twice", Side.CLIENT, "08P01")
            if self._buffer:  # they would be taken for what came through the encrypted channel (CVE-2021-23222)
                raise ProtocolError("bytes arrived together with an encryption request", Side.CLIENT, "08P01")
            self._seen.add(type(packet))
        elif isinstance(packet, Startup):
            self._started = True

    def _password(self) -> Secret | None:
        if self._buffer[:1] not in (b"", b"p"):
            raise ProtocolError("a password was expected", Side.CLIENT, "08P01")
        size = frame_size(self._buffer, 0, LOGIN_MESSAGE_BYTES, Side.CLIENT)
        if not size or len(self._buffer) < size:
            return None
        password = read_password(self._buffer[:size])
        self._buffer = self._buffer[size:]
        return password


def read_password(message: bytes) -> Secret:
    """Read a whole PasswordMessage frame: one string, not empty, closed by the frame's only zero byte."""
    if message[:1] != b"p" or len(message) < 7 or message.find(b"\0", 5) != len(message) - 1:
        raise ProtocolError("a malformed or empty password message", Side.CLIENT, "08P01")
    return Secret(message[5:-1])


def welcome(parameters: Mapping[str, str], key: bytes) -> bytes:
    """Return what ends a client's login: AuthenticationOk, ParameterStatus, BackendKeyData (`key`), ReadyForQuery."""
    out = [frame(b"R", bytes(4))]
    out += [frame(b"S", name.encode() + b"\0" + value.encode() + b"\0") for name, value in parameters.items()]
    out += [frame(b"K", key), frame(b"Z", b"I")]
    return b"".join(out)


class TargetLogin:
    """Us as client: from the first byte to ReadyForQuery.

    Drive it like a SideLink: `start()`, then `tls_started(binding)` when `wants_tls`, and `receive(data)`, each of
    which returns bytes to send, until `done`. `settings` come from `startup.target_settings`. `nonce` is printable or
    empty. `database` stands in for the target's own. Then `parameters`, `process`, `key` and `surplus` are there.

    Raises Unavailable with a sentence for the client when the target refuses, or asks for weaker authentication than
    the profile allows; ProtocolError when it breaks the protocol. Neither carries a credential.
    """

    def __init__(self, link: Link, settings: Mapping[str, str], nonce: bytes = b"", database: str = "") -> None:
        self._link = link
        self._settings = settings
        self._nonce = nonce
        self._database = database or link.target.database or link.profile.user
        self._buffer = b""
        self._binding = b""
        self._scram: Scram | None = None
        self._state = "new"
        self._tls = False
        self._messages = 0
        self.wants_tls = False
        self.parameters: dict[str, str] = {}
        self.process = 0
        self.key = b""

    @property
    def done(self) -> bool:
        """Whether the target said that it is ready."""
        return self._state == "ready"

    @property
    def surplus(self) -> bytes:
        """Bytes received behind ReadyForQuery."""
        return self._buffer

    def start(self) -> bytes:
        """Return the first bytes: an SSLRequest unless TLS is disabled, then the start-up packet."""
        if self._link.target.tls.mode == "disable":
            return self._startup()
        self._state = "tls"
        return SSL_REQUEST

    def tls_started(self, binding: bytes) -> bytes:
        """TLS runs, with this `tls-server-end-point` channel binding (empty if unknown)."""
        if not self.wants_tls:
            raise ProtocolError("TLS was not asked for", Side.TARGET)
        self.wants_tls = False
        self._tls = True
        self._binding = binding
        return self._startup()

    def _startup(self) -> bytes:
        self._state = "auth"
        own = {"user": self._link.profile.user, "database": self._database}
        return startup_message(own | dict(self._settings))

    def receive(self, data: bytes) -> bytes:
        """Take bytes from the target; return bytes to send."""
        self._buffer += data
        if self._state == "tls" and self._buffer:
            return self._tls_answer()
        out: list[bytes] = []
        while self._state in ("auth", "sasl", "proof", "proven", "answered", "session"):
            size = frame_size(self._buffer, 0, LOGIN_MESSAGE_BYTES, Side.TARGET)
            if not size or len(self._buffer) < size:
                break
            message, self._buffer = self._buffer[:size], self._buffer[size:]
            self._messages += 1
            if self._messages > LOGIN_MESSAGES:
                raise ProtocolError("the target's login does not end", Side.TARGET)
            out.append(self._message(message[:1], message[5:]))
        return b"".join(out)

    def _tls_answer(self) -> bytes:
        if self._buffer[:1] != b"S":
            raise Unavailable(f"the target does not speak TLS and tls mode is {self._link.target.tls.mode}")
        if len(self._buffer) > 1:  # plain bytes that would be taken for encrypted ones (CVE-2021-23222)
            raise ProtocolError("the target sent bytes before TLS started", Side.TARGET)
        self._buffer = b""
        self._state = "handshake"
        self.wants_tls = True
        return b""

    def _message(self, kind: bytes, payload: bytes) -> bytes:
        if kind == b"E":
            raise Unavailable(f"the target refused the login: {login_reason(payload)}")
        if kind == b"N":
            return b""
        if kind == b"R" and self._state != "session" and len(payload) >= 4:
            return self._authenticate(int32_at(payload, 0), payload[4:])
        if self._state == "session" and kind in (b"S", b"K", b"Z"):
            self._session(kind, payload)
            return b""
        raise ProtocolError(f"message {kind!r} does not belong into a login", Side.TARGET)

    def _authenticate(self, code: int, rest: bytes) -> bytes:
        if code == 0:
            self._authenticated(rest)
            return b""
        if code == 10 and self._state == "auth":
            return self._begin_scram(rest)
        if code == 11 and self._state == "sasl" and self._scram is not None:
            self._state = "proof"
            return frame(b"p", self._scram.final(rest))
        if code == 12 and self._state == "proof" and self._scram is not None:
            self._scram.verify(rest)
            self._state = "proven"
            return b""
        if code in (3, 5) and self._state == "auth":
            return self._weaker(code, rest)
        raise Unavailable(f"the target asks for authentication method {code}, which the gateway does not speak")

    def _authenticated(self, rest: bytes) -> None:
        """AuthenticationOk: only after the target proved itself, after a named weaker method, or to our certificate."""
        certificate = self._tls and bool(self._link.target.tls.cert) and "cert" in self._link.profile.auth
        if rest or not (self._state in ("proven", "answered") or (self._state == "auth" and certificate)):
            raise Unavailable("the target let the gateway in without the authentication that the profile asks for")
        self._state = "session"

    def _begin_scram(self, rest: bytes) -> bytes:
        self._allow("scram-sha-256")
        offered = tuple(name.decode("ascii", "replace") for name in rest.split(b"\0") if name)
        self._scram = Scram(offered, self._password(), self._binding, self._nonce)
        first = self._scram.first()
        self._state = "sasl"
        return frame(b"p", self._scram.mechanism.encode() + b"\0" + len(first).to_bytes(4, "big") + first)

    def _weaker(self, code: int, rest: bytes) -> bytes:
        self._allow("password" if code == 3 else "md5")
        if code == 3 and not (self._tls and self._link.target.tls.mode in ("verify-ca", "verify-full")):
            raise Unavailable("the target asks for the password itself, which only goes to a target verified by TLS")
        if len(rest) != (0 if code == 3 else 4):
            raise ProtocolError("a malformed authentication request", Side.TARGET)
        self._state = "answered"
        secret = self._password().reveal()
        return frame(b"p", (secret if code == 3 else self._md5(secret, rest)) + b"\0")

    def _md5(self, password: bytes, salt: bytes) -> bytes:
        inner = hashlib.md5(password + self._link.profile.user.encode(), usedforsecurity=False).hexdigest()
        return b"md5" + hashlib.md5(inner.encode() + salt, usedforsecurity=False).hexdigest().encode()

    def _allow(self, method: str) -> None:
        if method not in self._link.profile.auth:
            allowed = ", ".join(self._link.profile.auth)
            raise Unavailable(f"the target asks for {method}, and the profile allows only {allowed}")

    def _password(self) -> Secret:
        if self._link.password is None:
            raise Unavailable("the target asks for a password, and the profile has none")
        return self._link.password

    def _session(self, kind: bytes, payload: bytes) -> None:
        if kind == b"S":
            parts = payload.split(b"\0")
            if len(parts) != 3 or parts[2]:
                raise ProtocolError("a malformed ParameterStatus", Side.TARGET)
            self.parameters[parts[0].decode("utf-8", "replace")] = parts[1].decode("utf-8", "replace")
        elif kind == b"K":
            if not 8 <= len(payload) <= 260:
                raise ProtocolError("a malformed BackendKeyData", Side.TARGET)
            self.process, self.key = int32_at(payload, 0), payload[4:]
        else:
            self._ready(payload)

    def _ready(self, payload: bytes) -> None:
        """ReadyForQuery: what reading relies on must hold now, whatever the role or database sets."""
        if payload != b"I":
            raise ProtocolError("the target starts inside a transaction", Side.TARGET)
        if self.parameters.get("standard_conforming_strings") != "on":
            raise Unavailable("the target does not keep standard_conforming_strings on")
        if not encoding_of(self.parameters.get("client_encoding", "")):
            raise Unavailable("the target does not keep the client encoding")
        if not self.key:
            raise Unavailable("the target gives no cancel key")
        self._state = "ready"
