"""The side link: a sans-IO client that answers what the gateway itself must know of a target, its catalog.

It logs in as the profile does, makes sure that a server answers (no pooler), empties `search_path`, and then asks one
question at a time. All statements are the gateway's own constants, sent as simple queries.
"""

# not compiled: runs seldom; raises with `from None`, which keeps its context once compiled
from __future__ import annotations

from typing import Any, Final

from checkrein.core.errors import LimitExceeded, ProtocolError, Unavailable
from checkrein.core.framing import frame, frame_size, int32_at
from checkrein.core.identity import Secret
from checkrein.core.limits import CELL_BYTES, SIDE_ANSWER_BYTES
from checkrein.core.side import Side
from checkrein.core.target import Link, Profile, Target
from checkrein.protocols.postgres.catalog import CatalogQuestion, CatalogSnapshot
from checkrein.protocols.postgres.catalog_queries import QUERIES, SETUP, VERSION_QUERY, bounded
from checkrein.protocols.postgres.catalog_rows import Row, assemble
from checkrein.protocols.postgres.errors import sqlstate
from checkrein.protocols.postgres.login import POOLER_PROBE, TargetLogin, pooler_reason
from checkrein.protocols.postgres.startup import target_settings

_BEGIN: Final = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
"""One snapshot for all queries of a catalog, so that its version is that of its rows."""

_APPLICATION: Final = "checkrein catalog"


def side_link(target: Target, profile: Profile, password: Secret | None) -> PostgresSideLink:
    """Make a side link: the factory that ProtocolSpec wants."""
    return PostgresSideLink(Link(target, profile, password))


class PostgresSideLink:
    """Implements `core.spec.SideLink`. Raises Unavailable and ProtocolError; after either it is of no further use."""

    def __init__(self, link: Link) -> None:
        self._login: TargetLogin | None = TargetLogin(link, target_settings({}, _APPLICATION))
        self._buffer = b""
        self._received = 0
        self._names: list[str] = []  # of queries sent and not answered, in order
        self._rows: dict[str, list[Row]] = {}
        self._asked = ""  # what is under way: setup, version, catalog
        self._cached: CatalogSnapshot | None = None
        self._answer: Any = None
        self._process = 0
        self.ready = False

    @property
    def wants_tls(self) -> bool:
        """Whether the driver must start TLS before anything else is sent."""
        return self._login is not None and self._login.wants_tls

    def start(self) -> bytes:
        """Return the first bytes to send."""
        assert self._login is not None
        return self._login.start()

    def tls_started(self, binding: bytes) -> bytes:
        """TLS runs; return what to send next."""
        assert self._login is not None
        return self._login.tls_started(binding)

    def ask(self, question: Any, cached: Any) -> bytes:
        """Begin a question, which must be a CatalogQuestion; `cached` is an earlier snapshot or None."""
        if not isinstance(question, CatalogQuestion) or not self.ready:
            raise ValueError("a side link takes one CatalogQuestion at a time")
        self._cached = cached if isinstance(cached, CatalogSnapshot) else None
        if self._cached is None:
            return self._ask_catalog()
        return self._send("version", {"version": VERSION_QUERY})

    def result(self) -> Any:
        """Return the snapshot; the cached object itself when its version still holds."""
        return self._answer

    def receive(self, data: bytes) -> bytes:
        """Take bytes from the target; return bytes to send."""
        if self._login is not None:
            return self._logging_in(data)
        self._received += len(data)
        if self._received > SIDE_ANSWER_BYTES:
            raise Unavailable(f"the catalog is larger than {SIDE_ANSWER_BYTES} bytes")
        self._buffer += data
        out = b""
        at = 0
        while True:
            size = frame_size(self._buffer, at, CELL_BYTES, Side.TARGET)
            if not size or size > len(self._buffer) - at:
                break
            out += self._message(self._buffer[at], self._buffer[at + 5 : at + size])
            at += size
        self._buffer = self._buffer[at:]
        return out

    def _logging_in(self, data: bytes) -> bytes:
        login = self._login
        assert login is not None
        out = login.receive(data)
        if not login.done:
            return out
        self._login, self._process = None, login.process
        return self._send("setup", {"probe": POOLER_PROBE, "setup": SETUP}) + self.receive(login.surplus)

    def _send(self, asked: str, queries: dict[str, str]) -> bytes:
        self._asked = asked
        self._received = 0
        self._names = list(queries)
        self._rows = {name: [] for name in queries}
        self.ready = False
        return b"".join(frame(b"Q", text.encode() + b"\0") for text in queries.values())

    def _ask_catalog(self) -> bytes:
        queries = {name: bounded(text) for name, text in QUERIES.items()}
        return self._send("catalog", {"begin": _BEGIN, **queries, "commit": "COMMIT"})

    def _message(self, kind: int, payload: bytes) -> bytes:
        if kind == 0x44 and self._names:  # DataRow
            self._rows[self._names[0]].append(text_row(payload))
        elif kind == 0x45:  # ErrorResponse
            raise Unavailable(f"the target refused a catalog query (SQLSTATE {sqlstate(payload)})")
        elif kind == 0x5A and self._names:  # ReadyForQuery
            self._names.pop(0)
            if not self._names:
                return self._finished()
        elif kind not in b"TCNSI":
            raise ProtocolError(f"message {kind:#x} does not belong to a catalog query", Side.TARGET)
        return b""

    def _finished(self) -> bytes:
        rows, self._rows = self._rows, {}
        try:
            if self._asked == "setup":
                reason = pooler_reason(self._process, rows["probe"][0][0])
                if reason:
                    raise Unavailable(reason)
            elif self._asked == "version" and (self._cached is None or rows["version"][0][0] != self._cached.version):
                return self._ask_catalog()
            elif self._asked == "version":
                self._answer = self._cached
            else:
                self._answer = assemble({name: rows[name] for name in QUERIES})
        except (LimitExceeded, KeyError, IndexError, ValueError) as error:
            raise Unavailable(f"the catalog cannot be read: {error}") from None
        self.ready = True
        return b""


def text_row(payload: bytes) -> Row:
    """Return a DataRow's cells as texts. Raises ProtocolError when it is cut off."""
    cells: list[str | None] = []
    at = 2
    for _ in range(int.from_bytes(payload[:2], "big")):
        if len(payload) - at < 4:
            raise ProtocolError("a malformed DataRow", Side.TARGET)
        size = int32_at(payload, at)
        at += 4
        if size == 0xFFFFFFFF:
            cells.append(None)
            continue
        if size > len(payload) - at:
            raise ProtocolError("a malformed DataRow", Side.TARGET)
        cells.append(payload[at : at + size].decode("utf-8", "replace"))
        at += size
    return tuple(cells)
