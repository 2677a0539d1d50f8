"""PostgreSQL: frontend/backend protocol 3.0, statements read by the server's own grammar (libpg_query)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from checkrein.core.session import SessionContext
from checkrein.core.spec import ProtocolSpec, SelectorVocabulary
from checkrein.core.statement import Statement
from checkrein.protocols.postgres import statements
from checkrein.protocols.postgres.catalog import CatalogQuestion, CatalogSnapshot, Names
from checkrein.protocols.postgres.catalog_of import catalog_of
from checkrein.protocols.postgres.doors import DOORS, GUARDS
from checkrein.protocols.postgres.handover import Handover
from checkrein.protocols.postgres.own_messages import OWN, UPKEEP
from checkrein.protocols.postgres.session import PostgresSession
from checkrein.protocols.postgres.sidelink import side_link
from checkrein.protocols.postgres.starter import starter_policy
from checkrein.protocols.postgres.surroundings import Surroundings

__all__ = ["SPEC"]

RELATIONS: Final = frozenset(
    {"table", "view", "matview", "foreign", "foreign_table", "sequence", "partitioned", "file"}
)
VERBS: Final = frozenset(
    "select insert update delete truncate call lock create alter drop grant set listen notify".split()
)


class _Statements:
    """The module's functions as the session takes them."""

    kept = staticmethod(statements.kept)
    read = staticmethod(statements.read)
    needs_worker = staticmethod(statements.needs_worker)


def session(context: SessionContext) -> PostgresSession:
    """Return a new session that reads with libpg_query."""
    return PostgresSession(context, _Statements())


def read(text: str, catalog: CatalogSnapshot) -> Iterable[Statement]:
    """Read raw text as a client would send it, names resolved by the default search path."""
    around = Surroundings(catalog=catalog, names=Names())
    return [reading.statement for reading in statements.read(text, around)]


def dsn(host: str, port: int, target: str, profile: str, ca: str = "") -> str:
    """Return how a client reaches a target; the token goes into PGPASSWORD or a passfile.

    A path is quoted as a connection string's value is (manual, "Connection Strings"): a space in it ends nothing.
    """
    root = f" sslrootcert={_quoted(ca)}" if ca else ""
    return f"host={host} port={port} dbname={target} user={profile} sslmode=verify-full{root}"


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'" if escaped != value or any(map(str.isspace, value)) else value


def _catalog_of(schema: dict[str, list[str]]) -> Any:
    return catalog_of(schema)


SPEC: Final = ProtocolSpec(
    name="postgres",
    default_port=15432,
    vocabulary=SelectorVocabulary(
        verbs=VERBS,
        objects={
            "touches": RELATIONS | {"schema", "database", "role", "server", "object", "type", "program"},
            "functions": frozenset({"function"}),
            "channels": frozenset({"channel"}),
            "settings": frozenset({"setting"}),
        },
        columns=True,
    ),
    session=session,
    own_messages=OWN,
    upkeep=UPKEEP,
    guardrails=dict(GUARDS),
    doors=dict(DOORS),
    read=read,
    catalog_of=_catalog_of,
    side_link=side_link,
    catalog_question=CatalogQuestion(),
    starter_policy=starter_policy,
    dsn=dsn,
    token_login=Handover,
)
