"""Keyed stand-ins for values: HMAC-SHA256 under keys derived from the deployment key, in the shape of the kind.

A token is never a value that could be somebody's: cards begin with 9 and fail Luhn, SSN-like ones have an area of
9xx and a group no ITIN uses, telephone numbers an area or country code that is not assigned, IBANs the country XX,
addresses lie in reserved networks (RFC 2606, RFC 1112 class E, RFC 3849). Shapes made of few digits have few
tokens (SSN: 49 million), so two values may share one.
"""

from __future__ import annotations

import hmac
import ipaddress
import re
from collections.abc import Callable

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from checkrein.core.identity import Principal
from checkrein.masking.detectors.base import luhn, only_digits

_UUID = re.compile(rb"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_EMAIL = re.compile(rb"[^@\s]{1,256}@[^@\s]+\.[^@\s]+")
_NUMBER = re.compile(rb"\+?[0-9][0-9 ().-]*")
_FULL_WIDTHS = frozenset((5, 10, 19))
"""Digits of the largest 2-, 4- and 8-byte integers: a token of that length begins with 1 so that it fits."""


def derive(key: bytes, label: str) -> bytes:
    """Return the 32-byte sub-key of a label (HKDF-SHA256, RFC 5869)."""
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=b"checkrein masking: " + label.encode()).derive(key)


def principal_key(key: bytes, principal: Principal) -> bytes:
    """Return a sub-key that only this principal's tokens are made under."""
    parts = (principal.issuer.encode(), principal.subject.encode())
    return hmac.digest(key, b"".join(len(part).to_bytes(4, "big") + part for part in parts), "sha256")


def hexed(key: bytes, label: bytes, value: bytes, size: int) -> bytes:
    """Return the first `size` hex digits (at most 64) of the MAC over a label and a value."""
    return hmac.digest(key, label + b"\0" + value, "sha256").hex()[:size].encode()


def _number(key: bytes, label: bytes, value: bytes) -> int:
    return int.from_bytes(hmac.digest(key, label + b"\0" + value, "sha512"), "big")


def _digits(key: bytes, label: bytes, value: bytes, size: int) -> bytes:
    """Return `size` pseudo-random digits. 512 bits carry 150 of them; more are made of further blocks."""
    out = b""
    while len(out) < size:
        block = _number(key, label + len(out).to_bytes(4, "big"), value)
        out += str(block % 10**100).rjust(100, "0").encode()
    return out[:size]


def _pour(template: bytes, digits: bytes) -> bytes:
    """Return a template with its digits replaced, in order; separators stay."""
    source = iter(digits)
    return bytes(next(source) if 48 <= byte <= 57 else byte for byte in template)


def card(key: bytes, value: bytes) -> bytes:
    """Return digits of the same length and grouping that begin with 9 and fail Luhn."""
    plain = only_digits(value)
    digits = b"9" + _digits(key, b"card", plain, len(plain) - 1)
    if luhn(digits):
        digits = digits[:-1] + (b"0" if digits[-1:] == b"9" else bytes((digits[-1] + 1,)))
    return _pour(value, digits)


def ssn(key: bytes, value: bytes) -> bytes:
    """Return nine digits in the same grouping: area 900-999, group 01-49."""
    number = _number(key, b"ssn", only_digits(value).rjust(9, b"0"))
    digits = f"{900 + number % 100}{1 + number // 100 % 49:02}{number // 4900 % 10000:04}".encode()
    template = value if len(only_digits(value)) == 9 else b"000000000"
    return _pour(template, digits)


def phone(key: bytes, value: bytes) -> bytes:
    """Return the same notation with digits that no plan assigns: +999..., or an area code that begins with 0."""
    plain = only_digits(value)
    digits = _digits(key, b"phone", plain, len(plain))
    head = b"999" if value.startswith(b"+") else b"0"
    return _pour(value, head + digits[len(head) :])


def iban(key: bytes, value: bytes) -> bytes:
    """Return the same length and grouping with the country XX and digits only."""
    plain = re.sub(rb"[^A-Z0-9]", b"", value)
    digits = iter(b"XX" + _digits(key, b"iban", plain, len(plain)))
    return bytes(next(digits) if chr(byte).isalnum() and byte < 128 else byte for byte in value)


def email(key: bytes, value: bytes) -> bytes:
    """Return an address at `masked.example`."""
    return b"u" + hexed(key, b"email", value.lower(), 16) + b"@masked.example"


def ip(key: bytes, value: bytes) -> bytes:
    """Return an address of the reserved class E, or of the IPv6 documentation network."""
    text = value.decode("ascii")
    if b":" not in value:
        number = _number(key, b"ip", value)
        return str(ipaddress.IPv4Address(0xF0000000 | number % 0x0FFFFFFF)).encode()
    number = _number(key, b"ip", ipaddress.IPv6Address(text).packed)
    return str(ipaddress.IPv6Address(0x20010DB8 << 96 | number % (1 << 96))).encode()


def uuid(key: bytes, value: bytes) -> bytes:
    """Return a version 8 UUID (RFC 9562)."""
    digest = bytearray(hmac.digest(key, b"uuid\0" + value.lower(), "sha256")[:16])
    digest[6] = digest[6] & 0x0F | 0x80
    digest[8] = digest[8] & 0x3F | 0x80
    text = digest.hex()
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:])).encode()


def whole(key: bytes, value: bytes) -> bytes:
    """Return a number with as many digits, no leading zero, that fits the same integer type; the sign is dropped."""
    plain = only_digits(value)
    digits = _digits(key, b"whole", plain, len(plain))
    head = b"1" if len(plain) in _FULL_WIDTHS else b"%d" % (1 + digits[0] % 9)
    return _pour(value.lstrip(b"-"), head + digits[1:])


def text(key: bytes, value: bytes) -> bytes:
    """Return `tok_` and 24 hex digits."""
    return b"tok_" + hexed(key, b"text", value, 24)


def like(key: bytes, value: bytes) -> bytes:
    """Return a token in the shape that the value itself shows: e-mail, UUID, digits with separators, else text."""
    if _UUID.fullmatch(value):
        return uuid(key, value)
    if _EMAIL.fullmatch(value):
        return email(key, value)
    if _NUMBER.fullmatch(value):
        plain = only_digits(value)
        return _pour(value, _digits(key, b"number", plain, len(plain)))
    return text(key, value)


SHAPES: dict[str, Callable[[bytes, bytes], bytes]] = {
    "card": card,
    "ssn": ssn,
    "phone": phone,
    "iban": iban,
    "email": email,
    "ip": ip,
    "uuid": uuid,
    "integer": whole,
    "text": text,
    "key": text,
    "like": like,
}
"""How a token looks, by shape. Each takes a key and a value and never returns quotes, backslashes or control bytes."""
