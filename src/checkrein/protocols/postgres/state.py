"""What one session knows of its two sides. Mutable, shared by the session's parts; consistent at every yield."""

from __future__ import annotations

from collections import deque
from typing import Any, Final

from checkrein.core.decision import Decision
from checkrein.core.errors import ProtocolError
from checkrein.core.limits import PIPELINE_STATEMENTS, PREPARED_STATEMENTS
from checkrein.core.session import SessionContext
from checkrein.core.side import Side
from checkrein.core.statement import Statement
from checkrein.core.steps import Answered, Query, Send, Step, Steps
from checkrein.protocols.postgres.acts import Act
from checkrein.protocols.postgres.catalog import CatalogChange, CatalogSnapshot, Changer, Names, Uncommitted
from checkrein.protocols.postgres.exchange import Collected, Entry, Portal, Prepared
from checkrein.protocols.postgres.uncommitted import laid_over

Warrant = Decision | str
CLIENT: Final = Side.CLIENT
TARGET: Final = Side.TARGET

DEFINING: Final = frozenset({"create", "alter", "drop"})
"""Verbs that may change what a name means."""

SMALL_PIECE: Final = 4096
"""Shorter pieces of the client's bytes are put together: each of its own would take many times its size."""

ENDS_BLOCK: Final = frozenset({"commit", "rollback", "prepare_transaction"})
"""Kinds of statements that end a transaction: what it set for itself alone is set no longer."""


class State:
    """The session's state in the query phase.

    `phase` is start, password, dialling, target, probing, ready or over. `queue` holds what the target still owes.
    `segment` counts the client's Syncs, `dirty` says that something of the segment reached the target, `skipping` that
    an error ended it. `status` is the last ReadyForQuery's. `paused` is what a stopped client message waits for; its
    bytes stay in `inbox` until then, and what comes behind in `later`, so that it is not copied at every arrival.
    `held` gathers what the client must not see before the segment's ReadyForQuery; `held_rows` is where in it the first
    held answer begins (-1: nowhere).
    `notes` are the answers that ended, to be yielded before anything else. `doomed`: the target said that it ends the
    link, and nothing more is begun. `block_over`: the transaction of `status` ended, though its ReadyForQuery did not
    come yet.

    `names_dirty`: names must be learnt anew before they are relied on. `names_moved`: what they resolve by was changed
    in the open transaction, maybe for it alone (SET LOCAL). `defining`: it ran DDL, or code that may hold some;
    `uncommitted` is what it defined, as learnt last. `catalog` is the `committed` one with that laid over it.
    `redefined` are the names that DDL named since the committed catalog was asked for.
    """

    def __init__(self, context: SessionContext) -> None:
        self.context = context
        self.phase = "start"
        self.inbox = b""
        self.later: list[bytes] = []
        self.later_bytes = 0
        self.working = False
        self.queue: deque[Entry] = deque()
        self.segment = 0
        self.dirty = False
        self.skipping = False
        self.status = 73
        self.block_over = False
        self.statements: dict[bytes, Prepared] = {}
        self.portals: dict[bytes, Portal] = {}
        self.sql_prepared: dict[str, str] = {}
        self.sql_declared: dict[str, str] = {}
        self.cursors: dict[str, Statement] = {}
        self.held_cursors: set[str] = set()
        self.wrote_masked: Decision | None = None
        self.names = Names(known=False)
        self.names_dirty = True
        self.names_moved = False
        self.defining = False
        self.uncommitted: Uncommitted | None = None
        self.version = 0
        self.committed: CatalogSnapshot | None = None
        self.catalog: CatalogSnapshot | None = None
        self.catalog_stale = False
        self.redefined: set[str] = set()
        self.changer = Changer()
        self.redefining = False
        self.encoding = "utf-8"
        self.housekeeping = "normal"
        self.paused: Any = None
        self.collected: Collected | None = None
        self.copy_wait: Entry | None = None
        self.copy_in: Entry | None = None
        self.held: list[bytes] | None = None
        self.held_rows = -1
        self.held_bytes = 0
        self.target_key = b""
        self.own_key = b""
        self.doomed = False
        self.at = 0
        self.notes: list[Answered] = []
        self._target: list[tuple[bytes, Warrant]] = []
        self._client: list[bytes] = []

    # --- input ---------------------------------------------------------------------------------

    def take_in(self, data: bytes) -> None:
        """Put the client's bytes behind those that wait."""
        if not self.inbox:
            self.inbox = data
            return
        self.later_bytes += len(data)
        if self.later and len(self.later[-1]) < SMALL_PIECE:
            self.later[-1] += data
        else:
            self.later.append(data)

    def join(self) -> None:
        """Put together what waits, the part that is dealt with left out."""
        if self.later:
            self.inbox = b"".join([self.inbox[self.at :], *self.later])
            self.later.clear()
            self.later_bytes = 0
        elif self.at:
            self.inbox = self.inbox[self.at :]
        self.at = 0

    # --- output --------------------------------------------------------------------------------

    def forward(self, data: bytes, warrant: Warrant) -> None:
        """Put bytes into the output to the target."""
        self._target.append((data, warrant))

    def answer(self, data: bytes) -> None:
        """Put bytes into the output to the client, or behind what is held."""
        if self.held is not None:
            self.held.append(data)
            self.held_bytes += len(data)
        else:
            self._client.append(data)

    def release(self) -> None:
        """What was held may be seen now."""
        held = self.held
        if held is None:
            return
        self.held = None
        self.held_rows = -1
        self.held_bytes = 0
        for piece in held:
            self.answer(piece)

    @property
    def output(self) -> bool:
        """Whether something waits to be yielded."""
        return bool(self._target or self._client or self.notes)

    def drain(self) -> list[Step]:
        """Return what was gathered, to be yielded in this order: ends of answers, then one Send for every warrant for
        the target, then one for the client. Not while DDL waits: see `flush`.
        """
        steps: list[Step] = list(self.notes)
        self.notes.clear()
        target = self._target
        if len(target) == 1:
            steps.append(Send(TARGET, target[0][0], target[0][1]))
            target.clear()
        elif target:
            steps.extend([Send(TARGET, data, warrant) for data, warrant in _merged(target)])
            target.clear()
        client = self._client
        if client:
            steps.append(Send(CLIENT, client[0] if len(client) == 1 else b"".join(client)))
            client.clear()
        return steps

    def flush(self) -> Steps[None]:
        """Yield what was gathered.

        Before DDL leaves, every session of that database is made to look at the catalog anew until it is settled. What
        was gathered stays here meanwhile, for what comes by the other lane must go behind it.
        """
        if self.redefining:
            yield Query(CatalogChange(self.changer), True)
            self.redefining = False
        for step in self.drain():  # noqa: UP028 - a list cannot be sent an answer
            yield step

    def drop_output(self) -> None:
        """Forget what was gathered for the target, and what is held: the session ends."""
        self._target.clear()
        self.redefining = False
        self.held = None

    # --- names ---------------------------------------------------------------------------------

    def goes(self, act: Act, statement: Statement) -> None:
        """A statement goes to the target: what it may change for names must be learnt anew.

        The end of a transaction may where they were changed in it: SET LOCAL holds up to there, and what was defined is
        committed or gone.
        """
        if act.changes_names or act.ddl:
            self.names_dirty = self.names_moved = True
        elif act.kind in ENDS_BLOCK and (self.names_moved or self.uncommitted is not None):
            self.names_dirty = True
        if act.ddl:
            self.redefines(statement)

    def redefines(self, statement: Statement) -> None:
        """DDL goes to the target: until the catalog is asked for anew, what it names may be something else.

        Not so for temporary objects: the catalog has none, they are this session's own and learnt with its names.
        """
        defined = {effect.object for effect in statement.effects if effect.verb in DEFINING}
        if statement.complete and defined and all(name.startswith("pg_temp.") for name in defined):
            return
        self.catalog_stale = True
        self.redefining = True
        self.redefined |= defined

    def take_catalog(self, committed: CatalogSnapshot | None) -> None:
        """Take the committed catalog as it is now."""
        if committed is not self.committed:
            self.committed = committed
            self._lay_over()

    def take_names(self, names: Names, made: Uncommitted | None = None) -> None:
        """Take what names resolve by now, and what the open transaction defined."""
        self.names = names
        self.names_dirty = False
        if made is not self.uncommitted:
            self.uncommitted = made
            self.changed()
            self._lay_over()

    def _lay_over(self) -> None:
        self.catalog = self.committed
        if self.committed is not None and self.uncommitted is not None:
            self.catalog = laid_over(self.committed, self.uncommitted, str(self.version))

    def sees_uncommitted(self) -> bool:
        """Whether `catalog` shows the open transaction's own definitions as they are now."""
        return self.uncommitted is not None and self.status == 84 and not self.names_dirty

    def changed(self) -> None:
        """What names resolve by may have changed."""
        self.version += 1

    def prepared_texts(self) -> dict[str, str]:
        """Return every prepared statement's text by name, of both protocol levels (the server has one namespace)."""
        if not self.statements and not self.sql_prepared:
            return _NOTHING
        texts = {name.decode(self.encoding, "replace"): one.text for name, one in self.statements.items() if name}
        texts.update(self.sql_prepared)
        return texts

    def declared_types(self) -> dict[str, str]:
        """Return, by name, what stands before a prepared statement's text where its parameters' types were declared."""
        if not self.statements and not self.sql_declared:
            return _NOTHING
        found = {
            name.decode(self.encoding, "replace"): f"/* parameter types {', '.join(map(str, one.declared))} */ "
            for name, one in self.statements.items()
            if name and one.declared
        }
        found.update(self.sql_declared)
        return found

    def open_cursors(self) -> dict[str, Statement]:
        """Return what FETCH may name: declared cursors and bound portals that only read; a name of both: neither."""
        found = dict(self.cursors)
        for name, portal in self.portals.items():
            text = name.decode(self.encoding, "replace")
            act = portal.prepared.reading.act
            if found.pop(text, None) is None and name and act.kind in ("select", "values") and not act.data_modifying:
                prepared = portal.prepared
                statement = prepared.reading.statement
                found[text] = statement.with_parameters(portal.parameters, portal.read, prepared.declared)
        return found

    def expect(self, entry: Entry) -> Entry:
        """Put an entry behind what the target owes. Raises ProtocolError at PIPELINE_STATEMENTS unanswered segments."""
        if len(self.queue) >= 8 * PIPELINE_STATEMENTS:
            raise ProtocolError("too many messages of a pipeline are unanswered", Side.CLIENT, "54000")
        self.queue.append(entry)
        return entry

    def keep(self, statement: bool, name: bytes, value: Prepared | Portal | None) -> tuple[bool, bytes, Any]:
        """Bind a name to a value (None: forget it); return what undoes it."""
        names: dict[bytes, Any] = self.statements if statement else self.portals
        undo = (statement, name, names.get(name))
        if value is None:
            names.pop(name, None)
        else:
            if len(names) >= PREPARED_STATEMENTS and name not in names:
                raise ProtocolError("too many prepared statements or portals", Side.CLIENT, "54000")
            names[name] = value
        return undo

    def take_back(self, before: dict[tuple[bool, bytes], Any]) -> None:
        """Names are as they were before messages that the server did not follow, or ended: (is a statement, name) to
        value. A name that a later message gave anew keeps its new value; that one's failure brings back this."""
        for entry in self.queue:
            undo = entry.undo
            if undo is not None and (undo[0], undo[1]) in before:
                entry.undo = (undo[0], undo[1], before.pop((undo[0], undo[1])))
        for (statement, name), value in before.items():
            names: dict[bytes, Any] = self.statements if statement else self.portals
            if value is None:
                names.pop(name, None)
            else:
                names[name] = value

    @property
    def at_border(self) -> bool:
        """Whether the session stands at a Sync border: nothing in flight, nothing unsynced."""
        return not self.queue and not self.dirty and not self.skipping


_NOTHING: Final[dict[str, str]] = {}


def _merged(pieces: list[tuple[bytes, Warrant]]) -> list[tuple[bytes, Warrant]]:
    """Join neighbours: upkeep and own messages go with the Decision before or after them, a second Decision apart."""
    merged: list[tuple[list[bytes], Warrant]] = []
    for data, warrant in pieces:
        if merged and (type(warrant) is str or warrant is merged[-1][1]):
            merged[-1][0].append(data)
        elif merged and type(merged[-1][1]) is str:
            merged[-1] = ([*merged[-1][0], data], warrant)
        else:
            merged.append(([data], warrant))
    return [(b"".join(parts), warrant) for parts, warrant in merged]
