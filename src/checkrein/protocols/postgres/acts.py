"""What the session must know of a statement beyond its meaning: the part it plays in the conversation."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from checkrein.core.statement import Statement
from checkrein.protocols.postgres.catalog import CatalogSnapshot, Names


class Act(msgspec.Struct, frozen=True, kw_only=True):
    """The part one statement plays in the conversation.

    `kind`: select insert update delete merge values; begin commit rollback savepoint release rollback_to (COMMIT AND
    CHAIN and prepared transactions included by name: prepare_transaction ...); set reset show discard; prepare execute
    deallocate; declare fetch move close; copy_in copy_out; listen unlisten notify; explain; call do; lock; ddl;
    utility; empty. `name` is the prepared statement, cursor, savepoint, setting or channel named ("" or "*": all).

    `start`..`end` are byte offsets of the statement in the UTF-8 text of the request, without the semicolon;
    `inner_start`..`inner_end` those of the statement inside PREPARE, DECLARE, COPY (query) and EXPLAIN, else -1.
    `changes_names`: it may change what names resolve by (SET search_path, set_config, RESET, DISCARD, ROLLBACK, DO,
    CALL, DDL, an unknown function). `setting_class`: free, local (answered by the gateway) or refused; `setting_value`
    the constant it is set to, None when computed or default. `row_write`: INSERT, UPDATE, DELETE or MERGE at top level
    without a data-modifying WITH, whose command tag counts its own rows. `data_modifying`: it writes rows somewhere
    (WITH included). `local`: SET LOCAL. `hold`: DECLARE ... WITH HOLD. `binary`: DECLARE BINARY.
    """

    kind: str
    name: str = ""
    start: int = 0
    end: int = 0
    inner_start: int = -1
    inner_end: int = -1
    returns_rows: bool = False
    changes_names: bool = False
    ddl: bool = False
    setting_class: str = ""
    setting_value: str | None = None
    row_write: bool = False
    data_modifying: bool = False
    local: bool = False
    hold: bool = False
    binary: bool = False
    copy_format: str = ""  # text, csv or binary
    copy_encoding: str = ""
    copy_relation: tuple[str, str] | None = None  # (schema, name) of COPY table
    copy_columns: tuple[str, ...] = ()  # columns in order, resolved, of COPY table
    copy_options: Mapping[str, str] = {}  # delimiter, null, quote, escape, header as given
    execute_arguments: int = 0


class Reading(msgspec.Struct, frozen=True):
    """One statement of a request as read."""

    statement: Statement
    act: Act


class Surroundings(msgspec.Struct, frozen=True, kw_only=True):
    """What one statement is read under. `catalog` None: names concede.

    `prepared` maps a prepared statement's name to its text (protocol-level and SQL-level share one namespace in
    PostgreSQL); `cursors` an open cursor or named portal to its Statement as declared. `settings` holds the session's
    known values of settings that reading depends on.
    """

    catalog: CatalogSnapshot | None
    names: Names
    prepared: Mapping[str, str] = {}
    cursors: Mapping[str, Statement] = {}
    housekeeping: str = "normal"
