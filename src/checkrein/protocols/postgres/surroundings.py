"""What a statement is read under: the catalog, how names resolve, what was prepared and declared before."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from checkrein.core.statement import Statement
from checkrein.protocols.postgres.catalog import CatalogSnapshot, Names

BEHIND: Final = "what was sent before it may change what names mean; send it once that is answered"
"""Why names are not known behind a statement whose answer did not come yet, or in one request with it."""


class Surroundings(msgspec.Struct, frozen=True, kw_only=True):
    """What one statement is read under. `catalog` None: names concede.

    `prepared` maps a prepared statement's name to its text (protocol-level and SQL-level share one namespace in
    PostgreSQL), `declared` to how its parameters' types were declared; `cursors` an open cursor or named portal to its
    Statement as declared. `settings` holds the session's known values of settings that reading depends on.
    """

    catalog: CatalogSnapshot | None
    names: Names
    prepared: Mapping[str, str] = {}
    declared: Mapping[str, str] = {}
    cursors: Mapping[str, Statement] = {}
    housekeeping: str = "normal"
