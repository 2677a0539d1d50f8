"""Two oracles of what a statement reads and answers, both the real server's.

RowDescription says which table and column each output comes from. A temporary view of a query, or a temporary rule with
a statement as its action, makes the server note in pg_depend every relation and column that it refers to.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg import pq

from tests.support.catalogs import rows

Connection = psycopg.Connection[Any]


@dataclass
class Oracle:
    """What the server says. `columns` maps a relation's oid to the columns referred to; None when it cannot say.

    `origins` are (table oid, attribute number) per output. `foreign` is True when user-defined functions, operators or
    types take part.
    """

    origins: list[tuple[int, int]]
    columns: dict[int, set[str]] | None = None
    foreign: bool = False
    notes: list[str] = field(default_factory=list)


_NOTED = """
    SELECT d.refclassid::regclass::text, d.refobjid, c.relkind, a.attname
    FROM pg_depend d JOIN pg_rewrite r ON r.oid = d.objid AND d.classid = 'pg_rewrite'::regclass
    LEFT JOIN pg_class c ON d.refclassid = 'pg_class'::regclass AND c.oid = d.refobjid
    LEFT JOIN pg_attribute a ON d.refclassid = 'pg_class'::regclass AND a.attrelid = d.refobjid
        AND a.attnum = d.refobjsubid AND d.refobjsubid <> 0
    WHERE r.ev_class = 'pg_temp.oracle_host'::regclass AND d.deptype = 'n' AND d.refobjid <> r.ev_class
"""


def ask(connection: Connection, text: str, keyword: str) -> Oracle | None:
    """Return what the server says of a statement; None when it refuses to prepare it. Leaves no trace behind."""
    described = _describe(connection, text)
    if described is None:
        return None
    described.foreign = _by_trigger(connection, text)
    host = _host(text, keyword, len(described.origins))
    if host and all(_run(connection, statement) for statement in host):
        _note(connection, described)
    return described


_WRITTEN = re.compile(r'(?is)\s*(?:insert\s+into|update|delete\s+from)\s+(?:only\s+)?((?:"[^"]+"|[\w.])+)')


def _by_trigger(connection: Connection, text: str) -> bool:
    """Whether a statement writes a view whose INSTEAD OF trigger, a user's function, is run in place of the write."""
    written = _WRITTEN.match(text)
    if written is None:
        return False
    name = written[1].replace("'", "''")
    instead = f"SELECT count(*) FROM pg_trigger WHERE tgtype & 64 = 64 AND tgrelid = to_regclass('{name}')"
    return rows(connection, instead) != [("0",)]


def _describe(connection: Connection, text: str) -> Oracle | None:
    link = connection.pgconn
    if link.prepare(b"", text.encode()).status != pq.ExecStatus.COMMAND_OK:
        return None
    answer = link.describe_prepared(b"")
    return Oracle([(answer.ftable(index), answer.ftablecol(index)) for index in range(answer.nfields)])


def _host(text: str, keyword: str, outputs: int) -> list[str]:
    """The temporary object whose dependencies are the statement's."""
    if keyword in ("select", "values", "table", "with", "("):
        names = ", ".join(f"c{number}" for number in range(outputs))
        return [f"CREATE TEMPORARY VIEW oracle_host ({names}) AS {text}"] if outputs else []
    if keyword in ("insert", "update", "delete"):
        return [
            "CREATE TEMPORARY TABLE oracle_host ()",
            f"CREATE RULE oracle AS ON INSERT TO pg_temp.oracle_host DO INSTEAD {text}",
        ]
    return []


def _run(connection: Connection, statement: str) -> bool:
    return connection.pgconn.exec_(statement.encode()).status == pq.ExecStatus.COMMAND_OK


def _note(connection: Connection, oracle: Oracle) -> None:
    columns: dict[int, set[str]] = {}
    for system_table, number, kind, column in rows(connection, _NOTED):
        oid = int(number or 0)
        if kind == "c":  # a composite type, noted for its fields
            oracle.foreign = True
        elif system_table == "pg_class":
            found = columns.setdefault(oid, set())
            if column is not None:
                found.add(column)
        elif oid >= 16384 and system_table in ("pg_proc", "pg_operator", "pg_type", "pg_opclass", "pg_collation"):
            oracle.foreign = True
    oracle.columns = columns
