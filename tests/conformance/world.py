"""A whole gateway in this process, a real target behind a tap, and raw clients: what the kit plays its scenes in."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import traceback
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import structlog
import zstandard

from checkrein.app.application import Application
from checkrein.config.load import load_config
from checkrein.dataplane.relay import Relay
from checkrein.recording.replay import Follower
from checkrein.recording.verify_all import verify_path
from tests.conformance.driver import Driver
from tests.conformance.wire import READ, Wire
from tests.support.proxy import Carried, Proxy, turns

SECONDS = 60.0
"""What one scene may take; a hang shows as a TimeoutError."""

CONFIG = """
apiVersion: checkrein/v1
kind: Gateway
data: ./data
listen: {{control: "127.0.0.1:0", {protocol}: "127.0.0.1:0"}}
tls: {{loopback_plaintext: true}}
identity:
  embedded:
    ttl: 1h
    agents: [{{id: bot, groups: [bots], secret: "file:bot.secret"}}]
    people: [{{id: anna, groups: [oncall], secret: "file:anna.secret"}}]
people: {{roles: {{approver: [oncall]}}}}
policies: ./policies
targets:
{target}
"""


class World:
    """One gateway with its tap. `unjudged` collects statements that the tap saw before the journal held their leave."""

    def __init__(self, driver: Driver, folder: Path) -> None:
        self.driver = driver
        self.folder = folder
        self.logged: list[str] = []
        self.unjudged: list[str] = []
        self.tokens: dict[str, str] = {}
        self.tap: Proxy
        self.door: Proxy
        self.app: Application
        self.door_address = ("", 0)
        self.tasks_at_rest = self.files_at_rest = 0
        self._followers: dict[Path, Follower] = {}
        self._forwarded: set[str] = set()
        self._wires: list[Wire] = []
        self._verified: set[Path] = set()
        self._clean: set[tuple[Path, tuple[bytes, ...]]] = set()

    @property
    def recordings(self) -> Path:
        """Where the journals are."""
        return self.folder / "data" / "recordings"

    # --- clients -------------------------------------------------------------------------------

    async def client(self, login: bool = True, sizes: tuple[int, ...] = (), cut: bool = False) -> Wire:
        """Connect straight to the gateway, or through the door where connections are cut; log in unless told not to."""
        address = self.door_address if cut else self.app.addresses[self.driver.spec.name]
        reader, writer = await asyncio.open_connection(*address, limit=READ)
        wire = Wire(reader, writer, self.driver)
        wire.sizes = sizes
        self._wires.append(wire)
        if login:
            await self.driver.login(wire, self.tokens["bot"])
            wire.everything = b""
        return wire

    def fresh(self) -> None:
        """Forget what the proxies carried and set them to carry everything as it comes."""
        for proxy in (self.tap, self.door):
            proxy.connections, proxy.keep, proxy.sizes, proxy.cut = [], True, (), None
        self.unjudged = []

    async def leave(self) -> None:
        """Close every client and wait until nothing of their sessions is left."""
        while self._wires:
            await self._wires.pop().close()
        await self.idle()

    async def idle(self) -> None:
        """Wait until no session is open, none of its generators, tasks or connections is left."""
        count = self.app.sessions.generators
        await self.until(lambda: not self.app.sessions.by_id and count.opened == count.closed)
        await self.until(lambda: self.app._tasks.count <= self.tasks_at_rest)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Let the loop turn until a condition holds."""
        try:
            async with asyncio.timeout(SECONDS / 2):
                while not condition():
                    await turns(1)
        except TimeoutError:
            raise AssertionError(
                f"never came true; open: {[state_of(one) for one in self.app.sessions.by_id.values()]}"
            ) from None

    def relay(self) -> Relay:
        """Return the relay of the one session that is open."""
        (found,) = self.app.sessions.by_id.values()
        return found

    def carried(self) -> Carried:
        """Return what the tap carried of the one session that is open."""
        transport = self.relay().target.transport
        assert transport is not None
        address = transport.get_extra_info("sockname")[:2]
        return next(one for one in self.tap.connections if one.client == address)

    # --- people --------------------------------------------------------------------------------

    async def api(self, method: str, path: str, who: str = "anna", **body: Any) -> Any:
        """Call the control API as a person."""
        head = {"authorization": f"Bearer {self.tokens[who]}"}
        async with httpx.AsyncClient(base_url=self.app.control_url, headers=head, trust_env=False) as client:
            answer = await client.request(method, f"/api/v1{path}", json=body or None)
        assert answer.status_code < 300, answer.text
        return answer.json()

    async def asked(self) -> dict[str, Any]:
        """Wait for the one pending question and return it."""
        while True:
            found = await self.app.control.approvals.ls("pending")
            if found:
                return found[0]

    # --- what was kept -------------------------------------------------------------------------

    def events(self, kind: str = "") -> list[dict[str, Any]]:
        """Return all events of all sessions so far, in the order of sessions."""
        found = []
        for folder in self._folders():
            found += [one for one in Follower(folder).read() if not kind or one["kind"] == kind]
        return found

    def last_session(self, kind: str) -> list[dict[str, Any]]:
        """Return the events of a kind of the newest session."""
        folder = max(self._folders(), key=lambda one: one.name)
        return [one for one in Follower(folder).read() if one["kind"] == kind]

    def _folders(self) -> list[Path]:
        return sorted(one for one in self.recordings.glob("2*/*") if one.is_dir())

    def _seen(self, carried: Carried, data: bytes) -> None:
        """The tap's watch: what arrives must be decided in the journal on disk already.

        What still trickles in over a connection of an earlier scene, whose head is forgotten, says nothing.
        """
        if not any(one is carried for one in self.tap.connections):
            return
        for text in self.driver.statements(bytes(carried.up)):
            if text not in self._forwarded:
                self._catch_up()
            if text not in self._forwarded:
                self.unjudged.append(text)

    def _catch_up(self) -> None:
        for folder in self._folders():
            for event in self._followers.setdefault(folder, Follower(folder)).read():
                if event["kind"] == "decided" and event["outcome"] == "forwarded":
                    self._forwarded.add(event["statement"])

    def verified(self) -> int:
        """Wait for the signatures of closed sessions, verify the new recordings; return how many there are in all."""
        for journal in self.app._journals._open.values():
            if journal.finished is not None:
                journal.finished.result(SECONDS)
        keys = [*(self.folder / "data" / "keys").glob("*.pub")]
        for folder in self._folders():
            if folder not in self._verified:
                report = verify_path(folder, keys).as_json()
                assert report["ok"], report
                self._verified.add(folder)
        return len(self._verified)

    def leaks(self, secrets: tuple[bytes, ...]) -> list[str]:
        """Return where secrets stand: the log, and every file of the data folder but the key folder."""
        places = [f"log: {line[:200]}" for line in self.logged if any(one in line.encode() for one in secrets)]
        for path in (self.folder / "data").rglob("*"):
            if path.is_file() and path.parent.name != "keys" and (path, secrets) not in self._clean:
                content = path.read_bytes()
                if path.suffix == ".zst":
                    with zstandard.ZstdDecompressor().stream_reader(content, read_across_frames=True) as plain:
                        content = plain.read()
                found = [f"{path}: {one!r}" for one in secrets if one in content]
                places += found
                if path.suffix == ".zst" and not found:
                    self._clean.add((path, secrets))
        return places


@contextlib.asynccontextmanager
async def world(driver: Driver, folder: Path) -> AsyncIterator[World]:
    """Run a gateway in front of a driver's target; check at the end that nothing was left and every journal holds."""
    made = World(driver, folder)
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: made.logged.append(f"LOOP: {told(context)}"))
    async with contextlib.AsyncExitStack() as stack:
        stack.enter_context(captured(made.logged))
        host, port = await stack.enter_async_context(driver.target())
        made.tap = Proxy(host, port)
        made.tap.watch = made._seen
        stack.push_async_callback(made.tap.stop)
        made.app = application(driver, folder, *await made.tap.start())
        await made.app.start()
        stack.push_async_callback(made.app.stop)
        made.door = Proxy(*made.app.addresses[driver.spec.name])
        stack.push_async_callback(made.door.stop)
        made.door_address = await made.door.start()
        await _prepare(made)
        yield made
        await made.leave()
    report = verify_path(made.recordings).as_json()
    assert report["ok"], report
    wrong = [line for line in made.logged if "LOOP" in line or "Traceback" in line or "'log_level': 'error'" in line]
    assert not wrong, wrong


def application(driver: Driver, folder: Path, host: str, port: int) -> Application:
    """Write a configuration for a driver's target at an address and return a gateway of it, not started."""
    (folder / "policies").mkdir()
    (folder / "policies" / "all.yaml").write_text(driver.policy)
    for name in ("bot", "anna"):
        (folder / f"{name}.secret").touch(mode=0o600)
        (folder / f"{name}.secret").write_text(f"secret-{name}")
    name = driver.spec.name
    text = CONFIG.format(protocol=name, target=driver.target_yaml(host, port, folder))
    config = load_config(text, str(folder / "checkrein.yaml"), {name: driver.spec.default_port})
    return Application(config, {name: driver.spec}, "conformance")


async def _prepare(made: World) -> None:
    async with httpx.AsyncClient(trust_env=False) as client:
        for who in ("bot", "anna"):
            form = {"grant_type": "client_credentials"}
            answer = await client.post(f"{made.app.control_url}/issuer/token", data=form, auth=(who, f"secret-{who}"))
            made.tokens[who] = answer.raise_for_status().json()["access_token"]
    made.tasks_at_rest = made.app._tasks.count
    wire = await made.client()
    await wire.ask(driver_request(made))
    await made.leave()
    made.files_at_rest = open_files()


def state_of(relay: Relay) -> str:
    """Return where a session stands, for the message of a test that waited in vain."""
    lanes = [(lane.name, type(lane.step).__name__, len(lane.queue), lane.held) for lane in relay._lanes.values()]
    ends = [
        (end.side.value, end.transport.is_closing() if end.transport else None) for end in (relay.client, relay.target)
    ]
    buffered = [end.transport.get_write_buffer_size() for end in (relay.client, relay.target) if end.transport]
    return f"lanes {lanes}, full {relay._full}, closing {ends}, to be written {buffered}"


def driver_request(made: World) -> bytes:
    """Return a request that makes the gateway open what it keeps open (side links)."""
    return made.driver.request("allowed", 1).data


def open_files() -> int:
    """Return how many descriptors this process has open."""
    return len(os.listdir("/proc/self/fd"))


def told(context: dict[str, Any]) -> str:
    """Return what a loop's exception handler was told, with the traceback."""
    error = context.get("exception")
    trace = "".join(traceback.format_exception(error)) if error is not None else ""
    return f"{context.get('message')} {context} {trace}"


@contextlib.contextmanager
def captured(lines: list[str]) -> Iterator[None]:
    """Collect everything that is logged, by structlog or by logging, as text."""

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(logging.Formatter().format(record))

    def keep(logger: Any, name: str, event: Any) -> Any:
        error = event.get("exc_info")
        trace = "".join(traceback.format_exception(error)) if isinstance(error, BaseException) else ""
        lines.append(f"{ {**event, 'log_level': name} } {trace}")
        raise structlog.DropEvent

    handler = Handler(logging.INFO)
    logging.root.addHandler(handler)
    processors = structlog.get_config()["processors"]
    before = processors.copy()
    processors[:] = [keep]
    try:
        yield
    finally:
        processors[:] = before
        logging.root.removeHandler(handler)
