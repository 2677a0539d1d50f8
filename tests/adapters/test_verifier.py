"""The verifier against real issuers in processes of their own: what they sign is known, nothing else is."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator

import pytest

from checkrein.adapters.jwks import file_keys, remote_keys
from checkrein.adapters.verifier import TrustedIssuer, Verifier
from checkrein.core.identity import Claim, LoginRefused, Principal, Secret
from checkrein.core.limits import JWKS_FRESH_SECONDS, JWKS_STALE_SECONDS
from checkrein.identity.claims import Issuer
from checkrein.identity.mapping import Directory
from tests.support.issuers import IssuerProcess, embedded_issuer, independent_issuer


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[IssuerProcess]:
    """The embedded issuer."""
    with embedded_issuer(tmp_path_factory.mktemp("own")) as issuer:
        yield issuer


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Iterator[IssuerProcess]:
    """An issuer that someone else wrote."""
    with independent_issuer(tmp_path_factory.mktemp("other")) as issuer:
        yield issuer


def rules(issuer: IssuerProcess, name: str, **more: object) -> Issuer:
    return Issuer(name=name, url=issuer.url, audiences=("checkrein",), may_assert=("*",), **more)  # type: ignore[arg-type]


def trusted(issuer: IssuerProcess, name: str, **more: object) -> TrustedIssuer:
    return TrustedIssuer(rules(issuer, name, **more), remote_keys(issuer.url, "auto", insecure_http=True))


def claim(token: str) -> Claim:
    return Claim(Secret(token), "orders")


def verify(verifier: Verifier, token: str, now: float | None = None) -> Principal | LoginRefused:
    return asyncio.run(verifier.verify(claim(token), time.time() if now is None else now))


def both(own: IssuerProcess, other: IssuerProcess) -> Verifier:
    directory = Directory({own.url: "own", other.url: "corp"}, {"approver": ("oncall",)})
    return Verifier((trusted(own, "own"), trusted(other, "corp", people=True)), directory)


def test_tokens_of_two_issuers(own: IssuerProcess, other: IssuerProcess) -> None:
    """Each issuer's token gives a principal under that issuer's name, found by discovery."""

    async def main() -> None:
        verifier = both(own, other)
        bot = await verifier.verify(claim(own.token("bot", "bot-secret")), time.time())
        anna = await verifier.verify(
            claim(other.token("bot", "bot-secret", grant_type="password", username="anna", password="anna-secret")),
            time.time(),
        )
        assert isinstance(bot, Principal), bot
        assert isinstance(anna, Principal), anna
        assert (bot.name, bot.groups, bot.roles) == ("own:bot", ("own:support", "support"), ())
        assert (anna.name, anna.roles) == ("corp:anna", ("approver",))
        assert set(anna.groups) == {"corp:oncall", "oncall", "corp:staff", "staff"}

    asyncio.run(main())


def test_a_refresh_token_is_not_for_logging_in(other: IssuerProcess) -> None:
    """The same issuer's refresh token, properly signed and addressed, is refused."""
    import httpx

    form = {"grant_type": "password", "username": "anna", "password": "anna-secret"}
    answer = httpx.post(f"{other.url}/token", data=form, auth=("bot", "bot-secret"), trust_env=False).json()
    found = verify(Verifier((trusted(other, "corp"),), Directory()), answer["refresh_token"])
    assert isinstance(found, LoginRefused)
    assert found.check == "purpose"


def test_an_issuer_that_is_not_configured(own: IssuerProcess, other: IssuerProcess) -> None:
    """A good token of a real issuer that nobody configured is refused, with that issuer's name."""
    found = verify(Verifier((trusted(own, "own"),), Directory()), other.token("bot", "bot-secret"))
    assert isinstance(found, LoginRefused)
    assert found.check == "issuer"
    assert other.url in found.reason


def test_clients_allow_list(own: IssuerProcess) -> None:
    """A client that is not listed is refused, one that is listed is not."""
    token = own.token("bot", "bot-secret")
    assert isinstance(verify(Verifier((trusted(own, "own", clients=("bot",)),), Directory()), token), Principal)
    found = verify(Verifier((trusted(own, "own", clients=("other",)),), Directory()), token)
    assert isinstance(found, LoginRefused)
    assert found.check == "client"


def test_a_verified_token_is_remembered_until_it_expires(own: IssuerProcess) -> None:
    """The synchronous path answers a second login at once, and no longer after exp."""

    async def main() -> None:
        verifier = Verifier((trusted(own, "own"),), Directory())
        token = claim(own.token("bot", "bot-secret"))
        now = time.time()
        assert verifier.cached(token, now) is None
        first = await verifier.verify(token, now)
        assert verifier.cached(token, now) is first
        assert verifier.cached(token, now + 10_000) is None
        later = await verifier.verify(token, now + 10_000)
        assert isinstance(later, LoginRefused)
        assert later.check == "expired"

    asyncio.run(main())


def test_gw7_issuer_away(tmp_path_factory: pytest.TempPathFactory) -> None:
    """GW-7: with the issuer away its known keys go on for a day, then logins are refused as unavailable."""

    async def main() -> None:
        clock = [0.0]
        with embedded_issuer(tmp_path_factory.mktemp("away")) as issuer:
            verifier = Verifier((trusted(issuer, "own"),), Directory(), lambda: clock[0])
            one, two, three = (issuer.token("bot", "bot-secret") for _ in range(3))
            assert isinstance(await verifier.verify(claim(one), time.time()), Principal)
        clock[0] += JWKS_FRESH_SECONDS + 1
        assert isinstance(await verifier.verify(claim(two), time.time()), Principal)
        assert "cannot be reached" in verifier.problems()["own"]
        clock[0] += JWKS_STALE_SECONDS
        found = await verifier.verify(claim(three), time.time())
        assert isinstance(found, LoginRefused)
        assert found.check == "unavailable"

    asyncio.run(main())


def test_an_issuer_that_was_never_there() -> None:
    """With no keys ever fetched, logins are refused as unavailable, quickly and with the reason."""
    away = Issuer(name="gone", url="http://127.0.0.1:9", audiences=("checkrein",))
    verifier = Verifier((TrustedIssuer(away, remote_keys(away.url, "auto", insecure_http=True)),), Directory())
    problems = asyncio.run(verifier.warm())
    assert "cannot be reached" in problems["gone"]


def test_keys_from_a_file(own: IssuerProcess, tmp_path_factory: pytest.TempPathFactory) -> None:
    """An issuer that cannot be reached is verified by its key set in a file."""
    import httpx

    file = tmp_path_factory.mktemp("keys") / "jwks.json"
    file.write_bytes(httpx.get(f"{own.url}/jwks", trust_env=False).content)
    verifier = Verifier((TrustedIssuer(rules(own, "own"), file_keys(str(file))),), Directory())
    assert isinstance(verify(verifier, own.token("bot", "bot-secret")), Principal)


def test_discovery_must_name_the_configured_issuer(own: IssuerProcess) -> None:
    """Metadata that speaks for another issuer (a trailing slash, another host) gives no keys."""
    wrong = Issuer(name="own", url=own.url + "/", audiences=("checkrein",))
    verifier = Verifier((TrustedIssuer(wrong, remote_keys(wrong.url, "auto", insecure_http=True)),), Directory())
    assert "another issuer" in asyncio.run(verifier.warm())["own"]


def test_garbage_is_refused_without_asking_anyone(own: IssuerProcess) -> None:
    """What is no token is refused before any issuer is asked, and does not fill the cache."""

    async def main() -> None:
        verifier = Verifier((trusted(own, "own"),), Directory())
        for text in ("", "hunter2", "a.b.c", "x" * 100_000):
            assert isinstance(await verifier.verify(claim(text), time.time()), LoginRefused)
        assert verifier.problems() == {}

    asyncio.run(main())


def test_the_cache_is_bounded(own: IssuerProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    """More tokens than the limit push the oldest out."""
    monkeypatch.setattr("checkrein.adapters.verifier.TOKEN_CACHE", 1)

    async def main() -> None:
        verifier = Verifier((trusted(own, "own"),), Directory())
        first, second = (claim(own.token("bot", "bot-secret")) for _ in range(2))
        now = time.time()
        await verifier.verify(first, now)
        await verifier.verify(second, now)
        assert verifier.cached(first, now) is None
        assert verifier.cached(second, now) is not None

    asyncio.run(main())
