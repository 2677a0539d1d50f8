"""Recognisers of one kind of value, one family a file, and the one list of their names."""

from __future__ import annotations

from checkrein.core.verdict import CustomDetector
from checkrein.masking.detectors import cloud_keys, vendor_keys
from checkrein.masking.detectors.base import Detector, Span
from checkrein.masking.detectors.credit_card import CREDIT_CARD
from checkrein.masking.detectors.custom import CHECKSUMS, compile_custom, problem
from checkrein.masking.detectors.email import EMAIL
from checkrein.masking.detectors.iban import IBAN
from checkrein.masking.detectors.ip_address import IP_ADDRESS
from checkrein.masking.detectors.jwt import JWT
from checkrein.masking.detectors.phone import PHONE
from checkrein.masking.detectors.private_key import PRIVATE_KEY
from checkrein.masking.detectors.us_ssn import US_SSN

_KEYS = (
    JWT,
    PRIVATE_KEY,
    cloud_keys.AWS_KEY,
    cloud_keys.GCP_KEY,
    cloud_keys.AZURE_KEY,
    vendor_keys.GITHUB_TOKEN,
    vendor_keys.GITLAB_TOKEN,
    vendor_keys.SLACK_TOKEN,
    vendor_keys.STRIPE_KEY,
    vendor_keys.OPENAI_KEY,
)
_NAMED: dict[str, tuple[Detector, ...]] = {
    detector.name: (detector,) for detector in (CREDIT_CARD, US_SSN, IBAN, EMAIL, PHONE, IP_ADDRESS, *_KEYS)
} | {"api_key": (*_KEYS, vendor_keys.OTHER_KEY)}

KNOWN: tuple[str, ...] = tuple(_NAMED)
"""The names that `detect` in a policy may use, beside the policy's own detectors."""


def detectors_for(name: str, definition: CustomDetector | None) -> tuple[Detector, ...]:
    """Return the detectors behind one name; `api_key` is all keys and tokens. Raises ValueError for an unknown one."""
    if definition is not None:
        return (compile_custom(definition),)
    found = _NAMED.get(name)
    if found is None:
        raise ValueError(f"unknown detector {name!r}")
    return found


__all__ = ["CHECKSUMS", "KNOWN", "Detector", "Span", "detectors_for", "problem"]
