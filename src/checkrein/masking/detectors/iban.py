"""International bank account numbers (ISO 13616): country, exact length, structure, MOD 97-10 check."""

from __future__ import annotations

import re

from checkrein.masking.detectors.base import LEFT, RIGHT, Detector, Span, any_of, mod97

# Country and the structure of its account number, in SWIFT's notation (n digits, a upper-case letters, c either).
STRUCTURES: dict[str, str] = dict(
    entry.split(":")
    for entry in (
        "AD:8n12c AE:19n AL:8n16c AT:16n AZ:4a20c BA:16n BE:12n BG:4a6n8c BH:4a14c BI:23n BR:23n1a1c "
        "BY:4c4n16c CH:5n12c CR:18n CY:8n16c CZ:20n DE:18n DJ:23n DK:14n DO:4c20n EE:16n EG:25n ES:20n FI:14n "
        "FK:2a12n FO:14n FR:10n11c2n GB:4a14n GE:2a16n GI:4a15c GL:14n GR:7n16c GT:4c20c HN:4a20n HR:17n "
        "HU:24n IE:4a14n IL:19n IQ:4a15n IS:22n IT:1a10n12c JO:4a4n18c KW:4a22c KZ:3n13c LB:4n20c LC:4a24c "
        "LI:5n12c LT:16n LU:3n13c LV:4a13c LY:21n MC:10n11c2n MD:2c18c ME:18n MK:3n10c2n MN:16n MR:23n "
        "MT:4a5n18c MU:4a19n3a NI:4a20n NL:4a10n NO:11n OM:3n16c PK:4a16c PL:24n PS:4a21c PT:21n QA:4a21c "
        "RO:4a16c RS:18n RU:14n15c SA:2n18c SC:4a20n3a SD:14n SE:20n SI:15n SK:20n SM:1a10n12c SO:19n ST:21n "
        "SV:4a20n TL:19n TN:20n TR:6n16c UA:6n19c VA:18n VG:4a16n XK:16n YE:4a4n18c "
    ).split()
)

_PIECE = re.compile(r"([0-9]+)([nac])")
_CLASS = {"n": "[0-9]", "a": "[A-Z]", "c": "[A-Z0-9]"}
_BODY: dict[bytes, re.Pattern[bytes]] = {
    country.encode(): re.compile(
        "".join(f"{_CLASS[kind]}{{{count}}}" for count, kind in _PIECE.findall(structure)).encode()
    )
    for country, structure in STRUCTURES.items()
}
LENGTHS: dict[bytes, int] = {
    country.encode(): 4 + sum(int(count) for count, _ in _PIECE.findall(structure))
    for country, structure in STRUCTURES.items()
}
_START = re.compile(LEFT + any_of(STRUCTURES) + rb"(?=[0-9]{2})")
_COMPACT = re.compile(rb"[A-Z0-9]+" + RIGHT)
_GAP = rb"(?:[ -]|\xc2\xa0|\xe2\x80[\x90-\x95\xaf])"
_GROUPED = re.compile(
    rb"[A-Z]{2}[0-9]{2}(?:" + _GAP + rb"[A-Z0-9]{4}){2,8}(?:" + _GAP + rb"[A-Z0-9]{1,3}(?![A-Za-z0-9]))?"
)
_NOT_ALNUM = re.compile(rb"[^A-Z0-9]+")


def is_iban(compact: bytes) -> bool:
    """Say whether upper-case letters and digits without gaps are a number."""
    country = compact[:2]
    if LENGTHS.get(country) != len(compact) or _BODY[country].fullmatch(compact, 4) is None:
        return False
    return mod97(compact[4:] + compact[:4])


def _grouped_end(value: bytes, start: int) -> int:
    """Return where an IBAN written in groups of four ends, or 0. Words of four letters may follow it."""
    match = _GROUPED.match(value, start)
    if match is None:
        return 0
    wanted = LENGTHS[value[start : start + 2]]
    seen = 0
    for place in range(start, match.end()):
        seen += 48 <= value[place] <= 57 or 65 <= value[place] <= 90
        if seen == wanted:
            end = place + 1
            return end if is_iban(_NOT_ALNUM.sub(b"", value[start:end])) else 0
    return 0


def find(value: bytes, near: bool) -> list[Span]:
    """Return extents, written compactly or in groups of four."""
    spans: list[Span] = []
    for match in _START.finditer(value):
        start = match.start()
        compact = _COMPACT.match(value, start)
        if compact is not None and is_iban(compact.group()):
            spans.append((start, compact.end()))
            continue
        end = _grouped_end(value, start)
        if end:
            spans.append((start, end))
    return spans


IBAN = Detector(
    name="iban",
    shape="iban",
    find=find,
    stage_one=(
        any_of(STRUCTURES) + rb"[0-9]{2}[A-Z0-9]{11}",
        any_of(STRUCTURES) + rb"[0-9]{2}" + _GAP + rb"[A-Z0-9]{4}" + _GAP + rb"[A-Z0-9]{4}",
    ),
)
