"""The tables as they are after all migrations."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Column, Float, Index, Integer, MetaData, String, Table, Text

METADATA: Final = MetaData()

APPROVALS: Final = Table(
    "approvals",
    METADATA,
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
    Index("approvals_binding", "binding", "state"),
    Index("approvals_state", "state", "issuer", "subject"),
)
"""One question and its grant. JSON columns: actors, parameters, verbs, touches, terms, answered_by."""

SESSIONS: Final = Table(
    "sessions",
    METADATA,
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
    Index("sessions_opened", "opened"),
    Index("sessions_principal", "principal", "opened"),
)
"""The index over recordings, rebuilt from journals at any time. `overflow`: not every text is in session_terms."""

SESSION_TERMS: Final = Table(
    "session_terms",
    METADATA,
    Column("session", String, primary_key=True),
    Column("kind", String, primary_key=True),
    Column("value", Text, primary_key=True),
    Index("session_terms_value", "kind", "value"),
    sqlite_with_rowid=False,
)
"""What a session can be found by: kind is verb, touches, rule, verdict or text."""
