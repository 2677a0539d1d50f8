"""The gate alone, driven dry over the toy protocol."""

from __future__ import annotations

from typing import Any

import pytest

from checkrein.core.decision import Decision
from checkrein.core.identity import LoginRefused
from checkrein.core.session import Cancelled
from checkrein.core.side import Side
from checkrein.core.steps import Ask, Authenticate, Decide, Dial, Persist, Send, steps_of
from checkrein.core.target import Link
from checkrein.core.verdict import AskTerms, Verdict
from checkrein.gate.gate import GateBroken
from checkrein.gate.ports import Await, Consume, Question, Settled
from tests.conformance.echo import SPEC, read
from tests.gate.fakes import PRINCIPAL, TARGET, TERMS, Snapshot, World

RULES = {"hi": "allow", "write": "allow", "pay": "ask", "no": "deny"}


def answers(step: Any) -> Any:
    """Answer login steps as a good world would, and approvals with yes."""
    if isinstance(step, Authenticate):
        return PRINCIPAL
    if isinstance(step, Dial):
        return Link(TARGET, TARGET.profiles["default"])
    if isinstance(step, Ask) and isinstance(step.question, Question):
        return Settled("a1", "pending", 1.0)
    if isinstance(step, Ask) and isinstance(step.question, Await):
        return Settled("a1", "approved", 2.0, ("anna",))
    if isinstance(step, Ask) and isinstance(step.question, Consume):
        return True
    return None


def logged_in(rules: dict[str, str] | None = None) -> World:
    """Return a world whose client has logged in."""
    world = World(SPEC, rules or RULES)
    world.run(world.gate.open(0.0))
    world.run(world.gate.receive(Side.CLIENT, b"LOGIN words default t\n", 0.0), answers)
    world.log.clear()
    return world


def say(world: World, line: bytes, answer: Any = answers) -> list[Any]:
    """Send one line from the client; return the steps."""
    return world.run(world.gate.receive(Side.CLIENT, line, 1.0), answer)


def sent(steps: list[Any], side: Side) -> bytes:
    """Join what was sent to a side."""
    return b"".join(step.data for step in steps if isinstance(step, Send) and step.to is side)


def test_decision_is_on_file_before_a_byte_moves() -> None:
    """I6: the decided event is flushed before the Send to the target."""
    world = logged_in()
    say(world, b"SAY hi there\n")
    kinds = [entry if isinstance(entry, tuple) else type(entry).__name__ for entry in world.log]
    assert kinds == [("journal", "decided"), "Send"]


def test_refusal_reaches_no_target_and_is_on_file() -> None:
    """I1, I4: a denied line is answered, not forwarded, and journalled as refused."""
    world = logged_in()
    steps = say(world, b"SAY no way\n")
    assert sent(steps, Side.TARGET) == b""
    assert sent(steps, Side.CLIENT).startswith(b"! denied")
    assert world.journals.journal.of("decided")[0]["outcome"] == "refused"


def test_unread_line_is_refused() -> None:
    """I2: what concedes is not forwarded."""
    world = logged_in()
    assert sent(say(world, b"WHAT is this\n"), Side.TARGET) == b""


def test_writes_are_persisted_before_they_move() -> None:
    """Durability: a write is fsynced before its effect, a read is not."""
    world = logged_in()
    assert [type(step) for step in say(world, b"SAY write x\n")] == [Persist, Send]
    assert [type(step) for step in say(world, b"SAY hi x\n")] == [Send]


def test_ask_waits_and_runs_what_was_approved() -> None:
    """An approved line is forwarded after notice, consumption and persistence, with its approval in the journal."""
    world = logged_in()
    steps = say(world, b"SAY pay 5\n")
    assert [type(step).__name__ for step in steps] == ["Ask", "Send", "Ask", "Ask", "Persist", "Send"]
    assert steps[1].data.startswith(b"# checkrein: waiting up to 50 s for approval a1 by oncall")
    assert sent(steps, Side.TARGET) == b"SAY pay 5\n"
    decided = world.journals.journal.of("decided")
    assert len(decided) == 1
    assert decided[0]["approval"] == "a1"
    assert decided[0]["outcome"] == "forwarded"


@pytest.mark.parametrize("state", ["denied", "expired", "withdrawn", "pending", "unavailable"])
def test_anything_but_a_yes_is_a_refusal(state: str) -> None:
    """I2: only approved runs; over the hold the agent is told to come back."""

    def answer(step: Any) -> Any:
        if isinstance(step, Ask) and isinstance(step.question, Await):
            return Settled("a1", state, 2.0)
        return answers(step)

    world = logged_in()
    steps = say(world, b"SAY pay 5\n", answer)
    assert sent(steps, Side.TARGET) == b""
    refusal = world.journals.journal.of("decided")[0]["refusal"]
    assert (refusal["retry"] == "after_approval") == (state == "pending")


def test_a_grant_is_used_once() -> None:
    """AP-9: when consuming fails the line is refused."""

    def answer(step: Any) -> Any:
        if isinstance(step, Ask) and isinstance(step.question, Consume):
            return False
        return answers(step)

    world = logged_in()
    assert sent(say(world, b"SAY pay 5\n", answer), Side.TARGET) == b""


def test_a_deny_that_came_while_waiting_wins() -> None:
    """AP-10: the statement is judged again by the snapshot in force as the bytes would move."""
    world = logged_in()

    def answer(step: Any) -> Any:
        if isinstance(step, Ask) and isinstance(step.question, Await):
            world.policies.snapshot = Snapshot({**RULES, "pay": "deny"}, "s2")
        return answers(step)

    assert sent(say(world, b"SAY pay 5\n", answer), Side.TARGET) == b""


def test_a_changed_asking_rule_voids_and_an_unrelated_edit_does_not() -> None:
    """AP-10: the approval is bound to the digest of the rule that asked, not to the snapshot."""
    for terms, passes in ((AskTerms(policy="p", rule="asks", approvers=("x",), digest="d2"), False), (TERMS, True)):
        world = logged_in()

        def answer(step: Any, world: World = world, terms: AskTerms = terms) -> Any:
            if isinstance(step, Ask) and isinstance(step.question, Await):
                world.policies.snapshot = Snapshot(RULES, "s2", terms)
            return answers(step)

        assert bool(sent(say(world, b"SAY pay 5\n", answer), Side.TARGET)) is passes


def test_client_gone_while_waiting_withdraws() -> None:
    """AP-11: closing the suspended generator withdraws the question; nothing was forwarded."""
    world = logged_in()
    steps = world.gate.receive(Side.CLIENT, b"SAY pay 5\n", 1.0)
    step = steps.send(None)
    while not (isinstance(step, Ask) and isinstance(step.question, Await)):
        step = steps.send(answers(step))
    steps.close()
    assert world.desk.withdrawn == [("a1", "the asker went away")]


def test_cancel_while_waiting_withdraws() -> None:
    """A cancel while a person is waited for goes to the desk, not to the target."""
    world = logged_in()
    steps = world.gate.receive(Side.CLIENT, b"SAY pay 5\n", 1.0)
    step = steps.send(None)
    while not (isinstance(step, Ask) and isinstance(step.question, Await)):
        step = steps.send(answers(step))
    assert world.run(world.gate.event(Cancelled(), 1.5)) == []
    assert world.desk.withdrawn == [("a1", "cancelled by the client")]
    steps.close()


def test_login_refusals_are_kept() -> None:
    """A refused login says which check failed and goes to the chain of refused logins."""
    world = World(SPEC, {"enter": "no policy lets you in"})
    world.run(world.gate.open(0.0))
    steps = world.run(world.gate.receive(Side.CLIENT, b"LOGIN words default t\n", 0.0), answers)
    assert b"no policy lets you in" in sent(steps, Side.CLIENT)
    assert world.journals.refused[0]["check"] == "policy"
    assert world.gate.principal is None


def test_unverified_token_never_learns_whether_a_target_exists() -> None:
    """The token is verified first: a bad one gives the same answer for any target name."""

    def answer(step: Any) -> Any:
        return LoginRefused("bad token", "token") if isinstance(step, Authenticate) else answers(step)

    said = []
    for target in (b"words", b"nowhere"):
        world = World(SPEC, RULES)
        world.run(world.gate.open(0.0))
        steps = world.run(world.gate.receive(Side.CLIENT, b"LOGIN " + target + b" default t\n", 0.0), answer)
        said.append(sent(steps, Side.CLIENT))
    assert said[0] == said[1]


def test_forged_warrant_is_refused() -> None:
    """A Decision that this gate did not make lets nothing pass."""
    world = logged_in()
    forged = Decision(1, read("SAY hi x")[0], Verdict(outcome="allow"))

    def session_steps() -> Any:
        yield Send(Side.TARGET, b"SAY no x\n", forged)

    with pytest.raises(GateBroken):
        world.run(world.gate._drive(session_steps(), 1.0))


def test_broken_journal_forwards_nothing() -> None:
    """I2, I6: while the journal is known to be broken statements are refused and no byte moves."""
    world = logged_in()
    world.journals.well = False
    steps = say(world, b"SAY hi x\n")
    assert sent(steps, Side.TARGET) == b""
    assert b"recording" in sent(steps, Side.CLIENT)


def test_finish_says_what_never_was_answered() -> None:
    """A session that ends with an open exchange leaves an answered event with outcome unknown, once."""
    world = logged_in()
    say(world, b"SAY hi x\n")
    world.gate.finish("client gone")
    world.gate.finish("again")
    assert [fields["outcome"] for fields in world.journals.journal.of("answered")] == ["unknown"]
    assert len(world.journals.journal.of("closed")) == 1


def test_verdicts_are_cached_until_the_snapshot_changes() -> None:
    """The same meaning is judged once a snapshot."""
    world = logged_in()
    statement = read("SAY hi x")[0]
    judge = world.gate._judge
    assert judge is not None
    for _ in range(3):
        judge.judge(statement, 1.0)
    assert world.policies.snapshot.decided == 1
    world.policies.snapshot = Snapshot({"hi": "deny"}, "s2")
    assert judge.judge(statement, 1.0).verdict.outcome == "deny"


def decide_steps(world: World, line: str, deferred: bool, settles: bool) -> list[str]:
    """Decide and forward one line as a protocol with transactions would; return the steps' names."""

    def session_steps() -> Any:
        decision = yield Decide(read(line)[0], True, None, deferred, settles)
        yield Send(Side.TARGET, line.encode() + b"\n", decision)

    return [type(step).__name__ for step in world.run(world.gate._drive(session_steps(), 1.0))]


def test_a_deferred_write_is_durable_before_what_settles_it() -> None:
    """Durability: inside an open transaction the journal is made durable once, before the statement that commits."""
    world = logged_in()
    assert decide_steps(world, "SAY write 1", True, False) == ["Send"]
    assert decide_steps(world, "SAY hi 2", False, False) == ["Send"]
    assert decide_steps(world, "SAY hi commit", False, True) == ["Persist", "Send"]
    assert decide_steps(world, "SAY hi commit", False, True) == ["Send"]
    assert decide_steps(world, "SAY write 3", False, False) == ["Persist", "Send"]


def begun(world: World, line: bytes) -> Any:
    """Drive one line's verb until the journal must be durable; return it suspended there."""
    verb = steps_of(world.gate.receive(Side.CLIENT, line, 1.0))
    assert isinstance(next(verb), Persist)
    return verb


def rest_of(verb: Any) -> list[Any]:
    """Drive a suspended verb to its end, the journal durable."""
    steps = []
    try:
        while True:
            steps.append(verb.send(None))
    except StopIteration:
        return steps


def test_what_the_other_lane_forwards_goes_behind_bytes_that_wait() -> None:
    """GW-15: a read never overtakes a write that waits for the journal: its answer would be taken for the write's."""
    world = logged_in()
    verb = begun(world, b"SAY write 1\n")
    assert sent(say(world, b"SAY hi 2\n"), Side.TARGET) == b""
    assert sent(rest_of(verb), Side.TARGET) == b"SAY write 1\nSAY hi 2\n"


def test_a_second_write_behind_bytes_that_wait_is_durable_too() -> None:
    """GW-15: the first write's fsync may have begun before the second was decided, so there is another one."""
    world = logged_in()
    verb = begun(world, b"SAY write 1\n")
    assert say(world, b"SAY write 2\n") == []
    steps = rest_of(verb)
    assert [type(step) for step in steps] == [Persist, Send]
    assert sent(steps, Side.TARGET) == b"SAY write 1\nSAY write 2\n"


def test_what_comes_behind_a_question_is_judged_as_of_its_answer() -> None:
    """GW-19: a line pipelined behind one that waited is decided as of when it can move, not of when it arrived."""
    world = logged_in()
    times: list[float] = []
    decide = world.policies.snapshot.decide

    def watched(facts: Any) -> Verdict:
        times.append(facts.now)
        return decide(facts)

    world.policies.snapshot.decide = watched  # type: ignore[method-assign]
    say(world, b"SAY pay 5\nSAY hi 2\n")
    assert times[0] == 1.0
    assert times[-1] == 2.0
