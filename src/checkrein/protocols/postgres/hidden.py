"""Hidden messages: what the gateway asks on the own link, at a Sync border, under a name made new each time."""

from __future__ import annotations

from checkrein.protocols.postgres import codec
from checkrein.protocols.postgres import own_messages as own
from checkrein.protocols.postgres.exchange import BIND, CLOSE, DESCRIBE, EXECUTE, PARSE, SYNC, Collected, Entry
from checkrein.protocols.postgres.state import State
from checkrein.protocols.postgres.uncommitted_query import UNCOMMITTED_QUERY


def ask(state: State, query: bytes, purpose: str, warrant: str) -> Collected:
    """Run one of the gateway's own queries; its rows come back in the Collected once the session stands still."""
    name = state.context.random(16).hex().encode()
    collected = Collected(purpose)
    for kind in (PARSE, BIND, EXECUTE, CLOSE, CLOSE, SYNC):
        state.expect(Entry(kind, state.segment, hidden=True)).collect = collected
    state.forward(
        codec.parse_message(name, query)
        + codec.bind_message(name, name)
        + codec.execute_message(name)
        + codec.close_message(b"P", name)
        + codec.close_message(b"S", name)
        + codec.SYNC,
        warrant,
    )
    state.paused = collected
    return collected


def describe(state: State, texts: list[bytes], purpose: str) -> Collected:
    """Have statements described before any of them runs."""
    collected = Collected(purpose)
    pieces: list[bytes] = []
    for text in texts:
        name = state.context.random(16).hex().encode()
        for kind in (PARSE, DESCRIBE, CLOSE):
            state.expect(Entry(kind, state.segment, hidden=True)).collect = collected
        pieces.append(
            codec.parse_message(name, text) + codec.describe_message(b"S", name) + codec.close_message(b"S", name)
        )
    state.expect(Entry(SYNC, state.segment, hidden=True)).collect = collected
    state.forward(b"".join(pieces) + codec.SYNC, own.DESCRIBE_OWN)
    state.paused = collected
    return collected


def learn_names(state: State) -> None:
    """Ask what names resolve by now; inside a block only SHOW, which takes no snapshot, before it has run what does."""
    if state.status == 84 and state.defining:
        ask(state, UNCOMMITTED_QUERY, "uncommitted", own.UNCOMMITTED)
    elif state.status == 84:
        ask(state, own.SHOW_QUERY, "path", own.SHOW_PATH)
    else:
        ask(state, own.NAMES_QUERY, "names", own.NAMES)
