"""Whose tokens are believed: the configured issuers and the embedded one, as one verifier."""

from __future__ import annotations

import time
from pathlib import Path

from checkrein.adapters.jwks import file_keys, remote_keys
from checkrein.adapters.secrets import resolve
from checkrein.adapters.verifier import TrustedIssuer, Verifier
from checkrein.config.values import Config, IssuerSource
from checkrein.control.issuer.keyring import Keyring
from checkrein.control.issuer.members import Member, Members
from checkrein.control.issuer.router import EmbeddedIssuer
from checkrein.core.identity import Claim, LoginRefused, Principal, Secret


def trusted(source: IssuerSource) -> TrustedIssuer:
    """Return a configured issuer with what fetches its keys."""
    if source.jwks.startswith("file:"):
        return TrustedIssuer(source.issuer, file_keys(source.jwks.removeprefix("file:")))
    fetch = remote_keys(source.issuer.url, source.jwks, source.insecure_http, source.ca)
    return TrustedIssuer(source.issuer, fetch)


def embedded_issuer(config: Config, url: str) -> tuple[EmbeddedIssuer, Keyring] | None:
    """Return the embedded issuer with its keys, None when there is none. Raises Unavailable."""
    if config.embedded is None:
        return None
    keyring = Keyring.open(Path(config.data) / "keys", config.embedded.ttl, time.time())
    members = tuple(Member(one.id, one.groups, one.secret) for one in config.embedded.members)
    return EmbeddedIssuer(url, Members(members, resolve), keyring, config.embedded.ttl), keyring


def verifier(config: Config, url: str, keyring: Keyring | None) -> Verifier:
    """Return the verifier of every issuer; the embedded one's keys are read in this process."""
    issuers = [trusted(source) for source in config.issuers]
    rules = config.embedded_rules(url)
    if rules is not None and keyring is not None:
        issuers.append(TrustedIssuer(rules, keyring.published))
    return Verifier(tuple(issuers), config.directory(url))


class Identities:
    """Verifies callers of the API."""

    def __init__(self, verifier: Verifier) -> None:
        self._verifier = verifier

    async def identify(self, token: Secret) -> Principal | LoginRefused:
        """Verify a token."""
        return await self._verifier.verify(Claim(token, ""), time.time())
