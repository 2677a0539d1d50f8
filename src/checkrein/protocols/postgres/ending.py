"""How a session ends that cannot go on: told natively, nothing more forwarded, both sides closed."""

from __future__ import annotations

from checkrein.core.errors import ProtocolError
from checkrein.core.side import Side
from checkrein.core.steps import Answered, Close, Send, Steps
from checkrein.protocols.postgres.errors import error_response, plain_error
from checkrein.protocols.postgres.state import State
from checkrein.protocols.postgres.telling import Broken


def broke_off(state: State, error: ProtocolError | Broken) -> Steps[None]:
    """End a session because a peer broke the protocol, or because an answer cannot be given."""
    state.phase = "over"
    state.drop_output()
    if isinstance(error, Broken):
        reason = error.refusal.reason
        yield from _abandoned(state)
        shown = _unanswered(error)
    else:
        reason = f"the target broke the protocol: {error}" if error.blame is Side.TARGET else str(error)
        shown = plain_error(error.hint or "08P01", reason, "FATAL")
    yield Send(Side.CLIENT, shown)
    yield Close(Side.TARGET, reason)
    yield Close(Side.CLIENT, reason)
    yield from state.flush()


def _abandoned(state: State) -> Steps[None]:
    """Journal what is still unanswered."""
    for entry in state.queue:
        for result in entry.results:
            yield Answered(decision=result.decision, outcome="unknown", error="58000")
    state.queue.clear()


def _unanswered(broken: Broken) -> bytes:
    """Say why there is no answer; where the statement may have had its effect, that too."""
    if broken.unknown:
        return plain_error("58000", broken.refusal.reason, "FATAL", "outcome: unknown")
    return error_response(broken.refusal, "", "FATAL")
