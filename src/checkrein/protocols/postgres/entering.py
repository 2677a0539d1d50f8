"""From the first byte to ReadyForQuery: the client's login, the dial, the target's login, and the probe for poolers."""

from __future__ import annotations

from typing import Final

from checkrein.core.errors import ProtocolError, Unavailable
from checkrein.core.identity import Claim, LoginRefused, Principal, Secret
from checkrein.core.side import Side
from checkrein.core.steps import Authenticate, CancelSession, Close, Dial, Send, StartTls, Steps
from checkrein.core.target import DialError
from checkrein.protocols.postgres import hidden
from checkrein.protocols.postgres import own_messages as own
from checkrein.protocols.postgres.errors import plain_error
from checkrein.protocols.postgres.exchange import Collected
from checkrein.protocols.postgres.login import PASSWORD_REQUEST, ClientLogin, TargetLogin, pooler_reason, welcome
from checkrein.protocols.postgres.settings import StartupParameters, startup_parameters
from checkrein.protocols.postgres.startup import (
    CancelRequest,
    GssRequest,
    SslRequest,
    Startup,
    encoding_of,
    negotiate,
    target_settings,
)
from checkrein.protocols.postgres.state import State
from checkrein.protocols.postgres.telling import ENCODINGS

SECRET_BYTES: Final = 4
"""Protocol 3.0 has this much room beside the process id in BackendKeyData, for the gateway as for a server."""

LOGIN_CODES: Final = {"token": "28P01", "expired": "28P01", "unavailable": "57P03", "target": "3D000"}


class Entering:
    """Both logins of one session."""

    def __init__(self, state: State) -> None:
        self.state = state
        self._login = ClientLogin()
        self._target: TargetLogin | None = None
        self._tls = False
        self._startup: Startup | None = None
        self._settings = StartupParameters({})
        self._where = ("", "", "")
        self._early = b""

    # --- the client ----------------------------------------------------------------------------

    def from_client(self, data: bytes) -> Steps[None]:
        """Bytes of the client before it is let in; what comes behind its password waits."""
        state = self.state
        if state.phase not in ("start", "password"):
            self._early += data
            if len(self._early) > 65536:
                raise ProtocolError("too much was sent before the login ended", Side.CLIENT, "08P01")
            return
        packet = self._login.receive(data)
        while packet is not None:
            if isinstance(packet, Secret):
                self._early = self._login.take_surplus()
                yield from self._enter(packet)
                return
            if isinstance(packet, SslRequest):
                yield from self._encrypt()
            elif isinstance(packet, GssRequest):
                yield Send(Side.CLIENT, b"N")
            elif isinstance(packet, CancelRequest):
                yield CancelSession(packet.key)
                yield Close(Side.CLIENT, "a cancel request")
                return
            else:
                yield from self._begin(packet)
                if state.phase != "password":
                    return
            packet = self._login.receive(b"")

    def _encrypt(self) -> Steps[None]:
        if self._tls or not self.state.context.tls_offered:
            yield Send(Side.CLIENT, b"N")
            return
        yield Send(Side.CLIENT, b"S")
        yield StartTls(Side.CLIENT)
        self._tls = True

    def _begin(self, packet: Startup) -> Steps[None]:
        state = self.state
        parameters = packet.parameters
        user, database = parameters.get("user", ""), parameters.get("database", "")
        if not user:
            raise ProtocolError("no PostgreSQL user name specified in startup packet", Side.CLIENT, "28000")
        self._settings = startup_parameters(parameters)
        if self._settings.refused:
            raise ProtocolError("; ".join(self._settings.refused), Side.CLIENT, "42501")
        if "+" in user:
            raise ProtocolError("only tokens are accepted; the user is the credential profile", Side.CLIENT, "28000")
        target, _, inner = (database or user).partition("/")
        self._where = (target, inner, user)
        self._startup = packet
        if not self._tls and not state.context.plaintext_allowed:
            raise ProtocolError(
                "the token travels as a password, so TLS is needed (sslmode=verify-full)", Side.CLIENT, "28000"
            )
        state.phase = "password"
        yield Send(Side.CLIENT, negotiate(packet) + PASSWORD_REQUEST)

    def _enter(self, token: Secret) -> Steps[None]:
        state = self.state
        target, _, profile = self._where
        state.phase = "dialling"
        application = self._settings.application
        claim = Claim(token, target, profile, state.context.client, application)
        who = yield Authenticate(claim)
        if not isinstance(who, Principal):
            refused = (
                who if isinstance(who, LoginRefused) else LoginRefused("the login cannot be checked now", "unavailable")
            )
            yield from self.deny(LOGIN_CODES.get(refused.check, "28000"), refused.reason)
            return
        link = yield Dial()
        if isinstance(link, DialError):
            yield from self.deny("08001", link.reason)
            return
        own_database = link.target.database or link.profile.user
        if self._where[1] not in ("", own_database):  # names would be read in one database and run in another
            yield from self.deny(
                "3D000", f"target {target} is the database {own_database}; others are targets of their own"
            )
            return
        state.housekeeping = link.target.housekeeping
        settings = target_settings(self._settings.forward, who.chain)
        state.encoding = ENCODINGS[encoding_of(settings["client_encoding"])]
        nonce = state.context.random(18).hex().encode()
        self._target = TargetLogin(link, settings, nonce, self._where[1])
        state.phase = "target"
        yield Send(Side.TARGET, self._target.start(), own.LOGIN)

    def deny(self, code: str, reason: str) -> Steps[None]:
        """Refuse the login natively."""
        self.state.phase = "over"
        yield Send(Side.CLIENT, plain_error(code, reason, "FATAL"))
        yield Close(Side.CLIENT, reason)

    # --- the target ----------------------------------------------------------------------------

    def from_target(self, data: bytes) -> Steps[bytes]:
        """Bytes of the target during its login; returns what belongs to the query phase."""
        login = self._target
        if login is None:
            raise ProtocolError("the target spoke before it was spoken to", Side.TARGET)
        out = _told(login, data)
        if login.wants_tls and not isinstance(out, Unavailable):
            binding = yield StartTls(Side.TARGET)
            out = Unavailable(binding.reason) if isinstance(binding, DialError) else _upgraded(login, binding or b"")
        if isinstance(out, Unavailable):
            yield from self.deny("08001", str(out))
            return b""
        if out:
            yield Send(Side.TARGET, out, own.LOGIN)
        if not login.done:
            return b""
        self.state.target_key = login.process.to_bytes(4, "big") + login.key
        self.state.phase = "probing"
        hidden.ask(self.state, own.PROBE_QUERY, "probe", own.PROBE)
        yield from self.state.flush()
        return login.surplus

    def probed(self, collected: Collected) -> Steps[bytes]:
        """The probe is answered: let the client in. Returns what it sent early."""
        login, startup = self._target, self._startup
        assert login is not None and startup is not None
        answer = collected.rows[0][0] if collected.rows and collected.rows[0] else None
        reason = pooler_reason(login.process, answer.decode("ascii", "replace") if answer else None)
        if reason:
            yield from self.deny("08001", reason)
            return b""
        parameters = dict(login.parameters)
        parameters["application_name"] = self._settings.application
        self.state.phase = "ready"
        state = self.state
        # the server's own process id, so that notifications, pg_stat_activity and pg_backend_pid() say the same
        state.own_key = state.target_key[:4] + state.context.cancel_key[-SECRET_BYTES:]
        state.context.keyed(state.own_key)
        state.answer(welcome(parameters, state.own_key))
        early, self._early = self._early, b""
        return early


def _told(login: TargetLogin, data: bytes) -> bytes | Unavailable:
    """Give a target's bytes to its login; return what to send, or why it cannot go on."""
    try:
        return login.receive(data)
    except Unavailable as error:
        return error


def _upgraded(login: TargetLogin, binding: bytes) -> bytes | Unavailable:
    """Tell a login that TLS runs; return what to send, or why it cannot go on."""
    try:
        return login.tls_started(binding)
    except Unavailable as error:
        return error
