"""The API as commands call it: with CHECKREIN_TOKEN at CHECKREIN_URL, else over the owner's socket."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import click

from checkrein.cli import Refused, Unreachable

if TYPE_CHECKING:
    import httpx

DEFAULT_URL: Final = "http://127.0.0.1:8080"
DEFAULT_CONFIG: Final = "checkrein.yaml"
SOCKET: Final = "control.sock"
_SECONDS: Final = 30.0


def config_file(given: str | None = None) -> str:
    """Return the configuration file that a command means: as given, else CHECKREIN_CONFIG, else ./checkrein.yaml."""
    return given or os.environ.get("CHECKREIN_CONFIG") or DEFAULT_CONFIG


def data_folder() -> Path:
    """Return the data folder of the configuration at hand; ./data where there is none.

    Only its `data` key is read: the socket is reachable while the rest of the file is being repaired.
    """
    from checkrein.policy.yamltree import read_trees

    file = Path(config_file())
    data: object = None
    if file.is_file():
        trees, _ = read_trees(file.read_text(encoding="utf-8"), str(file))
        data = trees[0].value.get("data") if trees and isinstance(trees[0].value, dict) else None
    return file.parent / (data if isinstance(data, str) else "data")


def in_path(id: str) -> str:
    """Return the id of a session or an approval as it may stand in a path of the API. Raises UsageError."""
    if not id or not all(c.isascii() and (c.isalnum() or c in "-_") for c in id):
        raise click.UsageError("an id is letters, digits, - and _; `ls` lists those there are")
    return id


class Client:
    """Calls the gateway's API and turns every failure into an exit status and a sentence."""

    def __init__(self, http: httpx.Client, where: str) -> None:
        self._http = http
        self._where = where

    def get(self, path: str, **query: Any) -> Any:
        """GET; `query` without the Nones. Return the JSON answer. Raises Refused, Unreachable."""
        return self.call("GET", path, params={k: v for k, v in query.items() if v not in (None, ())})

    def post(self, path: str, body: Any = None) -> Any:
        """POST a JSON body. Return the JSON answer. Raises Refused, Unreachable."""
        return self.call("POST", path, json=body if body is not None else {})

    def fetch(self, path: str, body: Any) -> bytes:
        """POST a JSON body. Return the answer's bytes. Raises Refused, Unreachable."""
        return self._answer("POST", path, json=body).content

    def lines(self, path: str) -> Iterator[str]:
        """GET an answer that comes line by line, as long as it lasts. Raises Refused, Unreachable."""
        import httpx

        try:
            with self._http.stream("GET", path, timeout=httpx.Timeout(_SECONDS, read=None)) as answer:
                if not answer.is_success:
                    answer.read()
                    raise Refused(_reason(answer))
                yield from answer.iter_lines()
        except httpx.HTTPError as error:
            raise Unreachable(f"the gateway at {self._where} went away ({type(error).__name__})") from None

    def call(self, method: str, path: str, **arguments: Any) -> Any:
        """Call and return the JSON answer, None for an empty one. Raises Refused, Unreachable."""
        answer = self._answer(method, path, **arguments)
        try:
            return answer.json() if answer.content else None
        except ValueError:
            raise Unreachable(f"what answers at {self._where} is not a Checkrein gateway") from None

    def _answer(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        import httpx

        try:
            answer = self._http.request(method, path, **arguments)
        except httpx.HTTPError as error:
            what = type(error).__name__
            raise Unreachable(f"the gateway cannot be reached at {self._where} ({what}); is it running?") from None
        if answer.is_success:
            return answer
        if answer.status_code in (502, 503, 504):
            raise Unreachable(f"the gateway at {self._where} is not ready: {_reason(answer)}")
        raise Refused(_reason(answer))


def _reason(answer: httpx.Response) -> str:
    """Return the sentence of an error answer: its `reason`, or FastAPI's `detail`."""
    from checkrein.cli.output import printable

    try:
        body = answer.json()
    except ValueError:
        body = None
    detail = body.get("reason") or body.get("detail") if isinstance(body, dict) else None
    return printable(detail) if detail else f"the gateway answered {answer.status_code}"


def connect(token: str = "") -> Client:
    """Return a client that speaks for whoever runs the command. Raises Refused, Unreachable when nothing is there.

    With `token` or CHECKREIN_TOKEN it is the token's principal at CHECKREIN_URL, which must be https beyond loopback.
    Else it is `local:<user>` over the socket, which only the owner of the data folder and root can open.
    """
    import httpx

    token = token or os.environ.get("CHECKREIN_TOKEN", "")
    if token:
        url = os.environ.get("CHECKREIN_URL") or DEFAULT_URL
        require_safe(url)
        headers = {"authorization": f"Bearer {token}"}
        return Client(httpx.Client(base_url=url, headers=headers, timeout=_SECONDS, trust_env=False), url)
    socket = data_folder() / SOCKET
    if not socket.exists():
        raise Unreachable(
            f"no gateway: {socket} is not there. Run this beside checkrein.yaml as the gateway's owner "
            "(or set CHECKREIN_CONFIG), or set CHECKREIN_TOKEN and CHECKREIN_URL"
        )
    transport = httpx.HTTPTransport(uds=str(socket))
    return Client(httpx.Client(base_url="http://localhost", transport=transport, timeout=_SECONDS), str(socket))


def require_safe(url: str) -> None:
    """Refuse to send a token or secret in plaintext to anywhere but this machine. Raises Refused."""
    parts = urlsplit(url)
    if parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in ("127.0.0.1", "::1", "localhost")):
        return
    raise Refused(f"{url} would send a secret in plaintext; use https")
