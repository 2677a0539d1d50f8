"""Internet addresses, version 4 in dotted decimal and version 6 in RFC 4291 text form."""

from __future__ import annotations

import ipaddress
import re

from checkrein.masking.detectors.base import Detector, Sign, Span

_OCTET = rb"(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_V4 = re.compile(
    rb"(?:(?<![0-9A-Za-z.])|(?<=\\[nrt]))" + _OCTET + rb"(?:\." + _OCTET + rb"){3}(?![0-9A-Za-z])(?!\.[0-9])"
)
_V6 = re.compile(rb"(?<![0-9A-Za-z:.])[0-9A-Fa-f:]{2,39}(?:\.[0-9.]{5,11})?(?![0-9A-Za-z:])")
_VERSION_BEFORE = re.compile(rb"(?i)(?:version|ver\.?|release|rev|build|v|firmware|@)[ =:]{0,2}\Z")


def _is_v4(value: bytes, start: int, end: int) -> bool:
    if value[start:end] in (b"0.0.0.0", b"127.0.0.1", b"255.255.255.255"):
        return False
    return _VERSION_BEFORE.search(value, max(0, start - 12), start) is None


def _is_v6(text: bytes) -> bool:
    """Say whether a run is an address with something to hide: not `::`, not `::1`, not two names joined by `::`."""
    if text.count(b":") < 2 or len([group for group in text.split(b":") if group]) < 2:
        return False
    if not any(48 <= byte <= 57 for byte in text):
        return False
    try:
        ipaddress.IPv6Address(text.decode("ascii"))
    except ValueError:
        return False
    return True


def find(value: bytes, near: bool) -> list[Span]:
    """Return extents. Loopback and the unspecified address tell nothing and are left."""
    spans = [match.span() for match in _V4.finditer(value) if _is_v4(value, match.start(), match.end())]
    spans += [match.span() for match in _V6.finditer(value) if _is_v6(match.group())]
    return spans


IP_ADDRESS = Detector(
    name="ip_address",
    shape="ip",
    find=find,
    signs=(
        Sign(rb"[0-9]\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]", needle=b"."),
        Sign(rb"(?:[0-9A-Fa-f]{1,4}:){6}[0-9A-Fa-f]", needle=b":"),
        Sign(rb"[0-9A-Fa-f]::", needle=b":"),
        Sign(rb"::[0-9A-Fa-f]{1,4}[:.]", needle=b":"),
    ),
)
