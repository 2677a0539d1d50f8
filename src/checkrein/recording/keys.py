"""The gateway's Ed25519 key (RFC 8032) with which recordings are signed, and signed documents.

A signed document is `{"document": {...}, "key": ID, "signature": HEX}` in canonical JSON (sorted keys, no spaces,
ASCII) and a newline. The signature is over a context line and the canonical document; `key` is the first 16 hex digits
of the SHA-256 of the raw public key.
"""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from checkrein.core.errors import Unavailable
from checkrein.recording.files import private_folder, read_regular, write_durably

CONTEXT: Final = b"checkrein signed document v1\n"
KEY_FILE: Final = "recording.key"
PUBLIC_FILE: Final = "recording.pub"
_KEY_BYTES: Final = 4096


def canonical(document: Any) -> bytes:
    """Return the one JSON form of a document that is signed."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False).encode()


class SigningKey:
    """Signs documents; does not print its key."""

    __slots__ = ("_key", "id", "public_pem")

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        public = key.public_key()
        self.public_pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        self.id = sha256(public.public_bytes(Encoding.Raw, PublicFormat.Raw)).hexdigest()[:16]

    def sign(self, document: dict[str, Any]) -> bytes:
        """Return the signed document as it stands in its file."""
        signature = self._key.sign(CONTEXT + canonical(document)).hex()
        return canonical({"document": document, "key": self.id, "signature": signature}) + b"\n"


def load_or_create_key(folder: Path) -> SigningKey:
    """Return the key of `folder` (data/keys); the first start makes it. Raises Unavailable."""
    path = folder / KEY_FILE
    try:
        private_folder(folder)
        if not path.exists():
            write_durably(path, _new_key())
        key = load_pem_private_key(read_regular(path, _KEY_BYTES), password=None)
        if not isinstance(key, Ed25519PrivateKey):
            raise ValueError("not an Ed25519 key")
        signing = SigningKey(key)
        if not (folder / PUBLIC_FILE).exists():
            write_durably(folder / PUBLIC_FILE, signing.public_pem)
    except (OSError, ValueError) as error:
        raise Unavailable(f"the recording key {path} cannot be used: {error}") from error
    return signing


def _new_key() -> bytes:
    return Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
