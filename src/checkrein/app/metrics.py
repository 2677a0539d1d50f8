"""What /metrics tells. Labels are bounded words of ours: no principal, no statement, no secret."""

from __future__ import annotations

from prometheus_client import Counter, Gauge

OPEN_SESSIONS = Gauge("checkrein_open_sessions", "Sessions that are open")
REFUSED_LOGINS = Counter("checkrein_refused_logins_total", "Logins refused, by the check that failed", ["check"])
SESSION_ERRORS = Counter("checkrein_session_errors_total", "Sessions that an error ended, by its class", ["error"])
