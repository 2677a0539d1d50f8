"""What the flow tests share: a policy that asks, clients that wait for people, and waits with a deadline."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

import psycopg

from tests.support.gateway import Gateway, Target, running
from tests.support.postgres import PostgresServer

T = TypeVar("T")
DEADLINE = 20.0

SCHEMA = """
CREATE TABLE public.orders (id integer PRIMARY KEY, status text, amount numeric);
CREATE TABLE public.brief (id integer PRIMARY KEY, word text);
CREATE TABLE public.tied (id integer PRIMARY KEY, word text);
CREATE TABLE public.hasty (id integer PRIMARY KEY, word text);
CREATE TABLE public.pair (id integer PRIMARY KEY, word text);
CREATE TABLE public.free (id serial PRIMARY KEY, word text);
CREATE TABLE public.people (id integer PRIMARY KEY, name text, ssn text);
INSERT INTO public.orders SELECT n, 'open', n FROM generate_series(1, 100) AS n;
INSERT INTO public.people VALUES (1, 'Ann', '219-09-9999'), (2, 'Bob', '457-55-5462');
"""

ASKING = """
apiVersion: checkrein/v1
kind: Policy
metadata: {name: asking}
spec:
  subjects: {groups: [bots]}
  targets: {names: ["*"], profiles: ["*"]}
  rules:
    - {name: read, allow: {verbs: [select], touches: ["public.*"]}}
    - {name: free, allow: {verbs: [insert, update, delete], touches: [public.free]}}
    - {name: number, allow: {verbs: [update], touches: [public.free_id_seq]}}
    - name: writes
      ask: {verbs: [insert, update, delete], touches: [public.orders]}
      approvers: {groups: [oncall]}
      wait: {hold: 30s, expire: 1h}
    - name: brief
      ask: {verbs: [insert, update, delete], touches: [public.brief]}
      approvers: {groups: [oncall]}
      wait: {hold: 200ms, expire: 1h}
    - name: tied
      ask: {verbs: [insert, update, delete], touches: [public.tied]}
      approvers: {groups: [oncall]}
      wait: {hold: 200ms, expire: 1h}
      grant: {session: true}
    - name: pair-by-oncall
      ask: {verbs: [insert, update, delete], touches: [public.pair]}
      approvers: {groups: [oncall]}
      wait: {hold: 30s, expire: 1h}
    - name: pair-by-anyone
      ask: {verbs: [insert], touches: [public.pair]}
      approvers: {groups: [oncall, others]}
      wait: {hold: 30s, expire: 1h}
    - name: hasty
      ask: {verbs: [insert, update, delete], touches: [public.hasty]}
      approvers: {groups: [oncall]}
      wait: {hold: 1s, expire: 1s}
  masks:
    - {columns: [public.people.ssn], with: partial, keep_last: 4}
"""


def until(look: Callable[[], T], what: str = "", seconds: float = DEADLINE) -> T:
    """Look again and again until there is something; return it. Fails at the deadline."""
    end = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < end, f"still not after {seconds:g} s: {what}"
        threading.Event().wait(0.01)
    return found


@contextmanager
def asking(
    postgres: PostgresServer,
    config: str = "",
    policy: str = ASKING,
    targets: tuple[str, ...] = ("db",),
    options: str = "",
    env: Mapping[str, str] | None = None,
) -> Iterator[Gateway]:
    """Run a gateway with the asking policy over new databases, one a target; they are dropped afterwards."""
    made = [postgres.create_database(SCHEMA) for _ in targets]
    try:
        listed = [Target(one, name=name, options=options) for one, name in zip(made, targets, strict=True)]
        with running(listed, {"asking.yaml": policy}, config, env) as gateway:
            yield gateway
    finally:
        for database in made:
            database.drop()


class Held(threading.Thread):
    """A client whose statement waits for a person, in a thread of its own. `id` is the approval's, from the notice."""

    def __init__(self, connection: psycopg.Connection[Any], work: Callable[[psycopg.Connection[Any]], Any]) -> None:
        super().__init__(daemon=True)
        self.connection = connection
        self.notices: list[str] = []
        self.result: Any = None
        self.error: psycopg.Error | None = None
        self._noticed = threading.Event()
        self._work = work
        connection.add_notice_handler(self._notice)
        self.start()

    def _notice(self, notice: psycopg.errors.Diagnostic) -> None:
        self.notices.append(notice.message_primary or "")
        self._noticed.set()

    def run(self) -> None:
        """Do the work; keep what came of it."""
        try:
            self.result = self._work(self.connection)
        except psycopg.Error as error:
            self.error = error
        self._noticed.set()

    @property
    def id(self) -> str:
        """The approval that the notice names."""
        assert self._noticed.wait(DEADLINE), "no notice"
        assert self.notices, f"it was not held: {self.error or self.result}"
        return approval_in(self.notices[-1])

    def end(self) -> Any:
        """Wait until the statement is over; return its result, raise its error."""
        self.join(DEADLINE)
        assert not self.is_alive(), "still waiting"
        if self.error is not None:
            raise self.error
        return self.result


def approval_in(notice: str) -> str:
    """Return the approval's id from the notice of a held client."""
    return notice.split("for approval ", 1)[1].split()[0]


def run(text: str, *parameters: Any) -> Callable[[psycopg.Connection[Any]], int]:
    """Return work that runs one statement and gives the number of rows it changed."""
    return lambda connection: connection.execute(text.encode(), parameters or None).rowcount


def detail(error: psycopg.Error) -> dict[str, Any]:
    """Return the machine-readable part of a refusal."""
    found: dict[str, Any] = json.loads(error.diag.message_detail or "{}")
    return found


def refused(connection: psycopg.Connection[Any], text: str, *parameters: Any) -> dict[str, Any]:
    """Run a statement that must be refused with 42501; return the machine-readable part."""
    try:
        connection.execute(text.encode(), parameters or None)
    except psycopg.errors.InsufficientPrivilege as error:
        return detail(error)
    raise AssertionError(f"this was not refused: {text}")


def answer(gateway: Gateway, who: str, id: str, verb: str = "approve", note: str = "") -> tuple[int, dict[str, Any]]:
    """Answer an approval over the API; return status and body."""
    with gateway.api(who) as client:
        got = client.post(f"/api/v1/approvals/{id}/{verb}", json={"note": note})
        return got.status_code, got.json()


def approve(gateway: Gateway, id: str, who: str = "anna") -> dict[str, Any]:
    """Approve over the API, which must work."""
    status, body = answer(gateway, who, id)
    assert status == 200, body
    return body


def approval(gateway: Gateway, id: str) -> dict[str, Any]:
    """Return an approval as the API shows it."""
    with gateway.api("anna") as client:
        return client.get(f"/api/v1/approvals/{id}").raise_for_status().json()  # type: ignore[no-any-return]


def amount(gateway: Gateway, id: int) -> Any:
    """Return an order's amount as the database has it now."""
    with gateway.connect() as connection:
        return connection.execute("SELECT amount FROM orders WHERE id = %s", [id]).fetchall()[0][0]
