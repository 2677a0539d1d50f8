"""What is known of a target's catalog: an immutable snapshot that names are resolved against.

The whole catalog of one database is loaded over the side link and kept under a version (a digest over oid and xmin of
the user rows of the system tables), so that reading a statement is a pure function of (text, snapshot, names).
"""

from __future__ import annotations

import msgspec


class CatalogColumn(msgspec.Struct, frozen=True, gc=False):
    """One column of a relation (pg_attribute): attnum, atttypid, atttypmod (-2: not loaded).

    `filled`: an INSERT that leaves it out writes its default there, other than the next of a sequence or a random one.
    """

    name: str
    number: int
    type_oid: int
    not_null: bool = False
    typmod: int = -2
    filled: bool = False


class ForeignKey(msgspec.Struct, frozen=True):
    """One foreign key (pg_constraint 'f'): columns here, the relation and columns it refers to."""

    columns: tuple[str, ...]
    referenced_oid: int
    referenced_columns: tuple[str, ...]


class CatalogRelation(msgspec.Struct, frozen=True):
    """One relation (pg_class).

    `kind` is relkind: r table, p partitioned, v view, m materialised view, f foreign table, S sequence.

    `definition` is the query of a view or materialised view, schema-qualified throughout. `unique_keys` are the column
    sets of unique, non-partial indexes without expressions; `keyed` are, of each unique or exclusion index, all columns
    that it looks at, deferred, partial and of expressions too. `computed` pairs a generated column with each column
    that it is made of. `indexes` are the names of its indexes. `parents` are oids of partition and inheritance parents.
    `rules` is True when it has rewrite rules other than a view's own. `extension` names the extension that owns it.
    """

    oid: int
    schema: str
    name: str
    kind: str
    columns: tuple[CatalogColumn, ...] = ()
    unique_keys: tuple[tuple[str, ...], ...] = ()
    keyed: tuple[tuple[str, ...], ...] = ()
    computed: tuple[tuple[str, str], ...] = ()
    indexes: tuple[str, ...] = ()
    foreign_keys: tuple[ForeignKey, ...] = ()
    parents: tuple[int, ...] = ()
    children: tuple[int, ...] = ()
    definition: str = ""
    rules: bool = False
    triggers: bool = False
    extension: str = ""


class CatalogFunction(msgspec.Struct, frozen=True, gc=False):
    """One function (pg_proc): `kind` is prokind (f, p, a, w); `extension` names its owner extension or is empty.

    `outputs` are the names of its OUT, INOUT and TABLE arguments in order, empty when it has none; `defaults` counts
    the trailing arguments that may be left out (pronargdefaults); `arguments` are the input ones (proargtypes).
    """

    oid: int
    schema: str
    name: str
    kind: str = "f"
    arguments: tuple[int, ...] = ()
    variadic: bool = False
    returns: int = 0
    returns_set: bool = False
    security_definer: bool = False
    extension: str = ""
    outputs: tuple[str, ...] = ()
    defaults: int = 0


class CatalogOperator(msgspec.Struct, frozen=True, gc=False):
    """One operator (pg_operator); `left` is 0 for a prefix operator."""

    oid: int
    schema: str
    name: str
    left: int
    right: int
    result: int
    extension: str = ""


class CatalogType(msgspec.Struct, frozen=True, gc=False):
    """One type (pg_type): `kind` is typtype (b, c, d, e, p, r, m).

    `element` is set for arrays, `base` for domains, `relation` for composites; `fields` are the columns of those that
    are no relation's row type.
    """

    oid: int
    schema: str
    name: str
    kind: str = "b"
    category: str = ""
    element: int = 0
    base: int = 0
    relation: int = 0
    extension: str = ""
    fields: tuple[CatalogColumn, ...] = ()


class CatalogCast(msgspec.Struct, frozen=True, gc=False):
    """One user-defined cast (pg_cast with oid >= 16384).

    `context` is castcontext: i implicit, a in assignments, e explicit alone. `method` is castmethod: f by a function,
    i by the types' own output and input, b not at all (binary-coercible).
    """

    source: int
    target: int
    extension: str = ""
    context: str = "i"
    method: str = "f"


class CatalogSnapshot(msgspec.Struct, frozen=True):
    """One database's catalog at one moment. `server_version` is server_version_num (150018).

    `version` is the target's own word for this state of its catalog; two targets may give the same one. `identity` is
    this snapshot's number in this process, 0 where it has none: what was worked out from it is kept under that.

    Relations of every schema, pg_catalog and information_schema included (their columns too), temporary ones excluded.
    `functions` and `operators` map a name to all its overloads in every schema, pg_catalog first. `uncommitted` are
    oids of relations that the session's open transaction touched: not empty only in a snapshot that is this session's
    own, which has no identity.
    """

    version: str
    server_version: int
    database: str
    user: str
    relations: dict[tuple[str, str], CatalogRelation]
    relations_by_oid: dict[int, CatalogRelation]
    functions: dict[str, tuple[CatalogFunction, ...]]
    operators: dict[str, tuple[CatalogOperator, ...]]
    types: dict[int, CatalogType]
    types_by_name: dict[tuple[str, str], CatalogType]
    casts: tuple[CatalogCast, ...]
    schemas: frozenset[str]
    is_superuser: bool = False
    identity: int = 0
    uncommitted: frozenset[int] = frozenset()


class Uncommitted(msgspec.Struct, frozen=True):
    """What a session's open transaction defined, as only that session sees it.

    `touched` are oids of what it locked for DDL: `relations` as they are now, the others are gone or are no relations.
    Of `redefined` views the query is new, and not known. `functions`, `operators`, `types` and `casts` are those that
    it made or altered (what it dropped of these is not known); `schemas` all there are.
    """

    touched: frozenset[int] = frozenset()
    relations: tuple[CatalogRelation, ...] = ()
    redefined: frozenset[int] = frozenset()
    functions: tuple[CatalogFunction, ...] = ()
    operators: tuple[CatalogOperator, ...] = ()
    types: tuple[CatalogType, ...] = ()
    casts: tuple[CatalogCast, ...] = ()
    schemas: frozenset[str] = frozenset()


class Names(msgspec.Struct, frozen=True):
    """How this session resolves unqualified names at this moment.

    `search_path` is what `current_schemas(true)` gave (pg_catalog included where implicit), the session's temporary
    schema by the name `pg_temp` and where it stands among the others; `temporary` the relations
    of the session's own temporary schema, in front unless the path says otherwise; `types` the names of its types.
    `known` is False when they could not be learnt: unqualified names then concede, and `why` says what to do.
    """

    search_path: tuple[str, ...] = ("pg_catalog", "public")
    temporary: dict[str, CatalogRelation] = {}
    known: bool = True
    version: str = ""
    why: str = ""
    types: frozenset[str] = frozenset()


class CatalogQuestion(msgspec.Struct, frozen=True):
    """The question to the side link whose answer is a CatalogSnapshot (the cached one when its version still holds)."""


class Changer:
    """Who changes a catalog: one session's own token, alive as long as the session is."""

    __slots__ = ("__weakref__",)


class CatalogChange(msgspec.Struct, frozen=True):
    """Tells the side link of a change by `changer`, and asks for nothing else than that it is known.

    Not `settled`: DDL goes to the target now; until it is settled, or its changer is gone, no session of the same
    database relies on a catalog that it had before. `settled`: its transaction is over; the answer is the
    CatalogSnapshot as it is now, and all sessions of that database ask anew.
    """

    changer: Changer
    settled: bool = False
