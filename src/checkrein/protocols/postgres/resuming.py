"""What a client's message waited for: answers to hidden messages, and how it goes on with them."""

from __future__ import annotations

from typing import Any

from checkrein.core.steps import Steps
from checkrein.core.verdict import Refusal
from checkrein.protocols.postgres.answering import Answers
from checkrein.protocols.postgres.exchange import Collected, Result
from checkrein.protocols.postgres.judging import abandoned
from checkrein.protocols.postgres.naming import names_of, names_of_path
from checkrein.protocols.postgres.requests import Requests
from checkrein.protocols.postgres.simple import Queries
from checkrein.protocols.postgres.uncommitted import learnt


class Resuming:
    """Goes on with the client's messages that were stopped."""

    def __init__(self, requests: Requests, queries: Queries, answers: Answers) -> None:
        self.state = requests.state
        self._requests = requests
        self._queries = queries
        self._answers = answers

    def ready(self) -> bool:
        """Whether what was waited for is there."""
        collected = self.state.paused
        if collected is None:
            return False
        return not self.state.queue if collected.purpose == "running" else bool(collected.done)

    def resume(self) -> Steps[None]:
        """Go on with what waited for hidden answers, once they are all there."""
        state = self.state
        collected = state.paused
        if collected is None:
            return
        if collected.purpose == "running":
            if not state.queue:
                state.paused = None
                self._queries.end_pieces(collected.wanted[0])
            return
        if not collected.done:
            return
        state.paused = None
        if collected.purpose in ("names", "path", "uncommitted"):
            self._named(collected)
        elif collected.purpose == "query":
            yield from self._described(collected)
        elif collected.purpose == "held":
            yield from self._described_portal(collected)
        elif collected.purpose == "copy":
            yield from self._described_copy(collected)
        elif collected.purpose == "pieces":
            yield from self._described_piece(collected)

    def _named(self, collected: Collected) -> None:
        state = self.state
        version = str(state.version)
        rows = [] if collected.error else collected.rows
        if collected.purpose == "uncommitted":
            state.take_names(*learnt(rows, version, state.encoding))
        elif collected.purpose == "names" or not rows:
            state.take_names(names_of(rows, version, state.encoding))
        else:
            setting = rows[0][0] or b""
            state.take_names(names_of_path(setting, state.encoding, state.committed, state.names, version))

    def _described(self, collected: Collected) -> Steps[None]:
        """A Query whose statements were described: plans are fixed and it goes, or it is refused whole."""
        data, results, wanted = collected.wanted
        refusal: Refusal | None = None
        if collected.error or len(collected.descriptions) != len(wanted):
            reason = "masks are owed and the target cannot describe the answer before it runs"
            refusal = Refusal(code="witness", reason=reason)
        else:
            for result, columns in zip(wanted, collected.descriptions, strict=True):
                if result.act.kind == "copy_out":
                    result.described = True
                refusal = refusal or (yield from self._answers.plan(result, columns or None))
        if refusal is None:
            self._queries.send(data, results)
            return
        yield from self._give_up(results)
        self._requests.refuse_query(refusal, None)

    def _give_up(self, results: list[Result]) -> Steps[None]:
        for result in results:
            yield abandoned(result.decision)

    def _described_portal(self, collected: Collected) -> Steps[None]:
        data, portal, result = collected.wanted
        if collected.error:
            yield abandoned(result.decision)
            return
        refusal = yield from self._answers.plan(result, portal.columns or None)
        if refusal is not None:
            yield abandoned(result.decision)
            self._requests.refuse(refusal, None)
            return
        _known(result, portal.columns)
        self._requests.send_execute(data, portal, result, True)

    def _described_copy(self, collected: Collected) -> Steps[None]:
        """COPY (query): the query was described under a hidden name; the copy runs under the plan of its columns."""
        data, portal, result = collected.wanted
        if collected.error or not collected.descriptions:
            yield abandoned(result.decision)
            return
        result.described = True
        refusal = yield from self._answers.plan(result, collected.descriptions[0] or None)
        if refusal is None and collected.parameters:
            refusal = Refusal(code="conceded", reason="there is no parameter $1")
        if refusal is not None:
            yield abandoned(result.decision)
            self._requests.refuse(refusal, None)
            return
        self._requests.run(data, portal, result)

    def _described_piece(self, collected: Collected) -> Steps[None]:
        name, result = collected.wanted
        if collected.error:
            yield abandoned(result.decision)
            self._queries.end_pieces(name)
            return
        refusal = yield from self._answers.plan(result, collected.descriptions[0] or None)
        if collected.parameters:
            refusal = Refusal(code="conceded", reason="there is no parameter $1")
        if refusal is not None:
            yield abandoned(result.decision)
            self._requests.refuse(refusal, None)
            self._queries.end_pieces(name)
            return
        _known(result, collected.descriptions[0])
        state = self.state
        state.held = []
        state.held_rows = 0
        description: Any = collected.rows[0][0]
        if description[:1] == b"T":
            state.answer(description)
        self._queries.run_pieces(name, result)
        collected.purpose = "running"
        state.paused = collected


def _known(result: Result, columns: tuple[Any, ...]) -> None:
    result.described = True
    result.row_columns = columns
    result.columns = tuple([column.name for column in columns])
