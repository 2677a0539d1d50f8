"""Approvals: asking people, waiting for them, and what a yes is good for. Every surface answers through `answer`."""

from __future__ import annotations

import asyncio
import collections
import contextlib
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Any, Final, TypeVar

import msgspec
from sqlalchemy.exc import SQLAlchemyError

from checkrein.core.errors import LimitExceeded
from checkrein.core.identity import Principal
from checkrein.core.limits import OPEN_APPROVALS
from checkrein.gate.ports import Await, Consume, Question, Settled
from checkrein.store.approvals import APPROVED, DENIED, PENDING, Approval, ApprovalStore

T = TypeVar("T")
LOCAL: Final = "local"
CANCELLED: Final = "cancelled by the client"


class Approvals:
    """The desk of one gateway. Store work runs in one thread; waiting is on the loop."""

    def __init__(
        self,
        store: ApprovalStore,
        thread: Executor,
        clock: Callable[[], float],
        new_id: Callable[[], str],
        url: str = "",
    ) -> None:
        self._store = store
        self._thread = thread
        self._clock = clock
        self._new_id = new_id
        self._url = url
        self._waiters: collections.Counter[str] = collections.Counter()
        self._promised: set[str] = set()
        self._changed: dict[str, asyncio.Event] = {}
        self._said: dict[str, list[tuple[str, list[int]]]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.get_running_loop()

    # --- the gate's side -------------------------------------------------------------------------

    async def ask(self, item: Question | Await | Consume, session: str) -> Settled | bool:
        """Serve an Ask step. A store that is away answers `unavailable`, never yes."""
        try:
            if isinstance(item, Question):
                return await self._run(self._open, item)
            if isinstance(item, Await):
                return await self._wait(item)
            return await self._run(self._store.consume, item.id, session, self._clock())
        except SQLAlchemyError:
            away = Settled("", "unavailable", self._clock(), reason="the approval store is away")
            return False if isinstance(item, Consume) else away

    def withdraw(self, id: str, reason: str) -> None:
        """Withdraw an open question, unless another asker waits for it or was told to come back for it."""
        task = self._loop.create_task(self._withdraw(id, reason))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _withdraw(self, id: str, reason: str) -> None:
        others = self._waiters[id] > 0 or id in self._promised
        if others and reason != CANCELLED:
            return
        with contextlib.suppress(SQLAlchemyError):
            await self._run(self._store.withdraw, id, reason, self._clock())
        self._forget(id)

    def _open(self, question: Question) -> Settled:
        now = self._clock()
        found = self._store.open_for(question.binding, question.session, now)
        if found is None:
            found = self._approval(question, now)
            try:
                self._store.add(found)
            except LimitExceeded as error:
                return Settled("", "unavailable", now, reason=str(error))
        return self._settled(found, now)

    def _approval(self, question: Question, now: float) -> Approval:
        principal = question.principal
        first = question.terms[0]
        return Approval(
            id=self._new_id(),
            binding=question.binding,
            issuer=principal.issuer,
            subject=principal.subject,
            actors=[{"issuer": actor.issuer, "subject": actor.subject} for actor in principal.actors],
            target=question.target,
            profile=question.profile,
            protocol=question.protocol,
            session=question.session,
            session_only=any(terms.session_only for terms in question.terms),
            statement=question.statement,
            parameters=None if question.parameters is None else list(question.parameters),
            verbs=list(question.verbs),
            touches=list(question.touches),
            policy=first.policy,
            rule=first.rule,
            terms=[msgspec.to_builtins(terms) for terms in question.terms],
            asked_at=now,
            expires_at=now + min(terms.expire for terms in question.terms),
            uses_left=min(terms.uses for terms in question.terms),
        )

    async def _wait(self, item: Await) -> Settled:
        """Wait until the question is settled or the hold is over; then the asker was promised that it may come back."""
        self._waiters[item.id] += 1
        changed = self._changed.setdefault(item.id, asyncio.Event())
        try:
            async with asyncio.timeout(item.hold):
                while True:
                    changed.clear()  # before looking: an answer between look and wait must not be missed
                    settled = await self._run(self._state, item.id)
                    if settled.state != PENDING:
                        return settled
                    await changed.wait()
        except TimeoutError:
            settled = await self._run(self._state, item.id)
            if settled.state == PENDING:
                self._promised.add(item.id)
            return settled
        finally:
            self._waiters[item.id] -= 1
            if self._waiters[item.id] <= 0:
                del self._waiters[item.id]
                self._changed.pop(item.id, None)

    def _state(self, id: str) -> Settled:
        now = self._clock()
        self._store.expire(now)
        found = self._store.get(id)
        return Settled(id, "withdrawn", now) if found is None else self._settled(found, now)

    def _settled(self, found: Approval, now: float) -> Settled:
        url = f"{self._url}/approvals/{found.id}" if self._url else ""
        return Settled(found.id, found.state, now, tuple(found.answered_by), found.reason, url)

    # --- people's side ---------------------------------------------------------------------------

    async def answer(self, id: str, person: Principal, approve: bool, note: str) -> dict[str, Any]:
        """Answer a question. Raises LookupError, PermissionError or ValueError with a sentence for the person."""
        answered = await self._run(self._answer, id, person, approve, note)
        if answered.state != PENDING:
            self._forget(id)
        return shown(answered)

    async def ls(self, state: str) -> list[dict[str, Any]]:
        """List approvals, newest first."""
        return [shown(found) for found in await self._run(self._list, state)]

    async def show(self, id: str) -> dict[str, Any] | None:
        """Return one approval."""
        found = await self._run(self._store.get, id)
        return None if found is None else shown(found)

    def _list(self, state: str) -> list[Approval]:
        self._store.expire(self._clock())
        return self._store.find(state or None, OPEN_APPROVALS)

    def _answer(self, id: str, person: Principal, approve: bool, note: str) -> Approval:
        now = self._clock()
        self._store.expire(now)
        found = self._store.get(id)
        if found is None:
            raise LookupError(f"there is no approval {id!r}")
        check_person(found, person)
        if found.state != PENDING:
            raise ValueError(f"approval {id} is {found.state} already; it cannot be answered again")
        if not approve:
            return self._settle(id, DENIED, now, [person.name], note)
        said = self._said.setdefault(id, [])
        if person.name in (name for name, _ in said):
            raise ValueError("you have approved this already; another person must")
        said.append((person.name, rules_of(found, person)))
        if not complete([covers for _, covers in said], len(found.terms)):
            return found
        return self._settle(id, APPROVED, now, [name for name, _ in said], note)

    def _settle(self, id: str, state: str, now: float, by: list[str], note: str) -> Approval:
        settled = self._store.settle(id, state, now, by, note)
        if settled is None:
            raise ValueError(f"approval {id} was settled by someone else at the same moment")
        return settled

    def _forget(self, id: str) -> None:
        """A question is settled: wake who waits for it."""
        self._promised.discard(id)
        self._said.pop(id, None)
        changed = self._changed.get(id)
        if changed is not None:
            changed.set()

    async def _run(self, work: Callable[..., T], *arguments: Any) -> T:
        return await self._loop.run_in_executor(self._thread, work, *arguments)


def check_person(found: Approval, person: Principal) -> None:
    """Raise PermissionError unless this person may answer: not asker, not in its chain, of a group asked."""
    chain = {(actor["issuer"], actor["subject"]) for actor in found.actors}
    who = (person.issuer, person.subject)
    if who == (found.issuer, found.subject):
        raise PermissionError("who asked may not answer")
    if who in chain:
        raise PermissionError("who stands in the asker's chain may not answer")
    if person.actors:
        raise PermissionError("a person answers, not an agent acting for one")
    if not rules_of(found, person):
        groups = {group for terms in found.terms for group in terms["approvers"]}
        raise PermissionError(f"this needs one of the groups {', '.join(sorted(groups))}; you have none of them")


def rules_of(found: Approval, person: Principal) -> list[int]:
    """Return the asking rules that this person may answer for; a local approver, where there is one, for all."""
    local = person.issuer == LOCAL
    return [i for i, terms in enumerate(found.terms) if local or not set(terms["approvers"]).isdisjoint(person.groups)]


def complete(covers: list[list[int]], rules: int) -> bool:
    """Whether every asking rule has a person of its own: nobody counts for two (AP-7)."""
    taken: dict[int, int] = {}

    def place(person: int, tried: set[int]) -> bool:
        for rule in covers[person]:
            if rule not in tried:
                tried.add(rule)
                if rule not in taken or place(taken[rule], tried):
                    taken[rule] = person
                    return True
        return False

    return sum(place(person, set()) for person in range(len(covers))) >= rules


def shown(found: Approval) -> dict[str, Any]:
    """Return an approval as commands and the API show it."""
    return {
        "id": found.id,
        "state": found.state,
        "principal": f"{found.issuer}:{found.subject}",
        "actors": [f"{actor['issuer']}:{actor['subject']}" for actor in found.actors],
        "target": found.target,
        "profile": found.profile,
        "protocol": found.protocol,
        "session": found.session,
        "statement": found.statement,
        "parameters": found.parameters,
        "verbs": found.verbs,
        "touches": found.touches,
        "policy": found.policy,
        "rule": found.rule,
        "rules": [f"{terms['policy']}/{terms['rule']}" for terms in found.terms],
        "approvers": sorted({group for terms in found.terms for group in terms["approvers"]}),
        "asked_at": found.asked_at,
        "expires_at": found.expires_at,
        "answered_by": found.answered_by,
        "reason": found.reason,
    }
