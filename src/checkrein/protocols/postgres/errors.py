"""ErrorResponse and NoticeResponse: ours, made from refusals, and the target's, whose texts may carry values.

A payload is what follows the five header bytes: (field code, string, zero byte) repeated, closed by a zero byte
(PostgreSQL manual, "Error and Notice Message Fields").
"""

from __future__ import annotations

from typing import Final

import msgspec

from checkrein.core.errors import ProtocolError
from checkrein.core.framing import frame
from checkrein.core.side import Side
from checkrein.core.verdict import Refusal

Fields = list[tuple[int, bytes]]
"""(field code as a byte value, its text without the zero byte), in wire order."""

_CODES: Final = {
    "limit": "54000",
    "unavailable": "58000",
    "mask_failed": "58000",
    "witness": "58000",
    "protocol": "08P01",
}
_TEXTS: Final = frozenset(b"MDHWq")
_NAMES: Final = frozenset(b"stcdn")
_KEPT: Final = frozenset(b"SVFLR")
_SEVERITIES: Final = frozenset({b"ERROR", b"FATAL", b"PANIC", b"WARNING", b"NOTICE", b"DEBUG", b"INFO", b"LOG"})

_NAMING_ROUTINES: Final = frozenset(
    {
        b"ExecConstraints",
        b"ReportNotNullViolationError",
        b"_bt_check_unique",
        b"check_exclusion_or_unique_constraint",
        b"ri_ReportViolation",
        b"ExecEvalConstraintNotNull",
        b"ExecEvalConstraintCheck",
        b"domain_check_input",
    }
)
"""The server's own routines that name objects. A function may set the same fields to anything."""

_RAISED: Final = b"exec_stmt_raise"

_SENTENCES: Final[dict[bytes, bytes]] = {
    b"22001": b"a value is too long for its type",
    b"22003": b"a number is out of range",
    b"22007": b"a date or time is malformed",
    b"22008": b"a date or time is out of range",
    b"22012": b"division by zero",
    b"22021": b"a text is not valid in its encoding",
    b"22023": b"a parameter has a value that is not allowed",
    b"22P02": b"a value is not valid for its type",
    b"22P03": b"a binary value is not valid for its type",
    b"23502": b"a not-null constraint is violated",
    b"23503": b"a foreign key constraint is violated",
    b"23505": b"a unique constraint is violated",
    b"23514": b"a check constraint is violated",
    b"23P01": b"an exclusion constraint is violated",
    b"25001": b"not possible inside a transaction",
    b"25006": b"not possible in a read-only transaction",
    b"25P02": b"the transaction is aborted; statements are ignored until it ends",
    b"26000": b"the prepared statement does not exist",
    b"34000": b"the cursor does not exist",
    b"40001": b"the transaction could not be serialized; try again",
    b"40P01": b"a deadlock was found",
    b"42501": b"permission denied",
    b"42601": b"syntax error",
    b"42703": b"a column does not exist",
    b"42803": b"a column must appear in GROUP BY or in an aggregate",
    b"42804": b"types do not match",
    b"42846": b"no such cast",
    b"42883": b"no function or operator has this name and these types",
    b"42P01": b"a relation does not exist",
    b"42P07": b"a relation of this name exists",
    b"53100": b"the disk is full",
    b"53200": b"out of memory",
    b"53300": b"too many connections",
    b"55P03": b"a lock could not be had",
    b"57014": b"the statement was cancelled",
    b"57P01": b"the server ends the connection",
    b"P0001": b"a function raised an error",
}

_CLASSES: Final[dict[bytes, bytes]] = {
    b"00": b"a notice",
    b"01": b"a warning",
    b"02": b"no data",
    b"0A": b"the server does not support this",
    b"21": b"a query gives more rows than may be",
    b"22": b"a value cannot be processed",
    b"23": b"an integrity constraint is violated",
    b"24": b"a cursor is in the wrong state",
    b"25": b"not possible in this transaction state",
    b"2B": b"other objects depend on it",
    b"2F": b"a function is not allowed to do this",
    b"38": b"a function failed",
    b"39": b"a function failed",
    b"3B": b"a savepoint does not exist",
    b"3F": b"a schema does not exist",
    b"40": b"the transaction was rolled back",
    b"42": b"the statement is not valid here",
    b"44": b"a row is outside what the view shows",
    b"53": b"the server lacks resources",
    b"54": b"a limit of the server was met",
    b"55": b"an object is not in the needed state",
    b"57": b"an operator intervened",
    b"58": b"the server's system failed",
    b"P0": b"a function raised an error",
    b"XX": b"the server failed",
}

_LOGIN: Final[dict[str, str]] = {
    "28P01": "it does not accept the profile's password",
    "28000": "it does not let the profile's user in",
    "3D000": "the database does not exist",
    "42501": "the profile's user may not connect",
    "53300": "it has no connection left",
    "57P03": "it is starting up or shutting down",
    "42704": "it does not know a start-up parameter",
    "22023": "it does not accept a start-up parameter",
}


def parse_fields(payload: bytes) -> Fields:
    """Read an error's or notice's fields. Raises ProtocolError when they are not exactly what the manual says."""
    found: Fields = []
    at = 0
    while at < len(payload) and payload[at]:
        end = payload.find(b"\0", at + 1)
        if end < 0:
            break
        found.append((payload[at], payload[at + 1 : end]))
        at = end + 1
    if at != len(payload) - 1 or payload[at]:
        raise ProtocolError("a malformed error or notice", Side.TARGET)
    return found


def build_fields(fields: Fields) -> bytes:
    """Return the payload of these fields; zero bytes inside a text are taken out."""
    return b"".join(bytes([code]) + text.replace(b"\0", b"") + b"\0" for code, text in fields) + b"\0"


def field(fields: Fields, code: bytes) -> bytes:
    """Return a field's text, empty when it is not there; `code` is one byte such as b"C"."""
    return next((text for one, text in fields if one == code[0]), b"")


def sqlstate(payload: bytes) -> str:
    """Return the SQLSTATE of an error or notice."""
    return field(parse_fields(payload), b"C").decode("ascii", "replace")


def error_response(refusal: Refusal, code: str = "", severity: str = "ERROR", details: bool = True) -> bytes:
    """Return the ErrorResponse frame of a refusal: 42501 unless its kind (or `code`) says otherwise.

    MESSAGE is the operator's sentence, DETAIL `refusal.details()` as JSON, HINT what to do instead.
    """
    fields = _head(severity, code or _CODES.get(refusal.code, "42501"), refusal.reason or "refused by policy")
    if details:
        fields.append((ord("D"), msgspec.json.encode(refusal.details())))
    if refusal.instead:
        fields.append((ord("H"), refusal.instead.encode()))
    if refusal.position:
        fields.append((ord("P"), str(refusal.position).encode()))
    return frame(b"E", build_fields(fields))


def plain_error(code: str, message: str, severity: str = "ERROR", detail: str = "") -> bytes:
    """Return an ErrorResponse frame that is no refusal: a broken protocol, an end of session (severity FATAL)."""
    fields = _head(severity, code, message)
    if detail:
        fields.append((ord("D"), detail.encode()))
    return frame(b"E", build_fields(fields))


def notice_response(text: str, detail: str = "", code: str = "00000") -> bytes:
    """Return a NoticeResponse frame."""
    fields = _head("NOTICE", code, text)
    if detail:
        fields.append((ord("D"), detail.encode()))
    return frame(b"N", build_fields(fields))


def _head(severity: str, code: str, message: str) -> Fields:
    return [(ord(key), text.encode()) for key, text in zip("SVCM", (severity, severity, code, message), strict=True)]


def fix_texts(payload: bytes) -> bytes:
    """Return an error's or notice's payload with every text that may carry a value replaced.

    The message becomes a fixed sentence for its SQLSTATE; detail, hint, context and internal query go. Names of objects
    stay where the server's own constraint checks set them. A code that a function made up becomes P0001, since five
    characters of it are a value too.
    """
    fields = parse_fields(payload)
    code, routine = field(fields, b"C"), field(fields, b"R")
    if code not in _SENTENCES and (routine == _RAISED or code[:2] not in _CLASSES):
        code = b"P0001"
    sentence = _SENTENCES.get(code) or _CLASSES[code[:2]]
    kept: Fields = []
    for one, text in fields:
        if one == ord("C"):
            kept.append((one, code))
        elif one == ord("M"):
            kept.append((one, sentence + b" (the text is withheld: it may show masked values)"))
        elif one in b"SV":
            kept.append((one, text if text in _SEVERITIES else b"ERROR"))
        elif _keeps(one, text, routine):
            kept.append((one, text))
    return build_fields(kept)


def _keeps(one: int, text: bytes, routine: bytes) -> bool:
    if one == ord("P"):
        return text.isdigit()
    return one in _KEPT or (one in _NAMES and routine in _NAMING_ROUTINES)


def texts_of(payload: bytes) -> tuple[bytes, ...]:
    """Return the texts of a payload that detectors must read, in wire order; names of objects included."""
    return tuple(text for one, text in parse_fields(payload) if one in _TEXTS or one in _NAMES)


def with_texts(payload: bytes, texts: tuple[bytes, ...]) -> bytes:
    """Put what `texts_of` gave, masked, back in its places."""
    left = iter(texts)
    return build_fields(
        [(one, next(left) if one in _TEXTS or one in _NAMES else text) for one, text in parse_fields(payload)]
    )


def login_reason(payload: bytes) -> str:
    """Return a sentence for a target's refusal of our login, from its SQLSTATE alone: its text may name anything."""
    code = sqlstate(payload)
    known = _LOGIN.get(code, "")
    shown = code if len(code) == 5 and code.isalnum() else "unknown"
    return f"{known} (SQLSTATE {shown})" if known else f"SQLSTATE {shown}"
