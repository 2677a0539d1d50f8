"""The question what the open transaction of this very session defined, asked on its own link.

No name in it can be captured by the session's search path, temporary relations, operators or functions: every relation,
function, type and operator says `pg_catalog`, and no construct that looks an operator up by itself (IN, LIKE, BETWEEN,
CASE x WHEN, NULLIF) is used; a test walks its parse tree. It runs on servers 12 to 18.

A relation that a transaction defines, alters or drops is locked by it until its end, in a mode that DDL alone takes
besides LOCK (PostgreSQL manual 13.3.1); with the transaction's savepoints these locks go. So the locks name what was
touched, and what is touched and has no row any more was dropped. Relations whose own row, or whose schema's row, was
written since this transaction began are asked for as well, and so are functions, operators, types and casts.
"""

# ruff: noqa: S608 - the query is put together of constants of this module alone
# not compiled: data

from __future__ import annotations

from typing import Final

from checkrein.core.limits import UNCOMMITTED_ROWS
from checkrein.protocols.postgres.catalog_keys import DRAWN, FIRST_USER_OID

_EQ: Final = "OPERATOR(pg_catalog.=)"
_NE: Final = "OPERATOR(pg_catalog.<>)"
_GE: Final = "OPERATOR(pg_catalog.>=)"
_LE: Final = "OPERATOR(pg_catalog.<=)"
_TEXT: Final = "::pg_catalog.text"


def _fresh(alias: str) -> str:
    """SQL of: this row was written since the transaction began.

    `age` counts from the transaction's own id, or from an earlier one where something asked for an age before the
    transaction had one (varsup.c, xid.c); subtransactions have later ids, and so have transactions that began later,
    whose committed rows do no harm here.
    """
    return f"pg_catalog.age({alias}.xmin) {_LE} 0"


def _flag(condition: str) -> str:
    return f"CASE WHEN {condition} THEN 't' ELSE 'f' END"


def _row(*values: str) -> str:
    return f"pg_catalog.json_build_array({', '.join(values)})"


def _oid(value: str) -> str:
    return f"{value}::pg_catalog.text"


_SCHEMAS: Final = (
    f"SELECT n.oid, n.nspname{_TEXT} AS name, {_fresh('n')} AS fresh FROM pg_catalog.pg_namespace n"
    " WHERE n.nspname OPERATOR(pg_catalog.!~~) 'pg\\_toast%' AND n.nspname OPERATOR(pg_catalog.!~~) 'pg\\_temp\\_%'"
    " UNION ALL SELECT s.oid, 'pg_temp', false FROM (SELECT pg_catalog.pg_my_temp_schema() AS oid) s"
    f" WHERE s.oid {_NE} 0"
)
_TOUCHED: Final = (
    "SELECT l.relation AS oid FROM pg_catalog.pg_locks l"
    f" WHERE l.locktype {_EQ} 'relation' AND l.granted AND l.pid {_EQ} pg_catalog.pg_backend_pid()"
    f" AND l.relation {_GE} '{FIRST_USER_OID}'::pg_catalog.oid AND l.mode {_EQ} ANY ('{{ShareUpdateExclusiveLock,"
    "ShareLock,ShareRowExclusiveLock,ExclusiveLock,AccessExclusiveLock}'::pg_catalog.text[])"
    f" UNION SELECT c.oid FROM pg_catalog.pg_class c JOIN schemas s ON s.oid {_EQ} c.relnamespace"
    f" WHERE s.fresh OR s.name {_EQ} 'pg_temp' OR {_fresh('c')}"
)
_RELATIONS: Final = (
    "SELECT c.oid, s.name AS schema, c.relname, c.relkind FROM touched t"
    f" JOIN pg_catalog.pg_class c ON c.oid {_EQ} t.oid JOIN schemas s ON s.oid {_EQ} c.relnamespace"
    f" WHERE c.relkind {_EQ} ANY ('{{r,p,v,m,f,S}}'::pg_catalog.\"char\"[])"
)
_AMONG: Final = f"{_EQ} ANY (ARRAY(SELECT r.oid FROM relations r))"
"""An array, as the planner then takes them to be few, and goes by the indexes of the system tables."""

_OWN_RULES: Final = (
    f"EXISTS (SELECT FROM pg_catalog.pg_rewrite w WHERE w.ev_class {_EQ} r.oid AND w.rulename {_NE} '_RETURN')"
)
_OWN_TRIGGERS: Final = (
    f"EXISTS (SELECT FROM pg_catalog.pg_trigger g WHERE g.tgrelid {_EQ} r.oid AND NOT g.tgisinternal)"
)

_FILLED: Final = (
    f"EXISTS (SELECT FROM pg_catalog.pg_attrdef e WHERE e.adrelid {_EQ} a.attrelid AND e.adnum {_EQ} a.attnum"
    f" AND a.attgenerated {_EQ} '' AND e.adbin{_TEXT} OPERATOR(pg_catalog.!~) '{DRAWN}')"
    f" OR EXISTS (SELECT FROM pg_catalog.pg_type t WHERE t.oid {_EQ} a.atttypid AND t.typdefaultbin IS NOT NULL)"
)
_MADE_OF: Final = (
    f"EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.refclassid {_EQ} '1259'::pg_catalog.oid"
    f" AND d.refobjid {_EQ} g.attrelid AND d.refobjsubid {_EQ} a.attnum"
    f" AND (d.classid {_EQ} '2604'::pg_catalog.oid AND d.objid {_EQ} e.oid"
    f" OR d.classid {_EQ} '1259'::pg_catalog.oid AND d.objid {_EQ} g.attrelid AND d.objsubid {_EQ} g.attnum))"
)
"""By the oids of pg_class and pg_attrdef themselves, as a name of theirs would be looked up."""

_PARTS: Final[tuple[tuple[str, str], ...]] = (
    (
        "session",
        "SELECT pg_catalog.json_build_array(pg_catalog.json_build_array("
        f"pg_catalog.current_setting('transaction_isolation'))){_TEXT}",
    ),
    (
        "path",
        "SELECT pg_catalog.json_build_array(pg_catalog.array_replace(pg_catalog.current_schemas(true), "
        f"(SELECT n.nspname FROM pg_catalog.pg_namespace n WHERE n.oid {_EQ} pg_catalog.pg_my_temp_schema()), "
        f"'pg_temp'::pg_catalog.name)){_TEXT}",
    ),
    ("schemas", f"SELECT pg_catalog.json_agg({_row('s.name')}){_TEXT} FROM schemas s"),
    (
        "gone",
        f"SELECT pg_catalog.json_agg({_row(_oid('t.oid'))}){_TEXT} FROM touched t"
        f" WHERE NOT EXISTS (SELECT FROM relations r WHERE r.oid {_EQ} t.oid)",
    ),
    (
        "relations",
        "SELECT pg_catalog.json_build_array("
        + _row(
            _oid("r.oid"),
            "r.schema",
            f"r.relname{_TEXT}",
            f"r.relkind{_TEXT}",
            _flag(_OWN_RULES),
            _flag(_OWN_TRIGGERS),
            "NULL",
        )
        + f"){_TEXT} FROM relations r",
    ),
    (
        "columns",
        "SELECT pg_catalog.json_agg("
        + _row(
            _oid("a.attrelid"),
            f"a.attname{_TEXT}",
            f"a.attnum{_TEXT}",
            _oid("a.atttypid"),
            _flag("a.attnotnull"),
            f"a.atttypmod{_TEXT}",
            _flag(_FILLED),
        )
        + f" ORDER BY a.attnum){_TEXT} FROM pg_catalog.pg_attribute a"
        f" WHERE a.attrelid {_AMONG} AND a.attnum OPERATOR(pg_catalog.>) 0 AND NOT a.attisdropped GROUP BY a.attrelid",
    ),
    (
        "redefined",
        f"SELECT pg_catalog.json_agg({_row(_oid('w.ev_class'))}){_TEXT} FROM pg_catalog.pg_rewrite w"
        f" WHERE w.ev_class {_AMONG} AND w.rulename {_EQ} '_RETURN' AND {_fresh('w')}",
    ),
    (
        "unique_keys",
        "SELECT pg_catalog.json_agg("
        + _row(_oid("i.indrelid"), _oid("i.indexrelid"), f"a.attname{_TEXT}")
        + f" ORDER BY i.indexrelid, k.position){_TEXT} FROM pg_catalog.pg_index i"
        " JOIN LATERAL ROWS FROM (pg_catalog.unnest(i.indkey::pg_catalog.int2[]),"
        " pg_catalog.unnest(i.indclass::pg_catalog.oid[]))"
        " WITH ORDINALITY k(attnum, opclass, position) ON true"
        f" JOIN pg_catalog.pg_attribute a ON a.attrelid {_EQ} i.indrelid AND a.attnum {_EQ} k.attnum"
        f" WHERE i.indrelid {_AMONG} AND i.indisunique AND i.indisvalid"
        " AND i.indimmediate AND i.indpred IS NULL AND i.indexprs IS NULL"
        f" AND k.position {_LE} i.indnkeyatts AND NOT EXISTS (SELECT FROM pg_catalog.pg_opclass c"
        f" WHERE c.oid {_EQ} ANY (i.indclass::pg_catalog.oid[]) AND NOT c.opcdefault) GROUP BY i.indrelid",
    ),
    (
        "keyed",
        "SELECT pg_catalog.json_agg("
        + _row(_oid("i.indrelid"), _oid("i.indexrelid"), f"a.attname{_TEXT}")
        + f"){_TEXT} FROM pg_catalog.pg_index i"
        f" JOIN pg_catalog.pg_attribute a ON a.attrelid {_EQ} i.indrelid"
        f" WHERE i.indrelid {_AMONG} AND (i.indisunique OR i.indisexclusion) AND a.attnum OPERATOR(pg_catalog.>) 0"
        f" AND (a.attnum {_EQ} ANY (i.indkey::pg_catalog.int2[]) OR EXISTS (SELECT FROM pg_catalog.pg_depend d"
        f" WHERE d.classid {_EQ} '1259'::pg_catalog.oid AND d.objid {_EQ} i.indexrelid"
        f" AND d.refclassid {_EQ} '1259'::pg_catalog.oid AND d.refobjid {_EQ} i.indrelid"
        f" AND d.refobjsubid {_EQ} a.attnum)) GROUP BY i.indrelid",
    ),
    (
        "computed",
        f"SELECT pg_catalog.json_agg({_row(_oid('g.attrelid'), f'g.attname{_TEXT}', f'a.attname{_TEXT}')}){_TEXT}"
        " FROM pg_catalog.pg_attribute g JOIN pg_catalog.pg_attrdef e"
        f" ON e.adrelid {_EQ} g.attrelid AND e.adnum {_EQ} g.attnum"
        f" JOIN pg_catalog.pg_attribute a ON a.attrelid {_EQ} g.attrelid AND a.attnum {_NE} g.attnum"
        f" WHERE g.attrelid {_AMONG} AND g.attgenerated {_NE} '' AND a.attnum OPERATOR(pg_catalog.>) 0"
        f" AND {_MADE_OF} GROUP BY g.attrelid",
    ),
    (
        "indexes",
        f"SELECT pg_catalog.json_agg({_row(_oid('i.indrelid'), f'c.relname{_TEXT}')}){_TEXT} FROM pg_catalog.pg_index i"
        f" JOIN pg_catalog.pg_class c ON c.oid {_EQ} i.indexrelid WHERE i.indrelid {_AMONG} GROUP BY i.indrelid",
    ),
    (
        "foreign_keys",
        "SELECT pg_catalog.json_agg("
        + _row(_oid("c.conrelid"), _oid("c.oid"), _oid("c.confrelid"), f"a.attname{_TEXT}", f"f.attname{_TEXT}")
        + f" ORDER BY c.oid, k.position){_TEXT} FROM pg_catalog.pg_constraint c"
        " JOIN LATERAL ROWS FROM (pg_catalog.unnest(c.conkey), pg_catalog.unnest(c.confkey))"
        " WITH ORDINALITY k(own, other, position) ON true"
        f" JOIN pg_catalog.pg_attribute a ON a.attrelid {_EQ} c.conrelid AND a.attnum {_EQ} k.own"
        f" JOIN pg_catalog.pg_attribute f ON f.attrelid {_EQ} c.confrelid AND f.attnum {_EQ} k.other"
        f" WHERE c.conrelid {_AMONG} AND c.contype {_EQ} 'f' GROUP BY c.conrelid",
    ),
    (
        "inherits",
        f"SELECT pg_catalog.json_agg({_row(_oid('i.inhrelid'), _oid('i.inhparent'))} ORDER BY i.inhseqno){_TEXT}"
        f" FROM pg_catalog.pg_inherits i WHERE i.inhrelid {_AMONG}"
        f" OR i.inhparent {_AMONG} GROUP BY i.inhparent",
    ),
    (
        "functions",
        "SELECT pg_catalog.json_build_array("
        + _row(
            _oid("o.oid"),
            "s.name",
            f"o.proname{_TEXT}",
            f"o.prokind{_TEXT}",
            f"o.proargtypes{_TEXT}",
            _flag(f"o.provariadic {_NE} 0"),
            _oid("o.prorettype"),
            _flag("o.proretset"),
            _flag("o.prosecdef"),
            "NULL",
            "(SELECT pg_catalog.json_agg(coalesce(a.name, '') ORDER BY a.position)"
            f"{_TEXT} FROM ROWS FROM (pg_catalog.unnest(o.proargmodes), pg_catalog.unnest(o.proargnames))"
            " WITH ORDINALITY a(mode, name, position)"
            f" WHERE a.mode {_EQ} ANY ('{{o,b,t}}'::pg_catalog.\"char\"[]))",
            f"o.pronargdefaults{_TEXT}",
        )
        + f"){_TEXT} FROM pg_catalog.pg_proc o JOIN schemas s ON s.oid {_EQ} o.pronamespace"
        f" WHERE s.fresh OR {_fresh('o')}",
    ),
    (
        "operators",
        "SELECT pg_catalog.json_build_array("
        + _row(
            _oid("o.oid"),
            "s.name",
            f"o.oprname{_TEXT}",
            _oid("o.oprleft"),
            _oid("o.oprright"),
            _oid("o.oprresult"),
            "NULL",
        )
        + f"){_TEXT} FROM pg_catalog.pg_operator o JOIN schemas s ON s.oid {_EQ} o.oprnamespace"
        f" WHERE s.fresh OR {_fresh('o')}",
    ),
    (
        "types",
        "SELECT pg_catalog.json_build_array("
        + _row(
            _oid("o.oid"),
            "s.name",
            f"o.typname{_TEXT}",
            f"o.typtype{_TEXT}",
            f"o.typcategory{_TEXT}",
            _oid("o.typelem"),
            _oid("o.typbasetype"),
            _oid("o.typrelid"),
            "NULL",
        )
        + f"){_TEXT} FROM pg_catalog.pg_type o JOIN schemas s ON s.oid {_EQ} o.typnamespace"
        f" WHERE (s.fresh OR {_fresh('o')}) AND s.name {_NE} 'pg_temp'",
    ),
    (
        "own_types",
        f"SELECT pg_catalog.json_agg({_row(f'o.typname{_TEXT}')}){_TEXT} FROM pg_catalog.pg_type o"
        f" WHERE o.typnamespace {_EQ} pg_catalog.pg_my_temp_schema() AND o.typnamespace {_NE} 0",
    ),
    (
        "casts",
        "SELECT pg_catalog.json_build_array("
        + _row(_oid("o.castsource"), _oid("o.casttarget"), "NULL")
        + f"){_TEXT} FROM pg_catalog.pg_cast o WHERE {_fresh('o')}",
    ),
)

UNCOMMITTED_QUERY: Final = (
    f"WITH schemas AS ({_SCHEMAS}), touched AS ({_TOUCHED}), relations AS ({_RELATIONS}) "
    + " UNION ALL ".join(f"SELECT '{name}', part.found FROM ({query}) part(found)" for name, query in _PARTS)
    + f" LIMIT {UNCOMMITTED_ROWS + 1}"
).encode()
"""Rows of (what they are, JSON array of rows, each an array of texts or null): rows as QUERIES give them of what the
transaction defined, `gone` (objects locked for DDL that are no relation, or none any more), `redefined` (views whose
query is new), `path` (as NAMES_QUERY has it; one row of all schemas), `own_types` (names of its temporary types) and
`session` (the isolation level)."""
