"""The embedded issuer's signing keys: ECDSA on P-256 (ES256), in files of mode 0600, replaced by age.

A key that was replaced stays published until the last token that it signed has expired, then its file goes.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey

from checkrein.core.errors import Unavailable
from checkrein.core.limits import CLOCK_SKEW_SECONDS, ISSUER_KEY_SECONDS
from checkrein.identity.keys import PublicKey, read_keys
from checkrein.recording.files import private_folder, read_regular, write_durably

ALGORITHM: Final = "ES256"
_KEY_BYTES: Final = 4096


class _Stored:
    """One key and when it was made (epoch seconds)."""

    __slots__ = ("created", "key", "path")

    def __init__(self, key: ECKey, created: float, path: Path) -> None:
        self.key = key
        self.created = created
        self.path = path

    def public(self) -> dict[str, Any]:
        return {**self.key.as_dict(private=False), "kid": self.key.thumbprint(), "use": "sig", "alg": ALGORITHM}


class Keyring:
    """The signing keys in one folder. `lifetime` is that of the longest token, in seconds."""

    def __init__(self, folder: Path, lifetime: float) -> None:
        self._folder = folder
        self._lifetime = lifetime
        self._keys: list[_Stored] = []

    @classmethod
    def open(cls, folder: Path, lifetime: float, now: float) -> Keyring:
        """Read the keys of a folder, making the first one. Raises Unavailable when a key cannot be used."""
        ring = cls(folder, lifetime)
        try:
            private_folder(folder)
            ring._keys = sorted((_load(path) for path in folder.glob("*.json")), key=lambda one: one.created)
        except (OSError, ValueError, KeyError, TypeError, JoseError) as error:
            raise Unavailable(
                f"the embedded issuer's keys in {folder} cannot be used: {type(error).__name__}"
            ) from None
        ring.upkeep(now)
        return ring

    def upkeep(self, now: float) -> None:
        """Replace a signing key that is old, and forget those whose tokens are all expired. Raises Unavailable."""
        if not self._keys or now - self._keys[-1].created >= ISSUER_KEY_SECONDS:
            self.rotate(now)
        for old, successor in zip(self._keys[:-1], self._keys[1:], strict=True):
            if now - successor.created > self._lifetime + CLOCK_SKEW_SECONDS:
                old.path.unlink(missing_ok=True)
                self._keys.remove(old)

    def rotate(self, now: float) -> None:
        """Make a new key and sign with it from now on. Raises Unavailable."""
        key = ECKey.generate_key("P-256", private=True)
        path = self._folder / f"{key.thumbprint()}.json"
        document = {"created": now, "jwk": key.as_dict(private=True)}
        try:
            write_durably(path, json.dumps(document).encode())
        except OSError as error:
            raise Unavailable(f"the embedded issuer cannot write {path}: {error.strerror}") from None
        self._keys.append(_Stored(key, now, path))

    def sign(self, claims: dict[str, Any], now: float) -> str:
        """Return a signed access token (RFC 9068). Raises Unavailable."""
        self.upkeep(now)
        newest = self._keys[-1]
        header = {"alg": ALGORITHM, "typ": "at+jwt", "kid": newest.key.thumbprint()}
        return jwt.encode(header, claims, newest.key, algorithms=[ALGORITHM])

    def document(self) -> dict[str, Any]:
        """Return the public key set (RFC 7517), newest last."""
        return {"keys": [one.public() for one in self._keys]}

    async def published(self) -> tuple[PublicKey, ...]:
        """Return the keys as a verifier in this process takes them."""
        return read_keys(self.document())


def _load(path: Path) -> _Stored:
    document = json.loads(read_regular(path, _KEY_BYTES))
    key = ECKey.import_key(document["jwk"])
    if not key.is_private:
        raise ValueError("not a private key")
    return _Stored(key, float(document["created"]), path)
