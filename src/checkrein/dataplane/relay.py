"""One session's relay: runs the gate's generators and performs the transport work that they yield.

A lane is a stream of generators that run one after another: one for each side, one for events. While a lane waits (for
a person, a dial, a side link), its side's bytes are kept in a bounded buffer, in order, unjudged; the others go on.
"""

from __future__ import annotations

import asyncio
import collections
import time
from collections.abc import Callable
from typing import Any, Final

from checkrein.core.errors import CheckreinError
from checkrein.core.limits import CLOSE_SECONDS, HANGUP_POLL_SECONDS, LOGIN_SECONDS, PARKED_INPUT, READ_CHUNK
from checkrein.core.session import Killed, SessionEvent
from checkrein.core.side import Side
from checkrein.core.steps import Ask, Close, Send, Steps
from checkrein.dataplane.lanes import Generators, Lane
from checkrein.dataplane.polling import Polling
from checkrein.dataplane.ports import Services
from checkrein.dataplane.transports import Endpoint
from checkrein.dataplane.work import Work
from checkrein.gate.gate import Gate, broken
from checkrein.gate.ports import Await

CLIENT: Final = Side.CLIENT
TARGET: Final = Side.TARGET


class Relay:
    """A client's connection and, once dialled, its target's. `on_closed` is called once, when both are gone."""

    def __init__(
        self,
        gate: Gate,
        services: Services,
        session: str,
        spawn: Callable[[Any], asyncio.Task[Any]],
        on_closed: Callable[[Relay], None],
        count: Generators,
        polling: Polling,
    ) -> None:
        self.gate = gate
        self.id = session
        self.client = Endpoint(CLIENT, self)
        self.target = Endpoint(TARGET, self)
        self._count = count
        self._polling = polling
        self._work = Work(self, services)
        self._spawn = spawn
        self._on_closed = on_closed
        self._from_client = Lane("client")
        self._from_target = Lane("target")
        self._events = Lane("event")
        self._lanes = (self._from_client, self._from_target, self._events)
        self._event_queue: collections.deque[SessionEvent] = collections.deque()
        self._full: set[Side] = set()
        self._stuffed = False
        self._timer: asyncio.TimerHandle | None = None
        self._deadline_timer: asyncio.TimerHandle | None = None
        self._reason = ""
        self._finished = False
        self._hangup_due = False
        self._gone = False
        self._watching = False

    # --- life ----------------------------------------------------------------------------------

    def start(self) -> None:
        """The client's transport is connected."""
        self._timer = asyncio.get_running_loop().call_later(LOGIN_SECONDS, self._login_over)
        self._start(self._from_client, self.gate.open(time.time()))

    def _login_over(self) -> None:
        if self.gate.principal is None:
            self.finish("no login in time")

    def _watch_deadline(self) -> None:
        deadline = self.gate.deadline
        if deadline is None or self._finished:
            return
        left = deadline - time.time()
        loop = asyncio.get_running_loop()
        if left > 0:
            self._deadline_timer = loop.call_later(min(left, 3600.0), self._watch_deadline)
        else:
            self.tell(Killed("the token has expired or the session met its maximum; log in again", "expired"))

    def tell(self, what: SessionEvent) -> None:
        """Something happened outside the two streams. A kill closes what is suspended first."""
        if self._finished:
            return
        if isinstance(what, Killed):
            self._reason = self._reason or f"{what.code}: {what.reason}"
            for lane in self._lanes:
                self._drop(lane)
        if self._events.steps is not None:
            self._event_queue.append(what)
            return
        self._start(self._events, self.gate.event(what, time.time()))

    def finish(self, reason: str) -> None:
        """End the session now: close generators, transports and the journal. Idempotent."""
        if self._finished:
            return
        self._finished = True
        for timer in (self._timer, self._deadline_timer):
            if timer is not None:
                timer.cancel()
        for lane in self._lanes:
            self._drop(lane)
        for endpoint in (self.client, self.target):
            _close(endpoint)
        self.gate.finish(self._reason or reason)
        self._on_closed(self)

    # --- transports ----------------------------------------------------------------------------

    def data(self, side: Side, data: bytes) -> None:
        """Bytes arrived: judge them now, or keep them while their lane waits."""
        if self._finished:
            return
        lane = self._lane(side)
        if lane.steps is None:
            self._receive(lane, side, data)
            return
        lane.queue.append(data)
        lane.held += len(data)
        limit = PARKED_INPUT if side is CLIENT else READ_CHUNK
        if lane.held >= limit:
            self._reading(side)
            if side is CLIENT:
                self._poll_later()

    def ended(self, side: Side) -> None:
        """A peer is gone. What waits for a person in its lane is withdrawn; other waits end first."""
        if self._finished:
            return
        lane = self._lane(side)
        lane.end = True
        if type(lane.step) is Ask and type(lane.step.question) is Await:
            self._drop(lane)
            lane.queue.clear()  # sent behind the question: judged now it would bring that up again, for nobody
            lane.held = 0
        if lane.steps is None:
            self._next(lane)

    def pressure(self, side: Side, full: bool) -> None:
        """Back-pressure: while one side's write buffer is full, the other is not read."""
        (self._full.add if full else self._full.discard)(side)
        self._reading(TARGET if side is CLIENT else CLIENT)
        if full and side is TARGET:
            self._poll_later()

    def _reading(self, side: Side) -> None:
        transport = self._endpoint(side).transport
        if transport is None or transport.is_closing():
            return
        other = TARGET if side is CLIENT else CLIENT
        limit = PARKED_INPUT if side is CLIENT else READ_CHUNK
        if other in self._full or self._lane(side).held >= limit or (side is CLIENT and self._stuffed):
            transport.pause_reading()
        else:
            transport.resume_reading()

    def _weigh(self) -> None:
        """Back-pressure: a client whose messages wait inside the session is not read until they wait no more."""
        stuffed = not self._finished and self.gate.stuffed()
        if stuffed is not self._stuffed:
            self._stuffed = stuffed
            self._reading(CLIENT)
            if stuffed:
                self._poll_later()

    def _poll_later(self) -> None:
        if not self._hangup_due:
            self._hangup_due = True
            asyncio.get_running_loop().call_later(HANGUP_POLL_SECONDS, self._poll)

    def _poll(self) -> None:
        """Look whether a client that is not read has gone. What it sent before an orderly end still goes to a slow
        target; behind a question that waits for a person it does not."""
        self._hangup_due = False
        parked = self._from_client.held >= PARKED_INPUT
        if self._finished or not (parked or self._stuffed or TARGET in self._full):
            return
        if self.client.hung_up(reset_only=not parked):
            self._from_client.queue.clear()
            self.ended(CLIENT)
        else:
            self._poll_later()

    def _endpoint(self, side: Side) -> Endpoint:
        return self.client if side is CLIENT else self.target

    def _lane(self, side: Side) -> Lane:
        return self._from_client if side is CLIENT else self._from_target

    # --- lanes ---------------------------------------------------------------------------------

    def _receive(self, lane: Lane, side: Side, data: bytes) -> None:
        """Have bytes judged: most are dealt with at once, and what is left is to be written."""
        self._count.chunks += 1
        try:
            verb = self.gate.receive(side, data, time.time())
        except Exception as error:  # noqa: BLE001 - whatever breaks inside a session ends that session, closed
            self._broke(error)
            return
        if not isinstance(verb, list):
            self._start(lane, verb)
            return
        for step in verb:
            if type(step) is Send:
                self._write(step)
        self._weigh()
        self._polling.arrived(side, self)
        if lane.queue or lane.end:
            self._next(lane)

    def _start(self, lane: Lane, steps: Steps[None]) -> None:
        lane.steps = steps
        self._count.opened += 1
        self._run(lane, steps, None)

    def _run(self, lane: Lane, steps: Steps[None], reply: Any) -> None:
        """Advance a generator until it waits or ends. Sends are performed at once, in order."""
        try:
            while True:
                step = steps.send(reply)
                reply = None
                if type(step) is Send:
                    self._write(step)
                elif type(step) is Close:
                    self._closing(step)
                else:
                    lane.step = step
                    lane.task = self._spawn(self._perform(lane, steps, step))
                    return
                if self._finished:
                    steps.close()
                    break
        except StopIteration:
            pass
        except Exception as error:  # noqa: BLE001 - whatever breaks inside a session ends that session, closed
            self._ended(lane, steps)
            self._broke(error)
            return
        self._ended(lane, steps)
        self._weigh()
        self._next(lane)

    async def _perform(self, lane: Lane, steps: Steps[None], step: Any) -> None:
        try:
            reply = await self._work.perform(step)
        except Exception as error:  # noqa: BLE001 - a session must not stay behind work that broke
            if lane.steps is steps:
                lane.step = lane.task = None
                self._ended(lane, steps)
                self._broke(error)
            return
        if lane.steps is steps:
            lane.step = lane.task = None
            self._run(lane, steps, reply)
        if self.gate.deadline is not None and not self._watching:
            self._watching = True
            self._watch_deadline()

    def _ended(self, lane: Lane, steps: Steps[None]) -> None:
        if lane.steps is steps:
            lane.steps = None
            self._count.closed += 1

    def _drop(self, lane: Lane) -> None:
        """Close a suspended generator and cancel what it waited for. One that runs right now ends by itself."""
        steps, task = lane.steps, lane.task
        lane.step = lane.task = None
        if task is not None:
            task.cancel()
            if steps is not None:
                self._ended(lane, steps)
                steps.close()

    def _next(self, lane: Lane) -> None:
        """Go on with what came while a generator ran."""
        if self._finished or lane.steps is not None:
            return
        if lane is self._events:
            if self._event_queue:
                self._start(lane, self.gate.event(self._event_queue.popleft(), time.time()))
            return
        side = CLIENT if lane is self._from_client else TARGET
        if self._gone and side is CLIENT:
            self.finish("the client closed the connection")
        elif lane.queue:
            data = b"".join(lane.queue)
            lane.queue.clear()
            lane.held = 0
            self._reading(side)
            self._receive(lane, side, data)
        elif lane.end:
            lane.end = False
            self._gone = side is CLIENT
            self._start(lane, self.gate.end(side, time.time()))

    def _write(self, step: Send) -> None:
        self._endpoint(step.to).write(step.data)

    def _closing(self, step: Close) -> None:
        if step.side is CLIENT:
            self.finish(step.reason)
        else:
            _close(self.target)

    def _broke(self, error: Exception) -> None:
        """A generator raised: tell the client natively if that still works, then end."""
        expected = isinstance(error, CheckreinError)
        reason = str(error) if expected else "the gateway met an internal error and closed this session"
        self._work.broke(self.id, error)
        self._reason = f"error: {type(error).__name__}: {reason}"
        self._quietly(broken(reason))
        self.finish(reason)

    def _quietly(self, what: Killed) -> None:
        steps = self.gate.event(what, time.time())
        try:
            for step in steps:
                if type(step) is Send and step.to is CLIENT:
                    self._write(step)
        except Exception as error:  # noqa: BLE001 - the session is ending because of an error already
            self._work.broke(self.id, error)
        finally:
            steps.close()


def _close(endpoint: Endpoint) -> None:
    """Close a transport after what was written; abort it if that takes too long."""
    transport = endpoint.transport
    if transport is None:
        return
    endpoint.over = True
    if not transport.is_closing():
        transport.close()
    asyncio.get_running_loop().call_later(CLOSE_SECONDS, transport.abort)
