"""References to secrets (`env:NAME`, `file:PATH`) to their values, read anew each time so that rotation is seen."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from checkrein.core.errors import Unavailable
from checkrein.core.identity import Secret
from checkrein.core.limits import SECRET_BYTES


def resolve(reference: str) -> Secret:
    """Return the secret that a reference names; of a file, without one trailing line end.

    Raises Unavailable, naming the reference and never a value, when it is not there, empty, too long, or of a kind
    that is not built yet.
    """
    scheme, _, rest = reference.partition(":")
    if scheme == "env":
        value = os.environ.get(rest, "").encode()
        if not value:
            raise Unavailable(f"environment variable {rest} is not set or empty")
        return Secret(value)
    if scheme == "file":
        return Secret(_read(rest))
    raise Unavailable(f"references {scheme}: are not built yet; use env:NAME or file:PATH")


def _read(path: str) -> bytes:
    try:
        with Path(path).open("rb") as source:
            value = source.read(SECRET_BYTES + 1)
    except OSError as error:
        raise Unavailable(f"secret file {path} cannot be read: {error.strerror}") from None
    if len(value) > SECRET_BYTES:
        raise Unavailable(f"secret file {path} is longer than {SECRET_BYTES} bytes")
    value = value.removesuffix(b"\n").removesuffix(b"\r")
    if not value:
        raise Unavailable(f"secret file {path} is empty")
    return value


def warning(reference: str) -> str:
    """Return what is unsafe about where a secret is kept, empty for nothing: a file that others may read."""
    scheme, _, path = reference.partition(":")
    if scheme != "file":
        return ""
    try:
        mode = stat.S_IMODE(Path(path).stat().st_mode)
    except OSError:
        return ""
    if mode & 0o077:
        return f"secret file {path} is readable by others (mode {mode:04o}); chmod 600 it"
    return ""
