"""Kinds of values in `checkrein.yaml`: references to secrets and files, names, addresses, and what is not built yet."""

from __future__ import annotations

import re
from typing import Annotated, Any, Final

from pydantic import BeforeValidator, Field, WithJsonSchema

_SCHEMES_TO_COME: Final = ("vault", "aws-sm", "gcp-sm", "k8s")
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}\Z")
_ENV: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")


def secret_reference(value: object) -> str:
    """Check a reference to a secret. Raises ValueError, which never shows the value: it may be the secret itself."""
    if not isinstance(value, str):
        raise ValueError("a secret is a reference: env:NAME or file:PATH")
    scheme, colon, rest = value.partition(":")
    if colon and scheme in _SCHEMES_TO_COME:
        raise ValueError(f"references {scheme}: are not built yet; use env:NAME or file:PATH")
    if colon and scheme == "env" and _ENV.match(rest):
        return value
    if colon and scheme == "file" and rest and "\0" not in rest:
        return value
    raise ValueError(
        "a secret must not stand in this file: put it into an environment variable or a file of mode 0600 "
        "and write env:NAME or file:PATH here"
    )


def file_reference(value: object) -> str:
    """Check a reference to a file that is no secret by itself. Raises ValueError."""
    if isinstance(value, str) and value.startswith("file:") and len(value) > 5 and "\0" not in value:
        return value
    raise ValueError("a file is written file:PATH")


def name(value: object) -> str:
    """Check a name of a target, issuer, profile or listener. Raises ValueError."""
    if isinstance(value, str) and _NAME.match(value):
        return value
    raise ValueError(
        "a name is 1 to 63 letters, digits, dots, dashes and underscores, and starts with a letter or digit"
    )


def address(value: object) -> str:
    """Check `host:port`, `[v6]:port`, or a host alone. Raises ValueError."""
    if isinstance(value, str):
        split_address(value, 0)
        return value
    raise ValueError("an address is host:port")


def split_address(value: str, default_port: int) -> tuple[str, int]:
    """Return host and port of `host:port`, `[2001:db8::1]:port`, or of a host alone. Raises ValueError."""
    match = re.fullmatch(r"(?:\[([0-9A-Fa-f:.%]+)\]|([^\[\]:\s/@]+))(?::([0-9]{1,5}))?", value)
    if match is None:
        raise ValueError("an address is host:port ([v6]:port for IPv6)")
    port = int(match[3]) if match[3] else default_port
    if port > 65535:
        raise ValueError("a port is at most 65535")
    return match[1] or match[2], port


def _not_built(value: object) -> None:
    if value is not None:
        raise ValueError("is not built yet; leave it out")


SecretReference = Annotated[
    str, BeforeValidator(secret_reference), WithJsonSchema({"type": "string", "pattern": "^(env|file):.+$"})
]
"""`env:NAME` or `file:PATH`."""

FileReference = Annotated[
    str, BeforeValidator(file_reference), WithJsonSchema({"type": "string", "pattern": "^file:.+$"})
]
"""`file:PATH`, relative to the configuration's folder."""

Name = Annotated[str, BeforeValidator(name), WithJsonSchema({"type": "string", "pattern": _NAME.pattern[:-2] + "$"})]
"""A name as it stands in URLs, DSNs, logs and rules."""

Address = Annotated[str, BeforeValidator(address), WithJsonSchema({"type": "string"})]
"""`host:port`."""

Text = Annotated[str, Field(min_length=1, max_length=256, pattern=r"^[^\x00-\x1f\x7f]+$")]
"""A short text without control characters."""

NotBuilt = Annotated[
    Any, BeforeValidator(_not_built), WithJsonSchema({"type": "null", "description": "Not built yet: refused."})
]
"""A key of the contract whose machinery does not exist: refused by name, never ignored."""
