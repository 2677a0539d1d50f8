"""An issuer that signs whatever a test wants, also what no honest one would: discovery and keys over real HTTP.

It is of our own making (joserfc signs, the standard library serves), for tokens that an independent issuer does not
give; `tests.support.issuers` has one of those. To the gateway it is another process's HTTP server like any other.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.identity.support import Signer


class Crooked:
    """A running issuer. `published` names the keys that it shows; `away` makes it answer 503."""

    def __init__(self, signer: Signer, server: ThreadingHTTPServer) -> None:
        self.signer = signer
        self.url = f"http://127.0.0.1:{server.server_address[1]}"
        self.published: tuple[str, ...] = ("rsa", "ec256")
        self.away = False
        self.asked = 0

    def claims(self, subject: str, *groups: str, **changes: Any) -> dict[str, Any]:
        """Return good claims with changes; a change to None leaves the claim out."""
        now = int(time.time())
        base = {"iss": self.url, "sub": subject, "aud": "checkrein", "iat": now, "nbf": now, "exp": now + 600}
        base["groups"] = list(groups)
        return {name: value for name, value in {**base, **changes}.items() if value is not None}

    def token(self, subject: str, *groups: str, kid: str = "ec256", algorithm: str = "ES256", **changes: Any) -> str:
        """Return a token of these claims, signed with the key `kid`."""
        return self.signer.sign(self.claims(subject, *groups, **changes), algorithm, kid).decode()

    def document(self, path: str) -> dict[str, Any] | None:
        """Return what stands at a path."""
        if path == "/.well-known/openid-configuration":
            return {"issuer": self.url, "jwks_uri": f"{self.url}/keys"}
        if path == "/keys":
            self.asked += 1
            return self.signer.jwks(*self.published)
        return None


@contextmanager
def crooked(signer: Signer) -> Iterator[Crooked]:
    """Run an issuer on a free port of loopback."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = None if issuer.away else issuer.document(self.path)
            body = json.dumps(found).encode()
            self.send_response(503 if issuer.away else 200 if found else 404)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *arguments: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        issuer = Crooked(signer, server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield issuer
        finally:
            server.shutdown()
