"""PostgreSQL's own regression SQL, statement by statement: what reading says against what the server says.

Every statement of a file is run on a real server; selects, inserts, updates, deletes, merges and copies are read first,
under the catalog and names of that moment. `equal`: both oracles agree with the reading. `conceded`: reading said that
it could not. `wider`: reading names more than the server noted (safe, not exact). `different`: the server noted what
reading did not, or another origin of an output; there must be none. `unwitnessed`: read, but outputs alone could be
compared (MERGE, COPY, a write inside WITH, what cannot be a view). Of the system catalog's own relations, which the
server pins and so never notes, no more is asked than that reading them is no difference.

Only what the server accepts is judged. Without user-defined parts (`plain`) is a statement that the server notes no
function, operator, type or field of a composite type of a user for, whatever earlier files left lying in the database,
and that writes no view whose INSTEAD OF trigger's function does the writing. What cannot be witnessed counts as plain.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
from psycopg import pq

from checkrein.core.statement import Effect, Statement
from checkrein.protocols.postgres.catalog import CatalogSnapshot, Names
from checkrein.protocols.postgres.naming import names_of
from checkrein.protocols.postgres.own_messages import NAMES_QUERY
from tests.oracles.dependencies import Oracle, ask
from tests.oracles.psqlfile import Piece, PsqlFile
from tests.support.catalogs import load

Connection = psycopg.Connection[Any]
Read = Callable[[str, CatalogSnapshot, Names], Statement]

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "fetch-regression"
SETUP = ("test_setup", "copy", "create_misc", "create_operator", "create_table", "create_view", "create_index")
"""Files whose tables the others use, in the order of the suite's schedule."""

_KEYWORD = re.compile(r"(?:\s|/\*.*?\*/)*([A-Za-z]+|\()", re.S)
_JUDGED = frozenset({"select", "values", "table", "with", "(", "insert", "update", "delete", "merge", "copy"})
_KEEPS_CATALOG = _JUDGED | {
    "begin", "savepoint", "release", "show", "explain", "analyze", "vacuum", "fetch", "close", "declare", "execute",
    "prepare", "deallocate", "start", "move", "notify", "listen", "lock",
}  # fmt: skip
_REGCLASS = re.compile(r"(?i)regclass|nextval|setval|currval")
_EXCLUDED = re.compile(r"(?is)\bon\s+conflict\b.*\bdo\s+update\b")
_FIRST_UNPINNED = 12000
"""Objects below are pinned: pg_depend never has them (access/transam.h, FirstUnpinnedObjectId)."""
_ESCAPED_NAME = re.compile(r'(?i)u&"')
_INTO = re.compile(r"(?i)\binto\b")


@dataclass
class Tally:
    """The outcome of one file."""

    name: str
    equal: int = 0
    unwitnessed: int = 0
    conceded: int = 0
    plain: int = 0
    plain_conceded: int = 0
    differences: list[str] = field(default_factory=list)
    wider: list[str] = field(default_factory=list)
    concessions: list[str] = field(default_factory=list)

    @property
    def judged(self) -> int:
        """Statements that the server accepted and reading was asked about."""
        return self.equal + self.unwitnessed + len(self.wider) + self.conceded + len(self.differences)

    def __str__(self) -> str:
        return (
            f"{self.name}: equal {self.equal}, unwitnessed {self.unwitnessed}, wider {len(self.wider)},"
            f" conceded {self.conceded} of {self.judged}, different {len(self.differences)}"
        )


def folder() -> Path | None:
    """Return the folder of the suite's files, fetched if need be; None when it cannot be had."""
    done = subprocess.run([str(SCRIPT)], capture_output=True, text=True, check=False)
    return Path(done.stdout.strip().splitlines()[-1]) if done.returncode == 0 and done.stdout.strip() else None


def schedule(suite: Path) -> list[str]:
    """Return the names of the suite's files in the order of its schedule."""
    lines = (suite / "parallel_schedule").read_text().splitlines()
    return [name for line in lines if line.startswith("test:") for name in line[5:].split()]


class Runner:
    """Runs files in one database, judging those that are to be judged."""

    def __init__(self, connection: Connection, suite: Path, read: Read) -> None:
        self.connection = connection
        self.suite = suite
        self.read = read
        self._surroundings: tuple[CatalogSnapshot, Names] | None = None
        self._loads = 0
        self._execute("SET statement_timeout = '10s'")
        self._execute("SET client_min_messages = error")

    def run(self, name: str, judge: bool = True, limit: int | None = None) -> Tally:
        """Run one file; `limit` ends it after so many judged statements."""
        variables = {"abs_srcdir": str(self.suite), "libdir": "/nonexistent", "dlsuffix": ".so", "abs_builddir": "/tmp"}
        script = PsqlFile((self.suite / "sql" / f"{name}.sql").read_text(errors="replace"), variables)
        tally = Tally(name)
        for piece in script.pieces():
            if judge and (limit is None or tally.judged < limit):
                self._judge(piece, tally)
            elif judge:
                break
            self._perform(piece, script)
        self._execute("ROLLBACK")
        for reset in ("RESET ALL", "RESET SESSION AUTHORIZATION", "SET statement_timeout = '10s'"):
            self._execute(reset)
        self._execute("SET client_min_messages = error")
        self._surroundings = None
        return tally

    def _perform(self, piece: Piece, script: PsqlFile) -> None:
        keyword = _keyword(piece.text)
        answer = self._execute(piece.text)  # of several statements: the first COPY's, else the last one's
        if answer.status == pq.ExecStatus.COPY_IN:
            self.connection.pgconn.put_copy_data((piece.data or "").encode())
            self.connection.pgconn.put_copy_end()
            self._drain()
        elif answer.status == pq.ExecStatus.COPY_OUT:
            while self.connection.pgconn.get_copy_data(0)[0] > 0:
                pass
            self._drain()
        if piece.gset is not None and answer.status == pq.ExecStatus.TUPLES_OK and answer.ntuples == 1:
            for column in range(answer.nfields):
                value = answer.get_value(0, column)
                script.variables[piece.gset + (answer.fname(column) or b"").decode()] = (value or b"").decode()
        if keyword not in _KEEPS_CATALOG or (keyword in ("select", "with") and _INTO.search(piece.text)):
            self._surroundings = None

    def _drain(self) -> None:
        """Take every answer that is left; a further COPY of the same Query (psql's `\\;`) gets an end and no data."""
        link = self.connection.pgconn
        while (answer := link.get_result()) is not None:
            if answer.status == pq.ExecStatus.COPY_IN:
                link.put_copy_end()
            while answer.status == pq.ExecStatus.COPY_OUT and link.get_copy_data(0)[0] > 0:
                pass

    def _execute(self, text: str) -> pq.abc.PGresult:
        return self.connection.pgconn.exec_(text.encode())

    def _judge(self, piece: Piece, tally: Tally) -> None:
        keyword = _keyword(piece.text)
        state = self.connection.pgconn.transaction_status
        if keyword not in _JUDGED or state == pq.TransactionStatus.INERROR:
            return
        inside = state == pq.TransactionStatus.INTRANS
        self._execute("SAVEPOINT oracle" if inside else "BEGIN")
        try:
            surroundings = self._load()
            oracle = self._ask(piece.text, keyword)
        finally:
            self._execute("ROLLBACK TO SAVEPOINT oracle" if inside else "ROLLBACK")
            if inside:
                self._execute("RELEASE SAVEPOINT oracle")
        if oracle is not None:
            count(tally, piece.text, self.read(piece.text, *surroundings), oracle, surroundings)

    def _ask(self, text: str, keyword: str) -> Oracle | None:
        """COPY and MERGE have no oracle of columns; that they were read is still counted, if the server takes them."""
        if keyword != "copy":
            return ask(self.connection, text, keyword)
        return Oracle([]) if "program" not in text.lower() and self._takes_copy(text) else None

    def _takes_copy(self, text: str) -> bool:
        """Whether the server begins a COPY; it is ended at once, and rolled back by the caller."""
        answer = self._execute(text)
        if answer.status == pq.ExecStatus.COPY_IN:
            self.connection.pgconn.put_copy_end(b"only asked")
            self._drain()
        elif answer.status == pq.ExecStatus.COPY_OUT:
            while self.connection.pgconn.get_copy_data(0)[0] > 0:
                pass
            self._drain()
        return answer.status != pq.ExecStatus.FATAL_ERROR

    def _load(self) -> tuple[CatalogSnapshot, Names]:
        if self._surroundings is None:
            self._execute("SAVEPOINT loading")
            self._execute("SET LOCAL statement_timeout = 0")
            answer = self._execute(NAMES_QUERY.decode())
            cells = [
                tuple(answer.get_value(row, column) for column in range(answer.nfields))
                for row in range(answer.ntuples)
            ]
            snapshot = load(self.connection)
            self._execute("ROLLBACK TO SAVEPOINT loading")
            self._loads += 1
            self._surroundings = (snapshot, names_of(cells, f"{snapshot.version}/{self._loads}", "utf-8"))
        return self._surroundings


def _keyword(text: str) -> str:
    match = _KEYWORD.match(text)
    return match[1].lower() if match else ""


def count(
    tally: Tally, text: str, statement: Statement, oracle: Oracle, surroundings: tuple[CatalogSnapshot, Names]
) -> None:
    """Add one statement's outcome to the tally."""
    tally.plain += not oracle.foreign
    if not statement.complete:
        tally.conceded += 1
        tally.plain_conceded += not oracle.foreign
        tally.concessions.append(f"{statement.conceded}: {_short(text)}")
        return
    problems = list(differences(statement, oracle, surroundings))
    if any(not problem.startswith("wider") for problem in problems):
        tally.differences.append(f"{'; '.join(problems)}: {_short(text)}")
    elif problems:
        tally.wider.append(f"{'; '.join(problems)}: {_short(text)}")
    elif oracle.columns is None:
        tally.unwitnessed += 1
    else:
        tally.equal += 1


def differences(statement: Statement, oracle: Oracle, surroundings: tuple[CatalogSnapshot, Names]) -> Iterable[str]:
    """Yield what the reading says otherwise than the server; sentences that begin with `wider` are safe."""
    if statement.outputs is not None and oracle.origins:
        predicted = [output.witness or (0, 0) for output in statement.outputs]
        if predicted != oracle.origins:
            yield f"outputs {predicted} are {oracle.origins}"
    if oracle.columns is None:
        return
    catalog, names = surroundings
    temporary = {relation.oid: relation for relation in names.temporary.values()}
    said = _said(statement.effects)
    for oid, columns in oracle.columns.items():
        relation = catalog.relations_by_oid.get(oid) or temporary.get(oid)
        name = relation.name if relation else str(oid)
        if relation is not None and relation.kind == "S":
            continue
        if oid not in said:
            if not _only_named(statement.text, name, columns, oracle.foreign):
                yield f"{name} is not read"
        elif columns - said[oid]:
            if _EXCLUDED.search(statement.text) and relation and columns >= {one.name for one in relation.columns}:
                continue  # the server notes every column for EXCLUDED, whether or not one is used
            yield f"{name}: {sorted(columns - said[oid])} are not read"
        elif said[oid] - columns:
            yield f"wider in {name}: {sorted(said[oid] - columns)}"
    family = {relative for oid in oracle.columns for relative in _family(catalog, oid)}
    for oid in said.keys() - oracle.columns.keys() - family:
        if oid >= _FIRST_UNPINNED:
            yield f"wider by {oid}"


def _only_named(text: str, name: str, columns: set[str], foreign: bool) -> bool:
    """Whether a relation is noted without being read: by a constant of type regclass, or as a row type.

    What the text does not name, and neither escapes, it does not read: a view's own relations are noted for the view.
    """
    named = re.sub(rf"::\s*(\w+[.])?{re.escape(name)}\b", "", text)
    if not re.search(rf"\b{re.escape(name)}\b", named) and (foreign or not _ESCAPED_NAME.search(text)):
        return True
    constant = re.search(rf"'(?:\w+[.])?{re.escape(name)}'", text)
    return not columns and bool(_REGCLASS.search(text) or constant or name.isdigit())


def _said(effects: Iterable[Effect]) -> dict[int, set[str]]:
    """Relations and columns of the effects on tables that the statement itself names, not through a view."""
    said: dict[int, set[str]] = {}
    for effect in effects:
        if effect.oid and not effect.via and effect.verb in ("select", "insert", "update", "delete"):
            said.setdefault(effect.oid, set()).update(effect.columns or ())
    return said


def _family(catalog: CatalogSnapshot, oid: int) -> set[int]:
    """Partitions, children and parents: reading adds their effects, the server's note does not."""
    found: set[int] = set()
    waiting = [oid]
    while waiting:
        relation = catalog.relations_by_oid.get(waiting.pop())
        for other in (*relation.parents, *relation.children) if relation else ():
            if other not in found:
                found.add(other)
                waiting.append(other)
    return found


def _short(text: str) -> str:
    return " ".join(text.split())[:300]


def lines(tally: Tally, details: bool = False) -> list[str]:
    """Return the line of one file, each difference, and with details what is wider or conceded."""
    found = [str(tally), *(f"    DIFFERENT {text}" for text in tally.differences)]
    if details:
        found += [f"    wider {text}" for text in tally.wider]
        found += [f"    conceded {text}" for text in tally.concessions]
    return found


def sums(tallies: list[Tally]) -> list[str]:
    """Return the lines with the sums over all files."""
    plain, conceded = sum(one.plain for one in tallies), sum(one.plain_conceded for one in tallies)
    judged, different = sum(one.judged for one in tallies), sum(len(one.differences) for one in tallies)
    equal, wider = sum(one.equal for one in tallies), sum(len(one.wider) for one in tallies)
    unwitnessed = sum(one.unwitnessed for one in tallies)
    return [
        f"all: equal {equal}, unwitnessed {unwitnessed}, wider {wider}, different {different} of {judged}",
        f"without user-defined parts: conceded {conceded} of {plain} ({100 * conceded / max(plain, 1):.2f} %)",
    ]


def report(tallies: list[Tally]) -> str:
    """Return the lines of every file and the sums."""
    return "\n".join([line for tally in tallies for line in lines(tally)] + sums(tallies))
