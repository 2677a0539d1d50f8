"""The journal's vocabulary: kinds of event and the shape of their fields. `recording/` writes and reads them.

Every event on disk is one JSON object on one line: `{"seq", "at", "mono", "prev", "kind", ...fields}`. `seq` counts
from 0 in a session, `at` is epoch seconds (float, microseconds), `mono` monotonic seconds, `prev` the hex SHA-256 of
the line before without its newline.
"""

from __future__ import annotations

from typing import Final

OPENED: Final = "opened"
DECIDED: Final = "decided"
ANSWERED: Final = "answered"
APPROVAL_ASKED: Final = "approval_asked"
APPROVAL_ANSWERED: Final = "approval_answered"
APPROVAL_WITHDRAWN: Final = "approval_withdrawn"
APPROVAL_USED: Final = "approval_used"
LOGIN_REFUSED: Final = "login_refused"
SEGMENT: Final = "segment"
GAP: Final = "gap"
CLOSED: Final = "closed"

FORWARDED: Final = "forwarded"
REFUSED: Final = "refused"
