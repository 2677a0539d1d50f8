"""The one list of what the gateway itself says to a PostgreSQL target (I3), and what passes as upkeep.

The texts are here too, but for the longest one: uncommitted_query.py.

Own messages are extended-protocol messages under names of 128 random bits, closed after use, sent only at a Sync border
and never in a failed block (a hidden simple Query would destroy the client's unnamed statement); the two that refuse
are made to fail, so that the transaction's state is the server's own.
"""

# not compiled: data
from __future__ import annotations

from typing import Final

LOGIN: Final = "login"
PROBE: Final = "probe"
NAMES: Final = "names"
UNCOMMITTED: Final = "uncommitted"
SHOW_PATH: Final = "show_search_path"
DESCRIBE_OWN: Final = "describe_before_it_runs"
DESCRIBE_PORTAL: Final = "describe_portal"
REFUSE: Final = "describe_what_is_not_there"
REFUSE_QUERY: Final = "fixed_syntax_error"
OWN_SYNC: Final = "own_sync"
OWN_FLUSH: Final = "own_flush"

OWN: Final = frozenset(
    {
        LOGIN,
        PROBE,
        NAMES,
        UNCOMMITTED,
        SHOW_PATH,
        DESCRIBE_OWN,
        DESCRIBE_PORTAL,
        REFUSE,
        REFUSE_QUERY,
        OWN_SYNC,
        OWN_FLUSH,
    }
)

SYNC: Final = "Sync"
FLUSH: Final = "Flush"
CLOSE: Final = "Close"
DESCRIBE: Final = "Describe"
TERMINATE: Final = "Terminate"

UPKEEP: Final = frozenset({SYNC, FLUSH, CLOSE, DESCRIBE, TERMINATE})

NAMES_QUERY: Final = (
    b"SELECT pg_catalog.array_to_json(pg_catalog.array_replace(pg_catalog.current_schemas(true), "
    b"(SELECT n.nspname FROM pg_catalog.pg_namespace n WHERE n.oid OPERATOR(pg_catalog.=) s.t), "
    b"'pg_temp'::pg_catalog.name))::pg_catalog.text, "
    b"c.oid::pg_catalog.int8, c.relname, c.relkind::pg_catalog.text, a.attname, a.attnum::pg_catalog.int4, "
    b"a.atttypid::pg_catalog.int8, a.attnotnull::pg_catalog.text, a.atttypmod::pg_catalog.int4, s.types "
    b"FROM (SELECT m.t, (SELECT pg_catalog.json_agg(y.typname)::pg_catalog.text FROM "
    b"pg_catalog.pg_type y WHERE y.typnamespace OPERATOR(pg_catalog.=) m.t "
    b"AND m.t OPERATOR(pg_catalog.<>) 0) AS types "
    b"FROM (SELECT pg_catalog.pg_my_temp_schema() AS t) AS m) AS s "
    b"LEFT JOIN pg_catalog.pg_class c ON c.relnamespace OPERATOR(pg_catalog.=) s.t "
    b"AND c.relnamespace OPERATOR(pg_catalog.<>) 0 AND c.relkind OPERATOR(pg_catalog.=) ANY "
    b"('{r,p,v,m,f,S}'::pg_catalog.\"char\"[]) "
    b"LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid OPERATOR(pg_catalog.=) c.oid "
    b"AND a.attnum OPERATOR(pg_catalog.>) 0 AND NOT a.attisdropped "
    b"ORDER BY c.oid, a.attnum"
)
"""The session's own search path, with `pg_temp` for its temporary schema, and its temporary relations and types: both
lists as JSON, as a name may hold any character but NUL.

No operator or function of it can be captured by the path.
"""

SHOW_QUERY: Final = b"SHOW search_path"
PROBE_QUERY: Final = b"SELECT pg_catalog.pg_backend_pid()"
