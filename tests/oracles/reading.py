"""The gateway's reading of one statement, as the oracles hold it against the server."""

from __future__ import annotations

from checkrein.core.statement import Statement
from checkrein.protocols.postgres import statements
from checkrein.protocols.postgres.catalog import CatalogSnapshot, Names
from checkrein.protocols.postgres.surroundings import Surroundings


def read(text: str, catalog: CatalogSnapshot, names: Names) -> Statement:
    """Return the Statement of a text that holds one."""
    (reading,) = statements.read(text, Surroundings(catalog=catalog, names=names))
    return reading.statement
