"""The SQLite engine (WAL, private file) and its migrations, which run at start."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Final

from alembic import command
from alembic.config import Config
from sqlalchemy import Engine, create_engine, event
from sqlalchemy.exc import SQLAlchemyError

from checkrein.core.errors import Unavailable

_BUSY_MILLISECONDS: Final = 5000
"""How long a writer waits for another; each transaction here takes milliseconds."""

_SCRIPTS: Final = Path(__file__).parent / "migrations"


def open_store(path: Path) -> Engine:
    """Open (or make, 0600) the database and bring its schema up to date. Raises Unavailable."""
    try:
        os.close(os.open(path, os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))
        engine = create_engine(f"sqlite:///{path}", connect_args={"timeout": _BUSY_MILLISECONDS / 1000})
        event.listen(engine, "connect", _configure)
        event.listen(engine, "begin", _begin_immediate)
        _migrate(engine)
    except (OSError, SQLAlchemyError) as error:
        raise Unavailable(f"the store {path} cannot be opened: {error}") from error
    return engine


def _configure(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # the driver's own BEGIN comes too late; see _begin_immediate
    for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_immediate(connection: Any) -> None:
    """Take the write lock first: a transaction that reads and then writes must not fail half-way."""
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _migrate(engine: Engine) -> None:
    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
