"""Key sets over the wire: rotation, hostile answers, and how often an issuer may be made to be asked."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from checkrein.adapters.jwks import IssuerKeys, remote_keys
from checkrein.core.errors import Unavailable
from checkrein.core.limits import JWKS_BYTES, JWKS_FRESH_SECONDS, JWKS_RETRY_SECONDS
from checkrein.identity.keys import PublicKey
from tests.identity.support import Signer


class Hostile:
    """An HTTP server whose answers a test chooses: path to (status, headers, body)."""

    def __init__(self) -> None:
        self.answers: dict[str, tuple[int, dict[str, str], bytes]] = {}
        self.asked: list[str] = []
        answers, asked = self.answers, self.asked

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                asked.append(self.path)
                status, headers, body = answers.get(self.path, (404, {}, b""))
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    def discover(self, **changes: Any) -> None:
        body = {"issuer": self.url, "jwks_uri": f"{self.url}/jwks", **changes}
        self.answers["/.well-known/openid-configuration"] = (200, {}, json.dumps(body).encode())

    def publish(self, document: Any, headers: dict[str, str] | None = None) -> None:
        self.answers["/jwks"] = (
            200,
            headers or {},
            document if isinstance(document, bytes) else json.dumps(document).encode(),
        )


@pytest.fixture
def issuer() -> Iterator[Hostile]:
    """A server that answers as told."""
    made = Hostile()
    made.discover()
    yield made
    made.server.shutdown()
    made.server.server_close()
    made.thread.join()


@pytest.fixture(scope="module")
def signer() -> Signer:
    """Keys to publish."""
    return Signer()


def fetch(issuer: Hostile) -> tuple[PublicKey, ...]:
    return asyncio.run(remote_keys(issuer.url, "auto", insecure_http=True)())  # type: ignore[arg-type]


def test_discovery_leads_to_the_keys(issuer: Hostile, signer: Signer) -> None:
    """The set is found at the jwks_uri of the metadata."""
    issuer.publish(signer.jwks())
    assert [key.kid for key in fetch(issuer)] == ["rsa", "ec256", "ec384", "ed"]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"issuer": "https://evil.example.com"}, "another issuer"),
        ({"jwks_uri": "http://10.0.0.1/jwks"}, "no https jwks_uri"),
        ({"jwks_uri": "file:///etc/passwd"}, "no https jwks_uri"),
        ({"jwks_uri": 7}, "no https jwks_uri"),
    ],
)
def test_metadata_that_leads_astray(issuer: Hostile, changes: dict[str, Any], says: str) -> None:
    """Metadata of another issuer, or keys over plaintext beyond loopback, are refused."""
    issuer.discover(**changes)
    with pytest.raises(Unavailable, match=says):
        fetch(issuer)


def test_plaintext_discovery_needs_to_be_allowed(issuer: Hostile, signer: Signer) -> None:
    """Without insecure_http even loopback keys must be https."""
    issuer.publish(signer.jwks())
    with pytest.raises(Unavailable, match="no https jwks_uri"):
        asyncio.run(remote_keys(issuer.url, "auto", insecure_http=False)())  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("body", "headers", "says"),
    [
        (b"<html>", {}, "not JSON"),
        (b"[]", {}, "not a JSON object"),
        (b"[" * 100_000, {}, "not JSON"),
        (b'{"keys": []}', {}, "no key in it"),
        (b" " * (JWKS_BYTES + 1), {}, "more than"),
        (b"{}", {"content-encoding": "gzip"}, "compressed"),
    ],
)
def test_hostile_key_sets(issuer: Hostile, body: bytes, headers: dict[str, str], says: str) -> None:
    """Whatever is no bounded, plain key set is refused with what it is."""
    issuer.publish(body, headers)
    with pytest.raises(Unavailable, match=says):
        fetch(issuer)


def test_redirects_are_not_followed(issuer: Hostile) -> None:
    """A redirect, to whatever host, is no key set."""
    issuer.answers["/jwks"] = (302, {"location": f"{issuer.url}/other"}, b"")
    with pytest.raises(Unavailable, match="answered 302"):
        fetch(issuer)
    assert "/other" not in issuer.asked


def test_gw7_rotation_is_seen_at_once(issuer: Hostile, signer: Signer) -> None:
    """GW-7: a token with a new kid makes the set be fetched again, and the generation grow."""

    async def main() -> None:
        clock = [0.0]
        keys = IssuerKeys(remote_keys(issuer.url, "auto", insecure_http=True), lambda: clock[0])
        issuer.publish(signer.jwks("rsa"))
        assert [key.kid for key in await keys.get("rsa")] == ["rsa"]
        before = keys.generation
        issuer.publish(signer.jwks("ed"))
        clock[0] += JWKS_RETRY_SECONDS
        assert [key.kid for key in await keys.get("ed")] == ["ed"]
        assert keys.generation == before + 1

    asyncio.run(main())


def test_unknown_kids_do_not_flood_the_issuer(issuer: Hostile, signer: Signer) -> None:
    """A hundred forged key ids at once cost the issuer one fetch, until the retry time has passed."""

    async def main() -> None:
        clock = [0.0]
        keys = IssuerKeys(remote_keys(issuer.url, "auto", insecure_http=True), lambda: clock[0])
        issuer.publish(signer.jwks("rsa"))
        await asyncio.gather(*(keys.get(f"forged-{n}") for n in range(100)))
        assert issuer.asked.count("/jwks") == 1
        clock[0] += JWKS_RETRY_SECONDS
        await asyncio.gather(*(keys.get(f"forged-{n}") for n in range(100)))
        assert issuer.asked.count("/jwks") == 2
        await asyncio.gather(*(keys.get("rsa") for _ in range(100)))
        assert issuer.asked.count("/jwks") == 2

    asyncio.run(main())


def test_a_failed_fetch_keeps_what_was_there(issuer: Hostile, signer: Signer) -> None:
    """An issuer that begins to answer nonsense does not take its good keys away, and the error is told."""

    async def main() -> None:
        clock = [0.0]
        keys = IssuerKeys(remote_keys(issuer.url, "auto", insecure_http=True), lambda: clock[0])
        issuer.publish(signer.jwks("rsa"))
        await keys.get("rsa")
        issuer.publish(b"<html>")
        clock[0] += JWKS_FRESH_SECONDS
        assert not keys.fresh()
        assert [key.kid for key in await keys.get("rsa")] == ["rsa"]
        assert "not JSON" in keys.error

    asyncio.run(main())
