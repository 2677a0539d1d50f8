"""One gateway process: everything wired, started, and ended in order."""

from __future__ import annotations

import asyncio
import os
import secrets
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import structlog

from checkrein.adapters.sidelinks import SideLinks, Tls
from checkrein.adapters.worker import Worker
from checkrein.app import authority, trust
from checkrein.app.metrics import OPEN_SESSIONS
from checkrein.app.policies import PolicySet
from checkrein.app.processors import processors
from checkrein.app.readiness import Ready
from checkrein.app.reloading import Reloading
from checkrein.app.services import Services, password_of
from checkrein.app.targets import Targets
from checkrein.app.web import Web, bind
from checkrein.config.values import Config
from checkrein.control.api.app import api
from checkrein.control.api.ports import Control
from checkrein.control.approvals import Approvals
from checkrein.control.issuer.router import issuer_router
from checkrein.core.limits import SESSION_GRACE_SECONDS, SHUTDOWN_SECONDS, SIGNING_SECONDS, SIGNING_THREADS
from checkrein.core.spec import ProtocolSpec
from checkrein.dataplane.listener import Listener, Sessions, raise_files
from checkrein.dataplane.tasks import Tasks
from checkrein.dataplane.tls import end_point_binding, server_context, target_context
from checkrein.gate.ports import Gateway
from checkrein.masking.detectors import KNOWN
from checkrein.masking.plan import Masker
from checkrein.recording.files import private_folder, read_regular, write_durably
from checkrein.recording.journal import Tools
from checkrein.recording.journals import Journals
from checkrein.recording.keys import load_or_create_key
from checkrein.recording.service import Recordings
from checkrein.recording.sync import SyncGroup
from checkrein.store.approvals import ApprovalStore
from checkrein.store.engine import open_store
from checkrein.store.sessions import SessionIndex

_log = structlog.get_logger("checkrein")
MASK_KEY_BYTES = 32


class Application:
    """A gateway. `start` raises Unavailable, ConfigurationError or OSError; then nothing listens."""

    def __init__(self, config: Config, specs: Mapping[str, ProtocolSpec], version: str) -> None:
        self.config = config
        self.specs = specs
        self.version = version
        self.sessions = Sessions(config.busy_poll and processors() >= 2)
        self.addresses: dict[str, tuple[str, int]] = {}
        self.ca: Path | None = None
        self.control_url = ""
        self._tasks = Tasks()
        self._listeners: list[Listener] = []
        self._disk = ThreadPoolExecutor(2, "checkrein-disk")  # what an effect waits for: never behind a crowd's signing
        self._signing = ThreadPoolExecutor(SIGNING_THREADS, "checkrein-signing")
        self._store = ThreadPoolExecutor(1, "checkrein-store")
        self._worker = Worker()

    async def start(self) -> None:
        """Wire everything, then listen."""
        config, data = self.config, Path(self.config.data)
        raise_files()
        private_folder(data)
        warn_owner(data)
        control = bind(config.control.host, config.control.port) if config.control else None
        port = control.getsockname()[1] if control else 0
        self.control_url = f"http://{config.control.host}:{port}" if config.control else ""
        issuer_url = config.embedded_url(port) if config.embedded else ""
        embedded = trust.embedded_issuer(config, issuer_url)
        self._verifier = trust.verifier(config, issuer_url, embedded[1] if embedded else None)
        self._wire_recording(data)
        self.policies = PolicySet(
            Path(config.policies), data / "policies", self.specs, tuple(config.targets.values()), KNOWN
        )
        ports = {name: spec.default_port for name, spec in self.specs.items()}
        self.reloading = Reloading(config, self.policies, ports)
        self._links = SideLinks(self.specs, password_of, Tls(target_context, end_point_binding))
        self._approvals = self._wire_approvals()
        await self._listen(data)
        self._serve_api(data, control, issuer_router(embedded[0]) if embedded else None)
        self._tasks.spawn(self.policies.watch())
        self._tasks.spawn(self.reloading.watch())
        self._tasks.spawn(self._links.run())
        self._tasks.spawn(self._verifier.warm())

    async def stop(self) -> None:
        """End sessions natively, close journals, stop everything. Takes at most SIGNING_SECONDS and a little."""
        began = time.monotonic()
        for listener in self._listeners:
            listener.stop()
        await self.sessions.drain(SHUTDOWN_SECONDS, "the gateway is shutting down")
        await self._web.stop()
        await self._tasks.stop()
        await self._sync.close()
        left = max(0.0, SIGNING_SECONDS - (time.monotonic() - began))
        unsigned = await asyncio.get_running_loop().run_in_executor(None, self._journals.close, left)
        if unsigned:
            _log.warning("recordings that were closed are left for the next start to sign", sessions=unsigned)
        self._recordings.close()
        self._worker.stop()
        self._store.shutdown()
        self._disk.shutdown()
        self._signing.shutdown()
        self._engine.dispose()

    # --- wiring --------------------------------------------------------------------------------

    def _wire_recording(self, data: Path) -> None:
        self._key = load_or_create_key(data / "keys")
        self._sync = SyncGroup(self._disk, self.config.recording.durability == "relaxed")
        tools = Tools(time.time, time.monotonic, self._key, self._signing, self._sync.later, _trouble)
        self._journals = Journals(data / "recordings", tools)
        for id in self._journals.recovered:
            _log.warning("a recording that the last run left open or unsigned was closed and signed", session=id)
        self._engine = open_store(data / "state.db")
        self._recordings = Recordings(data, SessionIndex(self._engine), self._key, self.sessions.kill)

    def _wire_approvals(self) -> Approvals:
        store = ApprovalStore(self._engine)
        expired = store.restarted()
        if expired:
            _log.warning("questions that were open at the last stop have expired", approvals=expired)
        return Approvals(store, self._store, time.time, lambda: secrets.token_hex(6))

    async def _listen(self, data: Path) -> None:
        config = self.config
        tls = config.tls
        if tls.cert:
            context = server_context(tls.cert, tls.key)
        else:
            everywhere = ("0.0.0.0", "::")  # noqa: S104  compared with, not bound to
            hosts = tuple(one.host for one in config.listeners if one.host not in everywhere)
            made = authority.ensure(data / "tls", hosts)
            self.ca = made.ca
            context = server_context(str(made.cert), str(made.key))
        services = Services(
            self._verifier,
            self._approvals,
            self._links,
            self._worker,
            self._sync,
            self._journals,
            self.sessions,
            context,
        )
        masker = Masker(mask_key(data / "keys" / "mask.key"))
        gateway = Gateway(
            config.targets,
            self.policies,
            masker,
            self._journals,
            self._approvals,
            self._links,
            SESSION_GRACE_SECONDS,
        )
        for one in config.listeners:
            listener = Listener(
                self.specs[one.protocol],
                gateway,
                services,
                self.sessions,
                self._tasks,
                session_id,
                tls.loopback_plaintext,
                self.version,
            )
            self.addresses[one.protocol] = await listener.start(one.host, one.port)
            self._listeners.append(listener)

    def _serve_api(self, data: Path, control: Any, issuer: Any) -> None:
        targets = Targets(self.config.targets, self.specs, self._links, self.addresses, self.ca)
        identities = trust.Identities(self._verifier)
        ready = Ready(self.policies, self._verifier, self._journals, targets)
        self.control = Control(
            identities,
            self._recordings,
            self._approvals,
            targets,
            ready,
            self.config.local_approver,
            self.reloading,
        )
        app = api(self.control, *([issuer] if issuer is not None else []))
        self._web = Web(data, control)
        self._web.start(app)
        OPEN_SESSIONS.set_function(lambda: len(self.sessions.by_id))


def session_id() -> str:
    """Return a new session id: sortable by time, unpredictable, 27 letters and digits."""
    return f"{int(time.time() * 1000):011x}{secrets.token_hex(8)}"


def mask_key(path: Path) -> bytes:
    """Return the deployment's mask key, made at the first start: tokens stay the same as long as it is kept."""
    if not path.exists():
        private_folder(path.parent)
        write_durably(path, secrets.token_bytes(MASK_KEY_BYTES))
    return read_regular(path, MASK_KEY_BYTES)


def warn_owner(data: Path) -> None:
    """Say loudly that whoever runs as this user owns the gateway (GW-13)."""
    owner = data.stat().st_uid
    _log.warning(
        "whoever runs as the owner of the data folder owns this gateway; agents must run as someone else",
        data=str(data),
        uid=owner,
        running_as=os.geteuid(),
    )


def _trouble(sentence: str) -> None:
    _log.error("recording", trouble=sentence)
