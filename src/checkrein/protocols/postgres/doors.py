"""Guardrails and doors of PostgreSQL by name, with the sentence that a refused client reads.

A guardrail holds whatever rules say, unless an admin marked the target `unguarded`. A door is shut unless an allow or
ask rule names what is behind it without a wildcard.
"""

# not compiled: data
from __future__ import annotations

from typing import Final

SERVER_FILES: Final = "server_files"
SERVER_PROGRAM: Final = "server_program"
REPLICATION: Final = "replication"
ROLE_SWITCH: Final = "role_switch"
SETTING: Final = "setting"
MASKED_DDL: Final = "masked_ddl"
CREDENTIALS: Final = "credentials"

CODE: Final = "code"
LARGE_OBJECTS: Final = "large_objects"
RUNS_TEXT: Final = "runs_text"
OTHER_DATABASE: Final = "other_database"
BACKEND_CONTROL: Final = "backend_control"
OTHER_SESSIONS: Final = "other_sessions"
STATISTICS: Final = "statistics"
RAW_STORAGE: Final = "raw_storage"
SERVER_CONFIGURATION: Final = "server_configuration"
NOTIFICATIONS: Final = "notifications"
FUNCTION_CALL: Final = "function_call"

GUARDS: Final[dict[str, str]] = {
    SERVER_FILES: "It reads or writes files of the server.",
    SERVER_PROGRAM: "It runs a program on the server.",
    REPLICATION: "It reads or steers replication, which carries every table's rows past policy.",
    ROLE_SWITCH: "It switches the role; the session keeps the role of its profile.",
    SETTING: "It changes a setting that alters how text is read, what is logged, or who runs it.",
    MASKED_DDL: "It renames, moves, attaches or redefines an object that is masked.",
    CREDENTIALS: "It shows credentials.",
}
"""Guardrails by name."""

DOORS: Final[dict[str, str]] = {
    CREDENTIALS: GUARDS[CREDENTIALS],
    SERVER_FILES: GUARDS[SERVER_FILES],
    CODE: "It creates code that later statements run unseen.",
    LARGE_OBJECTS: "Large objects hold data that belongs to no table or column.",
    RUNS_TEXT: "It runs a text, or reads relations named by a text, that cannot be read here.",
    OTHER_DATABASE: "It reaches another database.",
    BACKEND_CONTROL: "It controls the server or other sessions.",
    OTHER_SESSIONS: "It shows what other sessions are running.",
    STATISTICS: "It shows values of columns as statistics keep them, or what writes changed in them.",
    RAW_STORAGE: "It shows or changes a table's storage, past columns and masks.",
    SERVER_CONFIGURATION: "It shows how the server is configured and who may log in.",
    NOTIFICATIONS: "Notifications carry data between sessions.",
    FUNCTION_CALL: "A function called by its number cannot be judged by name.",
}
"""Doors by name."""


def reason(name: str) -> str:
    """Return the sentence of a guardrail or a door."""
    return GUARDS.get(name) or DOORS[name]
