"""Wire protocols, one folder each, all of the same inner shape. PROTOCOLS is the one list."""

from __future__ import annotations

from checkrein.core.spec import ProtocolSpec
from checkrein.protocols import postgres

PROTOCOLS: tuple[ProtocolSpec, ...] = (postgres.SPEC,)
