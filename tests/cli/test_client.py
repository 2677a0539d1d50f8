"""Whom a command speaks for, what it says when the gateway is away, and where it refuses to send a secret."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner

from checkrein.cli import Refused, Unreachable, group
from checkrein.cli.client import Client, connect, data_folder, require_safe
from checkrein.cli.output import printable
from checkrein.cli.token import get_token
from tests.support.issuers import embedded_issuer


@pytest.fixture(autouse=True)
def clean(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No variables of the caller, an empty folder."""
    monkeypatch.chdir(tmp_path)
    for name in ("TOKEN", "URL", "CONFIG", "CLIENT_ID", "CLIENT_SECRET", "CLIENT_ISSUER", "ISSUER", "SECRET"):
        monkeypatch.delenv(f"CHECKREIN_{name}", raising=False)


def answering(status: int, body: object) -> Client:
    """Return a client whose gateway answers this."""
    transport = httpx.MockTransport(lambda _: httpx.Response(status, json=body))
    return Client(httpx.Client(transport=transport, base_url="http://gateway"), "there")


def test_no_gateway_is_status_3() -> None:
    """Without a token and without a socket the sentence says what to do."""
    with pytest.raises(Unreachable, match="is not there") as caught:
        connect()
    assert caught.value.exit_code == 3


def test_nothing_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    """A refused connection is status 3, and the token is not in the sentence."""
    monkeypatch.setenv("CHECKREIN_TOKEN", "planted-token")
    monkeypatch.setenv("CHECKREIN_URL", "http://127.0.0.1:9")
    with pytest.raises(Unreachable, match="is it running") as caught:
        connect().get("/api/v1/sessions")
    assert "planted-token" not in str(caught.value)


@pytest.mark.parametrize(
    "words",
    [
        ("approvals", "approve"), ("approvals", "deny"), ("approvals", "show"),
        ("sessions", "show"), ("sessions", "tail"), ("sessions", "kill"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("id", ["../sessions/x/kill?", "a/b", "a%2fb", "", "a b", "\N{FULLWIDTH DIGIT ONE}"])
def test_an_id_cannot_lead_elsewhere(words: tuple[str, ...], id: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An id that somebody else wrote names nothing but a session or an approval: it is refused before any request."""
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(str(request.url))
        return httpx.Response(200, json={})

    client = Client(httpx.Client(transport=httpx.MockTransport(answer), base_url="http://gateway"), "there")
    for module in ("approvals", "sessions"):
        monkeypatch.setattr(f"checkrein.cli.{module}.connect", lambda: client)
    found = CliRunner().invoke(group, [*words, "--", id])
    assert found.exit_code == 2 and "an id is letters" in found.output
    assert asked == []


def test_the_socket_is_in_the_data_folder() -> None:
    """The folder is that of the configuration at hand, even one with problems elsewhere."""
    assert data_folder() == Path("data")
    Path("checkrein.yaml").write_text("data: /var/lib/checkrein\nlisten: 7\n")
    assert data_folder() == Path("/var/lib/checkrein")


def test_refusals_and_outages() -> None:
    """4xx is status 1 with the gateway's reason; 503 is status 3; an answer that is no JSON is no gateway."""
    with pytest.raises(Refused, match="you may not"):
        answering(403, {"reason": "you may not"}).get("/x")
    with pytest.raises(Unreachable, match="store is away"):
        answering(503, {"reason": "store is away"}).get("/x")
    transport = httpx.MockTransport(lambda _: httpx.Response(200, text="<html>"))
    with pytest.raises(Unreachable, match="not a Checkrein gateway"):
        Client(httpx.Client(transport=transport, base_url="http://x"), "there").get("/x")


@pytest.mark.parametrize(
    "url", ["http://gateway.example.com", "http://127.0.0.1.evil.com", "ftp://x", "localhost:8080"]
)
def test_tokens_do_not_travel_in_plaintext(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A token goes to https, or to this machine."""
    monkeypatch.setenv("CHECKREIN_TOKEN", "t")
    monkeypatch.setenv("CHECKREIN_URL", url)
    with pytest.raises(Refused, match="plaintext"):
        connect()
    require_safe("https://gateway.example.com")


def test_what_is_printed_cannot_move_the_cursor() -> None:
    """Escape sequences, bidi controls and line ends of a recorded statement are shown, not sent to the terminal."""
    assert printable("a\x1b[2Jb\nc\u202ed") == "a\\x1b[2Jb\\nc\\u202ed"
    assert printable(None) == ""
    assert printable(["a"]) == '["a"]'


def test_token_by_client_credentials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """CHECKREIN_TOKEN goes first; else the issuer gives one for id and secret; a wrong secret is refused."""
    monkeypatch.setenv("CHECKREIN_TOKEN", "given")
    assert get_token() == "given"
    monkeypatch.delenv("CHECKREIN_TOKEN")
    with embedded_issuer(tmp_path / "keys") as issuer:
        monkeypatch.setenv("CHECKREIN_CLIENT_ISSUER", issuer.url)
        monkeypatch.setenv("CHECKREIN_CLIENT_ID", "bot")
        monkeypatch.setenv("CHECKREIN_CLIENT_SECRET", "bot-secret")
        assert get_token().count(".") == 2
        monkeypatch.setenv("CHECKREIN_CLIENT_SECRET", "wrong-secret")
        with pytest.raises(Refused, match="unknown client or wrong secret") as caught:
            get_token()
        assert "wrong-secret" not in str(caught.value)
    with pytest.raises(Unreachable):
        get_token()
