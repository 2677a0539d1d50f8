"""The catalog queries that tell of keys, generated columns, defaults and indexes; their rows are `assemble`'s."""

# ruff: noqa: S608 - the queries are put together of constants of this module alone
# not compiled: data

from __future__ import annotations

from typing import Final

FIRST_USER_OID: Final = 16384
"""Objects below were made by initdb (access/transam.h, FirstNormalObjectId)."""

DRAWN: Final = "^[{]FUNCEXPR :funcid (1574|3432|(480|714) [^{]*[{]FUNCEXPR :funcid 1574) "
"""Matches a default that is nextval(regclass), also as a smaller integer, or gen_random_uuid(): by the functions' own
oids (pg_proc.dat), since names would be those of a search path."""

FILLED: Final = (
    "EXISTS (SELECT FROM pg_attrdef e WHERE e.adrelid = a.attrelid AND e.adnum = a.attnum AND a.attgenerated = ''"
    f" AND e.adbin::text !~ '{DRAWN}') OR EXISTS (SELECT FROM pg_type t WHERE t.oid = a.atttypid"
    " AND t.typdefaultbin IS NOT NULL)"
)

KEYED: Final = (
    "SELECT i.indrelid, i.indexrelid, a.attname FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid"
    " WHERE (i.indisunique OR i.indisexclusion) AND a.attnum > 0 AND (a.attnum = ANY (i.indkey::int2[]) OR EXISTS"
    " (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = i.indexrelid"
    " AND d.refclassid = 'pg_class'::regclass AND d.refobjid = i.indrelid AND d.refobjsubid = a.attnum))"
    f" AND i.indrelid >= {FIRST_USER_OID}"
)
"""Of any index that refuses a row for another's sake, whatever its expressions, predicate or time of checking."""

COMPUTED: Final = (
    "SELECT g.attrelid, g.attname, a.attname FROM pg_attribute g"
    " JOIN pg_attrdef e ON e.adrelid = g.attrelid AND e.adnum = g.attnum"
    " JOIN pg_attribute a ON a.attrelid = g.attrelid AND a.attnum > 0 AND a.attnum <> g.attnum"
    f" WHERE g.attgenerated <> '' AND g.attrelid >= {FIRST_USER_OID} AND EXISTS (SELECT FROM pg_depend d"
    " WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid = g.attrelid AND d.refobjsubid = a.attnum"
    " AND (d.classid = 'pg_attrdef'::regclass AND d.objid = e.oid"
    " OR d.classid = 'pg_class'::regclass AND d.objid = g.attrelid AND d.objsubid = g.attnum))"
)
"""What a generated column is made of hangs on its expression, before 15 on the column itself."""

INDEXES: Final = (
    "SELECT i.indrelid, c.relname FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid"
    f" WHERE i.indrelid >= {FIRST_USER_OID}"
)
"""Names of indexes, which stand in the schemas of their tables."""
