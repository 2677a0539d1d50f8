"""Parameters of a Bind as text, as rules, people and the journal read them."""

from __future__ import annotations

from checkrein.protocols.postgres.codec import Bind
from checkrein.protocols.postgres.values import Types, codec_of


def read_parameters(
    bind: Bind, oids: tuple[int, ...], encoding: str, types: Types
) -> tuple[tuple[str | None, ...], bool]:
    """Return all parameters as text, and whether every one could be read.

    `oids` are their types as far as they are known (0 or missing: not). A binary value of a type whose form is not
    known is given as `\\x` and hex digits, which is not what the server will take it for.
    """
    formats = bind.formats
    texts: list[str | None] = []
    whole = True
    for index, value in enumerate(bind.values):
        form = 0 if not formats else formats[0] if len(formats) == 1 else formats[index]
        if value is None:
            texts.append(None)
        elif form == 0:
            texts.append(value.decode(encoding, "replace"))
        else:
            text = _text(value, oids[index] if index < len(oids) else 0, types)
            whole = whole and text is not None
            texts.append("\\x" + value.hex() if text is None else text.decode(encoding, "replace"))
    return tuple(texts), whole


def _text(value: bytes, oid: int, types: Types) -> bytes | None:
    """Return a binary value in the type's text form; None when the type is not known or the value is none of it."""
    codec = codec_of(oid, types)
    if codec is None:
        return None
    try:
        return codec[0](value)
    except (ValueError, IndexError, ArithmeticError):
        return None
