"""Keys of the three large clouds, by the prefixes and markers that their makers publish."""

from __future__ import annotations

import re

from checkrein.masking.detectors.base import Detector, Find, Sign, Span, by_pattern, in_context

_AWS_NEAR_SOURCE = rb"(?i)secret[ _-]?access[ _-]?key|aws[ _-]?secret|aws[ _-]?session"
_AWS_NEAR = re.compile(_AWS_NEAR_SOURCE)
_AWS_SECRET = re.compile(rb"(?<![A-Za-z0-9/+])[A-Za-z0-9/+]{40}(?![A-Za-z0-9/+=])")
_AWS_PREFIXED = by_pattern(
    rb"(?:AKIA|ASIA|ABIA|ACCA|A3T[A-Z0-9])[A-Z2-7]{16}(?![A-Z0-9])",
    rb"(?:FwoGZXIvYXdz|IQoJb3JpZ2lu)[A-Za-z0-9/+=]{60,}",
    rb"ABSK[A-Za-z0-9+/]{100,}={0,2}",
)


def _mixed(secret: bytes) -> bool:
    """Say whether a run has capitals, small letters and digits: a SHA-1 in hex, also 40 long, has not."""
    return bool(re.search(rb"[A-Z]", secret) and re.search(rb"[a-z]", secret) and re.search(rb"[0-9]", secret))


def _find_aws(value: bytes, near: bool) -> list[Span]:
    spans = _AWS_PREFIXED(value, near)
    for match in _AWS_SECRET.finditer(value):
        start, end = match.span()
        if _mixed(match.group()) and (near or in_context(_AWS_NEAR, value, start, end)):
            spans.append((start, end))
    return spans


AWS_KEY = Detector(
    name="aws_key",
    shape="key",
    find=_find_aws,
    stage_one=(
        rb"(?:AKIA|ASIA|ABIA|ACCA|A3T[A-Z0-9])[A-Z2-7]{16}",
        rb"FwoGZXIvYXdz|IQoJb3JpZ2lu|ABSK[A-Za-z0-9+/]{8}",
        _AWS_NEAR_SOURCE,
    ),
    near=_AWS_NEAR,
    near_columns=re.compile(rb" (?:secret|aws) "),
    near_stage_one=(rb"(?:[A-Za-z0-9/+]|\\/){40}",),
)

GCP_KEY = Detector(
    name="gcp_key",
    shape="key",
    find=by_pattern(
        rb"AIza[0-9A-Za-z_-]{35}(?![0-9A-Za-z_-])",
        rb"(?<![0-9A-Za-z])ya29\.[0-9A-Za-z_-]{20,}(?:\.[0-9A-Za-z_-]+)*",
        rb"GOCSPX-[0-9A-Za-z_-]{28}",
        rb"(?<![0-9A-Za-z])1//0[0-9A-Za-z_-]{40,}",
    ),
    stage_one=(
        rb"AIza[0-9A-Za-z_-]{35}",
        rb"ya29\.[0-9A-Za-z_-]{8}",
        rb"GOCSPX-[0-9A-Za-z_-]{8}",
        rb"1(?:\\?/){2}0[0-9A-Za-z_-]{8}",
    ),
)

_AZURE: Find = by_pattern(
    rb"(?i:AccountKey|SharedAccessKey|AccessKey)=([A-Za-z0-9+/]{40,88}={0,2})",
    rb"(?<![A-Za-z0-9+/])[A-Za-z0-9+/]{86}==",
    rb"(?<![A-Za-z0-9~._-])[A-Za-z0-9~._-]{3}[78]Q~[A-Za-z0-9~._-]{31,34}(?![A-Za-z0-9~_-])",
    rb"[?&;]sig=([A-Za-z0-9%/+]{42,64}(?:%3[Dd]|=))",
    rb"(?<![A-Za-z0-9])[A-Za-z0-9]{52}JQQJ99[A-Za-z0-9]{26}(?![A-Za-z0-9])",
    rb"(?<![A-Za-z0-9])[A-Za-z0-9]{76}AZDO[A-Za-z0-9]{4}(?![A-Za-z0-9])",
)

AZURE_KEY = Detector(
    name="azure_key",
    shape="key",
    find=_AZURE,
    stage_one=(
        rb"(?i)(?:AccountKey|AccessKey)=",
        rb"sig=[A-Za-z0-9%/+\\]{8}",
        rb"JQQJ99|AZDO",
    ),
    signs=(
        Sign(rb"(?:[A-Za-z0-9+/]|\\/){40}==", needle=b"=="),
        Sign(rb"[78]Q~[A-Za-z0-9~._-]{8}", needle=b"Q~"),
    ),
)
