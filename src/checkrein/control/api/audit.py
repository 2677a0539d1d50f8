"""What people do through the API is itself on record: one line an act in the gateway's log."""

from __future__ import annotations

from typing import Any

import structlog

from checkrein.core.identity import Principal

_log = structlog.get_logger("checkrein.audit")


def audit(act: str, person: Principal, **about: Any) -> None:
    """Write who did what to what."""
    _log.info("audit", act=act, person=person.name, **about)
