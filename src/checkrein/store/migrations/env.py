"""Alembic's entry: migrates on the connection that it was given."""

from __future__ import annotations

from alembic import context

from checkrein.store.schema import METADATA

context.configure(connection=context.config.attributes["connection"], target_metadata=METADATA, transactional_ddl=False)
context.run_migrations()
