"""The two ends of a session."""

from __future__ import annotations

import enum


class Side(enum.Enum):
    """Which end of a session: the agent's client, or the protected target."""

    CLIENT = "client"
    TARGET = "target"
