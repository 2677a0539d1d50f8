"""The awaited half of a relay: dialling, TLS, interrupts, and what the services answer."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Callable
from typing import Any, Protocol

from checkrein.core.errors import Unavailable
from checkrein.core.limits import DIAL_SECONDS
from checkrein.core.side import Side
from checkrein.core.steps import (
    Ask,
    Authenticate,
    Breathe,
    CancelSession,
    Dial,
    Interrupt,
    Offload,
    Persist,
    Query,
    StartTls,
)
from checkrein.core.target import DialError, Link, Target
from checkrein.dataplane.ports import Services
from checkrein.dataplane.tls import end_point_binding, server_name, target_context
from checkrein.dataplane.transports import Endpoint
from checkrein.gate.gate import Gate


class Sides(Protocol):
    """The part of a relay that its work needs."""

    gate: Gate
    id: str
    client: Endpoint
    target: Endpoint


class Work:
    """Performs one relay's waiting steps. Answers are values; only a client's failed TLS raises, Unavailable."""

    def __init__(self, relay: Sides, services: Services) -> None:
        self._relay = relay
        self._services = services

    async def perform(self, step: Any) -> Any:
        """Return the answer to a step."""
        kind = type(step)
        if kind is Ask:
            return await self._services.ask(step.question, self._relay.id)
        if kind is Persist:
            return await self._services.persist(self._relay.id)
        if kind is Query:
            return await self._query(step)
        if kind is Breathe:
            return await asyncio.sleep(0)
        if kind is Offload:
            return await self._services.offload(step, self._who())
        if kind is Authenticate:
            return await self._services.authenticate(step.claim, time.time())
        if kind is Dial:
            return await self._dial()
        if kind is StartTls:
            return await (self._client_tls() if step.side is Side.CLIENT else self._target_tls())
        if kind is Interrupt:
            return await self._interrupt(step.data)
        if kind is CancelSession:
            return self._services.cancel(step.key)
        raise TypeError(f"a step that no relay knows: {kind.__name__}")

    def _who(self) -> str:
        principal = self._relay.gate.principal
        return "" if principal is None else f"{principal.issuer}/{principal.subject}"

    def broke(self, session: str, error: Exception) -> None:
        """Report an error that ended a session."""
        self._services.broke(session, error)

    async def _query(self, step: Query) -> Any:
        gate = self._relay.gate
        if gate.target is None or gate.profile is None:
            return Unavailable("no target yet")
        return await self._services.query(gate.target, gate.profile, step)

    async def _dial(self) -> Link | DialError:
        gate = self._relay.gate
        target, profile = gate.target, gate.profile
        if target is None or profile is None:
            return DialError("no target yet")
        password = self._services.password(target, profile)
        if isinstance(password, DialError):
            return password
        failed = await connect(target, lambda: self._relay.target)
        return failed if failed is not None else Link(target, profile, password)

    async def _client_tls(self) -> None:
        context = self._services.client_tls()
        assert context is not None
        try:
            await self._upgrade(self._relay.client, context, server_side=True)
        except (OSError, TimeoutError, ValueError) as error:
            raise Unavailable(f"TLS with the client failed: {tls_reason(error)}") from error

    async def _target_tls(self) -> bytes | DialError:
        target = self._relay.gate.target
        assert target is not None
        try:
            context = target_context(target.tls)
            await self._upgrade(self._relay.target, context, server_side=False, name=server_name(target))
        except (OSError, TimeoutError, ValueError) as error:
            return DialError(f"TLS with target {target.name} failed: {tls_reason(error)}")
        return binding_of(self._relay.target)

    async def _upgrade(self, endpoint: Endpoint, context: ssl.SSLContext, server_side: bool, name: str = "") -> None:
        assert endpoint.transport is not None
        loop = asyncio.get_running_loop()
        upgraded = await loop.start_tls(
            endpoint.transport,
            endpoint,
            context,
            server_side=server_side,
            server_hostname=None if server_side else name,
            ssl_handshake_timeout=DIAL_SECONDS,
        )
        if upgraded is None:
            raise OSError("the connection was closed during the TLS handshake")
        endpoint.adopt(upgraded)

    async def _interrupt(self, data: bytes) -> None:
        """Send over a connection of its own, in the target's TLS mode's clear part, and wait for its close."""
        target = self._relay.gate.target
        if target is None:
            return
        try:
            async with asyncio.timeout(DIAL_SECONDS):
                reader, writer = await asyncio.open_connection(target.host, target.port)
                writer.write(data)
                await reader.read(1)
                writer.close()
        except (OSError, TimeoutError):
            return


async def connect(target: Target, factory: Callable[[], asyncio.Protocol]) -> DialError | None:
    """Open the transport to a target."""
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(DIAL_SECONDS):
            await loop.create_connection(factory, target.host, target.port)
    except TimeoutError:
        return DialError(f"target {target.name} did not answer within {DIAL_SECONDS:g} s")
    except OSError as error:
        return DialError(f"target {target.name} cannot be reached: {error.strerror or type(error).__name__}")
    return None


def binding_of(endpoint: Endpoint) -> bytes:
    """Return the channel binding of an endpoint's TLS."""
    assert endpoint.transport is not None
    tls = endpoint.transport.get_extra_info("ssl_object")
    certificate = tls.getpeercert(binary_form=True) if tls is not None else None
    return end_point_binding(certificate) if certificate else b""


def tls_reason(error: Exception) -> str:
    """Return why a handshake failed, in words an operator can act on."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate was not accepted ({error.verify_message})"
    return str(error) or type(error).__name__
