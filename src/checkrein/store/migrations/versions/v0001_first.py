"""The first schema: approvals and the index over recordings."""

from __future__ import annotations

from alembic import op
from sqlalchemy import Column, Float, Integer, String, Text

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the tables."""
    _approvals()
    _sessions()


def _approvals() -> None:
    op.create_table(
        "approvals",
        Column("id", String, primary_key=True),
        Column("state", String, nullable=False),
        Column("binding", String, nullable=False),
        Column("issuer", String, nullable=False),
        Column("subject", String, nullable=False),
        Column("actors", Text, nullable=False),
        Column("target", String, nullable=False),
        Column("profile", String, nullable=False),
        Column("protocol", String, nullable=False),
        Column("session", String, nullable=False),
        Column("session_only", Integer, nullable=False),
        Column("statement", Text, nullable=False),
        Column("parameters", Text, nullable=False),
        Column("verbs", Text, nullable=False),
        Column("touches", Text, nullable=False),
        Column("policy", String, nullable=False),
        Column("rule", String, nullable=False),
        Column("terms", Text, nullable=False),
        Column("asked_at", Float, nullable=False),
        Column("expires_at", Float, nullable=False),
        Column("answered_by", Text, nullable=False),
        Column("answered_at", Float),
        Column("reason", Text, nullable=False),
        Column("uses_left", Integer, nullable=False),
    )
    op.create_index("approvals_binding", "approvals", ["binding", "state"])
    op.create_index("approvals_state", "approvals", ["state", "issuer", "subject"])


def _sessions() -> None:
    op.create_table(
        "sessions",
        Column("id", String, primary_key=True),
        Column("path", String, nullable=False),
        Column("principal", String, nullable=False),
        Column("issuer", String, nullable=False),
        Column("groups", Text, nullable=False),
        Column("actors", Text, nullable=False),
        Column("target", String, nullable=False),
        Column("profile", String, nullable=False),
        Column("protocol", String, nullable=False),
        Column("client", String, nullable=False),
        Column("opened", Float, nullable=False),
        Column("closed", Float),
        Column("state", String, nullable=False),
        Column("reason", String, nullable=False),
        Column("statements", Integer, nullable=False),
        Column("refused", Integer, nullable=False),
        Column("asked", Integer, nullable=False),
        Column("masked", Integer, nullable=False),
        Column("overflow", Integer, nullable=False),
    )
    op.create_table(
        "session_terms",
        Column("session", String, primary_key=True),
        Column("kind", String, primary_key=True),
        Column("value", Text, primary_key=True),
        sqlite_with_rowid=False,
    )
    op.create_index("sessions_opened", "sessions", ["opened"])
    op.create_index("sessions_principal", "sessions", ["principal", "opened"])
    op.create_index("session_terms_value", "session_terms", ["kind", "value"])
