"""An issuer's pen: signs whatever claims and headers a test wants, also wrong ones."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import Any

from joserfc import jws
from joserfc.jwk import ECKey, OKPKey, RSAKey

from checkrein.identity.claims import Issuer
from checkrein.identity.keys import PublicKey, read_keys

NOW = 1_800_000_000.0
URL = "https://idp.example.com"
CORP = Issuer(name="corp", url=URL, audiences=("checkrein",), may_assert=("*",), people=True)


def claims(**changes: Any) -> dict[str, Any]:
    """Return good claims with changes; a change to None leaves the claim out."""
    base: dict[str, Any] = {"iss": URL, "sub": "bot", "aud": "checkrein", "exp": NOW + 600, "iat": NOW - 10}
    return {name: value for name, value in {**base, **changes}.items() if value is not None}


class Signer:
    """Keys of several kinds under one issuer."""

    def __init__(self) -> None:
        self.rsa = RSAKey.generate_key(2048)
        self.ec256 = ECKey.generate_key("P-256")
        self.ec384 = ECKey.generate_key("P-384")
        self.ed = OKPKey.generate_key("Ed25519")
        self.other = ECKey.generate_key("P-256")
        self.by_name = {"rsa": self.rsa, "ec256": self.ec256, "ec384": self.ec384, "ed": self.ed}

    def jwks(self, *names: str) -> dict[str, Any]:
        """Return the published set of these keys (all when none is named)."""
        chosen = names or tuple(self.by_name)
        return {"keys": [{**self.by_name[name].as_dict(private=False), "kid": name} for name in chosen]}

    def public(self, *names: str) -> tuple[PublicKey, ...]:
        """Return that set as the verifier takes it."""
        return read_keys(self.jwks(*names))

    def sign(
        self,
        body: dict[str, Any] | bytes,
        algorithm: str = "ES256",
        kid: str | None = "ec256",
        key: Any = None,
        **header: Any,
    ) -> bytes:
        """Sign claims, or raw bytes, with the key that `kid` names or with `key`."""
        full = {"alg": algorithm, **({"kid": kid} if kid is not None else {}), **header}
        payload = body if isinstance(body, bytes) else json.dumps(body).encode()
        chosen = key if key is not None else self.by_name[kid or "ec256"]
        signing_input = b".".join(encoded(part) for part in (json.dumps(full).encode(), payload))
        model = jws.JWSRegistry.algorithms[algorithm]
        return signing_input + b"." + encoded(model.sign(signing_input, chosen))


def encoded(part: bytes) -> bytes:
    """Return base64url without padding."""
    return base64.urlsafe_b64encode(part).rstrip(b"=")


def hmac_token(body: dict[str, Any], secret: bytes) -> bytes:
    """Return a token signed by HMAC-SHA-256 with any secret, such as a public key's PEM (algorithm confusion)."""
    head = json.dumps({"alg": "HS256", "kid": "rsa"}).encode()
    signing_input = encoded(head) + b"." + encoded(json.dumps(body).encode())
    return signing_input + b"." + encoded(hmac.new(secret, signing_input, hashlib.sha256).digest())


def unsigned(header: dict[str, Any] | bytes, body: dict[str, Any] | bytes, signature: bytes = b"x") -> bytes:
    """Return three parts as they would stand in a token, whatever they hold."""
    parts = [part if isinstance(part, bytes) else json.dumps(part).encode() for part in (header, body)]
    return b".".join(encoded(part) for part in (*parts, signature))
