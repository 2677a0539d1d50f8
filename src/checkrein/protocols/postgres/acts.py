"""What the session must know of a statement beyond its meaning: the part it plays in the conversation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from checkrein.core.statement import Statement

_NONE: Final[dict[str, str]] = {}


class Act:
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

    __slots__ = (
        "binary",
        "changes_names",
        "copy_columns",
        "copy_encoding",
        "copy_format",
        "copy_options",
        "copy_relation",
        "data_modifying",
        "ddl",
        "end",
        "execute_arguments",
        "hold",
        "inner_end",
        "inner_start",
        "kind",
        "local",
        "name",
        "returns_rows",
        "row_write",
        "setting_class",
        "setting_value",
        "start",
    )

    def __init__(
        self,
        *,
        kind: str,
        name: str = "",
        start: int = 0,
        end: int = 0,
        inner_start: int = -1,
        inner_end: int = -1,
        returns_rows: bool = False,
        changes_names: bool = False,
        ddl: bool = False,
        setting_class: str = "",
        setting_value: str | None = None,
        row_write: bool = False,
        data_modifying: bool = False,
        local: bool = False,
        hold: bool = False,
        binary: bool = False,
        copy_format: str = "",
        copy_encoding: str = "",
        copy_relation: tuple[str, str] | None = None,
        copy_columns: tuple[str, ...] = (),
        copy_options: Mapping[str, str] = _NONE,
        execute_arguments: int = 0,
    ) -> None:
        self.kind = kind
        self.name = name
        self.start = start
        self.end = end
        self.inner_start = inner_start
        self.inner_end = inner_end
        self.returns_rows = returns_rows
        self.changes_names = changes_names
        self.ddl = ddl
        self.setting_class = setting_class
        self.setting_value = setting_value
        self.row_write = row_write
        self.data_modifying = data_modifying
        self.local = local
        self.hold = hold
        self.binary = binary
        self.copy_format = copy_format  # text, csv or binary
        self.copy_encoding = copy_encoding
        self.copy_relation = copy_relation  # (schema, name) of COPY table
        self.copy_columns = copy_columns  # in order, resolved, of COPY table
        self.copy_options = copy_options  # delimiter, null, quote, escape, header as given
        self.execute_arguments = execute_arguments


class Reading:
    """One statement of a request as read."""

    __slots__ = (
        "act", "statement",
    )  # fmt: skip

    def __init__(self, statement: Statement, act: Act) -> None:
        self.statement = statement
        self.act = act
