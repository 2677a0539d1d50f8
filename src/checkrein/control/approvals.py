"""Approvals: asking people, waiting for them, and what a yes is good for. Every surface answers through `answer`."""

from __future__ import annotations

import asyncio
import collections
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Any, Protocol, TypeVar

import msgspec

from checkrein.core.identity import Principal
from checkrein.core.limits import OPEN_APPROVALS, OPEN_APPROVALS_PER_PRINCIPAL
from checkrein.core.verdict import AskTerms
from checkrein.gate.ports import Await, Consume, Question, Settled

T = TypeVar("T")
LOCAL = "local"
PENDING, APPROVED = "pending", "approved"


class Row(msgspec.Struct, kw_only=True):
    """One approval as the store keeps it. Times are epoch seconds.

    `answers` are who said yes so far (issuer, subject); `covers` the rules (by index) that each of them may answer for.
    """

    id: str
    state: str
    binding: str
    subject: str
    issuer: str
    actors: list[tuple[str, str]]
    target: str
    profile: str
    protocol: str
    session: str
    statement: str
    parameters: list[str | None] | None
    verbs: list[str]
    touches: list[str]
    terms: list[AskTerms]
    asked_at: float
    expires_at: float
    uses_left: int
    answers: list[tuple[str, str]] = []
    covers: list[list[int]] = []
    answered_at: float | None = None
    reason: str = ""


class Book(Protocol):
    """The store's side; synchronous, called in one thread. Every change is a compare-and-set on the state."""

    def insert(self, row: Row) -> None:
        """Keep a new question."""

    def get(self, id: str) -> Row | None:
        """Return one."""

    def by_binding(self, binding: str, state: str) -> Row | None:
        """Return the newest with this binding and state."""

    def ls(self, state: str, limit: int) -> list[Row]:
        """List, newest first; an empty state means all."""

    def count(self, state: str, principal: tuple[str, str] | None) -> int:
        """Count, of one (issuer, subject) if given."""

    def settle(self, row: Row, was: str) -> bool:
        """Write what an answer changed where the state is still `was`. Return whether it was."""

    def consume(self, id: str, now: float) -> bool:
        """Take one use of an approved, unexpired grant; the last use makes it `used`. Return whether there was one."""

    def expire(self, now: float) -> list[str]:
        """Expire pending questions and approved grants whose time is over. Return their ids."""


class Approvals:
    """The desk of one gateway. Store work runs in one thread; waiting is on the loop."""

    def __init__(
        self, book: Book, thread: Executor, clock: Callable[[], float], new_id: Callable[[], str], url: str = ""
    ) -> None:
        self._book = book
        self._thread = thread
        self._clock = clock
        self._new_id = new_id
        self._url = url
        self._waiters: collections.Counter[str] = collections.Counter()
        self._promised: set[str] = set()
        self._changed: dict[str, asyncio.Event] = {}
        self._loop = asyncio.get_running_loop()

    # --- the gate's side -------------------------------------------------------------------------

    async def ask(self, item: Question | Await | Consume, session: str) -> Settled | bool:
        """Serve an Ask step. A store that is away answers `unavailable`, never yes."""
        try:
            if isinstance(item, Question):
                return await self._run(self._open, item)
            if isinstance(item, Await):
                return await self._wait(item)
            return await self._run(self._book.consume, item.id, self._clock())
        except OSError as error:
            return False if isinstance(item, Consume) else Settled("", "unavailable", self._clock(), reason=str(error))

    def withdraw(self, id: str, reason: str) -> None:
        """Withdraw an open question, unless another asker waits for it or was told to come back for it."""
        self._loop.create_task(self._withdraw(id, reason))

    async def _withdraw(self, id: str, reason: str) -> None:
        if self._waiters[id] > 0 and reason != "cancelled by the client":
            return
        if id not in self._promised:
            await self._run(self._settle_as, id, "withdrawn", reason)
            self._wake(id)

    def _open(self, question: Question) -> Settled:
        now = self._clock()
        self._expire(now)
        grant = self._book.by_binding(question.binding, APPROVED)
        if grant is not None and grant.uses_left > 0:
            return self._settled(grant, now)
        row = self._book.by_binding(question.binding, PENDING)
        if row is not None:
            return self._settled(row, now)
        who = (question.principal.issuer, question.principal.subject)
        if self._book.count(PENDING, None) >= OPEN_APPROVALS:
            return Settled("", "unavailable", now, reason="too many questions are open")
        if self._book.count(PENDING, who) >= OPEN_APPROVALS_PER_PRINCIPAL:
            return Settled("", "unavailable", now, reason="too many of your questions are open; wait for their answers")
        row = self._row(question, now)
        self._book.insert(row)
        return self._settled(row, now)

    def _row(self, question: Question, now: float) -> Row:
        principal = question.principal
        return Row(
            id=self._new_id(),
            state=PENDING,
            binding=question.binding,
            subject=principal.subject,
            issuer=principal.issuer,
            actors=[(actor.issuer, actor.subject) for actor in principal.actors],
            target=question.target,
            profile=question.profile,
            protocol=question.protocol,
            session=question.session,
            statement=question.statement,
            parameters=None if question.parameters is None else list(question.parameters),
            verbs=list(question.verbs),
            touches=list(question.touches),
            terms=list(question.terms),
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
                    settled = await self._run(self._state, item.id)
                    if settled.state != PENDING:
                        return settled
                    changed.clear()
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
        self._expire(now)
        row = self._book.get(id)
        return Settled(id, "withdrawn", now) if row is None else self._settled(row, now)

    def _settled(self, row: Row, now: float) -> Settled:
        by = tuple(f"{issuer}:{subject}" for issuer, subject in row.answers)
        url = f"{self._url}/approvals/{row.id}" if self._url else ""
        return Settled(row.id, row.state, now, by, row.reason, url)

    # --- people's side ---------------------------------------------------------------------------

    async def answer(self, id: str, person: Principal, approve: bool, note: str) -> dict[str, Any]:
        """Answer a question. Raises LookupError, PermissionError or ValueError with a sentence for the person."""
        row = await self._run(self._answer, id, person, approve, note)
        if row.state != PENDING:
            self._promised.discard(id)
        self._wake(id)
        return shown(row)

    async def ls(self, state: str) -> list[dict[str, Any]]:
        """List approvals, newest first."""
        return [shown(row) for row in await self._run(self._list, state)]

    async def show(self, id: str) -> dict[str, Any] | None:
        """Return one approval."""
        row = await self._run(self._book.get, id)
        return None if row is None else shown(row)

    def _list(self, state: str) -> list[Row]:
        self._expire(self._clock())
        return self._book.ls(state, OPEN_APPROVALS)

    def _answer(self, id: str, person: Principal, approve: bool, note: str) -> Row:
        now = self._clock()
        self._expire(now)
        row = self._book.get(id)
        if row is None:
            raise LookupError(f"there is no approval {id!r}")
        check_person(row, person)
        if row.state != PENDING:
            raise ValueError(f"approval {id} is {row.state} already; it cannot be answered again")
        who = (person.issuer, person.subject)
        if approve and who in row.answers:
            raise ValueError("you have approved this already; another person must")
        row.answers = [*row.answers, who] if approve else [who]
        row.covers = [*row.covers, rules_of(row, person)]
        row.reason = note
        row.answered_at = now
        if not approve:
            row.state = "denied"
        elif complete(row.covers, len(row.terms)):
            row.state = APPROVED
        if not self._book.settle(row, PENDING):
            raise ValueError(f"approval {id} was settled by someone else at the same moment")
        return row

    def _expire(self, now: float) -> None:
        self._promised.difference_update(self._book.expire(now))

    def _settle_as(self, id: str, state: str, reason: str) -> None:
        row = self._book.get(id)
        if row is not None and row.state == PENDING:
            row.state, row.reason, row.answered_at = state, reason, self._clock()
            self._book.settle(row, PENDING)

    def _wake(self, id: str) -> None:
        changed = self._changed.get(id)
        if changed is not None:
            changed.set()

    async def _run(self, work: Callable[..., T], *arguments: Any) -> T:
        return await self._loop.run_in_executor(self._thread, work, *arguments)


def check_person(row: Row, person: Principal) -> None:
    """Raise PermissionError unless this person may answer: not asker, not in its chain, of a group asked."""
    who = (person.issuer, person.subject)
    if who == (row.issuer, row.subject):
        raise PermissionError("who asked may not answer")
    if who in [tuple(actor) for actor in row.actors] or who in [(a.issuer, a.subject) for a in person.actors]:
        raise PermissionError("who stands in the asker's chain may not answer")
    if person.actors:
        raise PermissionError("a person answers, not an agent acting for one")
    if not rules_of(row, person):
        groups = {group for terms in row.terms for group in terms.approvers}
        raise PermissionError(f"this needs one of the groups {', '.join(sorted(groups))}; you have none of them")


def rules_of(row: Row, person: Principal) -> list[int]:
    """Return the asking rules that this person may answer for; a local approver, where there is one, for all."""
    local = person.issuer == LOCAL
    return [i for i, terms in enumerate(row.terms) if local or not set(terms.approvers).isdisjoint(person.groups)]


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


def shown(row: Row) -> dict[str, Any]:
    """Return an approval as commands and the API show it."""
    return {
        "id": row.id,
        "state": row.state,
        "principal": f"{row.issuer}:{row.subject}",
        "actors": [f"{issuer}:{subject}" for issuer, subject in row.actors],
        "target": row.target,
        "profile": row.profile,
        "protocol": row.protocol,
        "session": row.session,
        "statement": row.statement,
        "parameters": row.parameters,
        "verbs": row.verbs,
        "touches": row.touches,
        "policy": row.terms[0].policy,
        "rule": row.terms[0].rule,
        "rules": [f"{terms.policy}/{terms.rule}" for terms in row.terms],
        "approvers": sorted({group for terms in row.terms for group in terms.approvers}),
        "asked_at": row.asked_at,
        "expires_at": row.expires_at,
        "answered_by": [f"{issuer}:{subject}" for issuer, subject in row.answers],
        "reason": row.reason,
    }
