"""A labelled corpus for the detectors: cells that hold a value of a kind, and cells that hold none.

Written from the published numbering schemes (issuer prefixes and check digits computed here, ISO 13616 examples, NANP
and national telephone formats, the vendors' own token samples), not from the detectors' patterns: nothing here imports
them. Everything is made from one seeded generator, so figures repeat.
"""

from __future__ import annotations

import base64
import datetime
import hashlib
import ipaddress
import json
import random
import string
import uuid
from collections.abc import Callable, Iterator

SENTENCES = (
    "Customer called about {}, please update the record.",
    "{}",
    "ref: {}",
    "Paid with {} on Tuesday",
    "note=({}) closed",
    "Old value was '{}', new value pending",
    "see attachment; {} - confirmed by branch",
    "<td>{}</td>",
    '{{"note": "{}", "ok": true}}',
    "a,b,{},c",
    "Weitergeleitet: {} — bitte prüfen",
    "{}\nsecond line",
)


def _check_digit(body: str) -> str:
    """Luhn, written the long way round: double every second digit from the right, add the digits of the products."""
    total = 0
    for index, char in enumerate(body[::-1]):
        product = int(char) * (2 if index % 2 == 0 else 1)
        total += sum(int(digit) for digit in str(product))
    return str((10 - total % 10) % 10)


def _number(rng: random.Random, size: int) -> str:
    return "".join(rng.choice(string.digits) for _ in range(size))


def _word(rng: random.Random, size: int, letters: str = string.ascii_letters + string.digits) -> str:
    return "".join(rng.choice(letters) for _ in range(size))


PUBLISHED_CARDS = (
    "378282246310005 371449635398431 378734493671000 30569309025904 38520000023237 6011111111111117 6011000990139424 "
    "3530111333300000 3566002020360505 5555555555554444 5105105105105100 4111111111111111 4012888888881881 "
    "2223003122003222 5200828282828210 4242424242424242 4000056655665556 6200000000000005 6759649826438453"
).split()
BRANDS = (
    ("4", 16),
    ("51", 16),
    ("53", 16),
    ("55", 16),
    ("2300", 16),
    ("2699", 16),
    ("34", 15),
    ("37", 15),
    ("6011", 16),
)
BRANDS += (("65", 16), ("3530", 16), ("36", 14), ("62", 16), ("622202", 19), ("2202", 16))


def credit_card(rng: random.Random) -> str:
    """A published test number, or one with a brand's prefix and a computed check digit; in the notations people use."""
    if rng.random() < 0.2:
        number = rng.choice(PUBLISHED_CARDS)
    else:
        prefix, size = rng.choice(BRANDS)
        body = prefix + _number(rng, size - len(prefix) - 1)
        number = body + _check_digit(body)
    gap = rng.choice(("", "", " ", "-"))
    if len(number) == 15:
        return gap.join((number[:4], number[4:10], number[10:]))
    if len(number) == 14:
        return gap.join((number[:4], number[4:10], number[10:]))
    if len(number) == 16:
        return gap.join(number[place : place + 4] for place in range(0, 16, 4))
    return number


def us_ssn(rng: random.Random) -> str:
    area = rng.choice([*range(1, 666), *range(667, 900)])
    number = f"{area:03}-{rng.randint(1, 99):02}-{rng.randint(1, 9999):04}"
    form = rng.random()
    if form < 0.7:
        return number
    if form < 0.85:
        return rng.choice(("SSN ", "ssn: ", "SSN#", "Social Security number ")) + number.replace("-", "")
    return "SSN " + number.replace("-", " ")


IBAN_FORMS = {
    "DE": "n18",
    "GB": "a4n14",
    "FR": "n23",
    "NL": "a4n10",
    "ES": "n20",
    "IT": "a1n22",
    "CH": "n17",
    "AT": "n16",
}
IBAN_FORMS |= {"BE": "n12", "PL": "n24", "SE": "n20", "NO": "n11", "DK": "n14", "FI": "n14", "IE": "a4n14", "SA": "n20"}
PUBLISHED_IBANS = (
    "GB29NWBK60161331926819 DE89370400440532013000 FR1420041010050500013M02606 NL91ABNA0417164300 "
    "CH9300762011623852957 MT84MALT011000012345MTLCAST001S NO9386011117947 BR1800360305000010009795493C1 "
    "SA0380000000608010167519 "
    "KW81CBKU0000000000001234560101 IL620108000000099999999 AE070331234567890123456 TR330006100519786457841326"
).split()


def iban(rng: random.Random) -> str:
    if rng.random() < 0.2:
        number = rng.choice(PUBLISHED_IBANS)
    else:
        country = rng.choice(list(IBAN_FORMS))
        form = IBAN_FORMS[country]
        body = ""
        for piece in form.replace("n", " n").replace("a", " a").split():
            letters = string.digits if piece[0] == "n" else string.ascii_uppercase
            body += _word(rng, int(piece[1:]), letters)
        digits = "".join(str(int(char, 36)) for char in body + country + "00")
        number = f"{country}{98 - int(digits) % 97:02}{body}"
    if rng.random() < 0.4:
        return " ".join(number[place : place + 4] for place in range(0, len(number), 4))
    return number


NAMES = "ann bob.smith j_doe maría li.wei o'brien user+tag 7seas k.van-dijk info první 田中 x".split()
DOMAINS = "example.com mail.example.org corp.example.co.uk bücher.example a.io sub-domain.example.museum 163.com"
DOMAINS += " xn--d1acufc.xn--p1ai"


def email(rng: random.Random) -> str:
    return f"{rng.choice(NAMES)}{rng.choice(('', str(rng.randint(1, 99))))}@{rng.choice(DOMAINS.split())}"


def phone(rng: random.Random) -> str:
    area = rng.choice("201 212 305 415 512 604 702 808 917 972".split())
    rest = f"{rng.randint(220, 299)}", _number(rng, 4)
    forms: tuple[Callable[[], str], ...] = (
        lambda: f"({area}) {rest[0]}-{rest[1]}",
        lambda: f"{area}-{rest[0]}-{rest[1]}",
        lambda: f"{area}.{rest[0]}.{rest[1]}",
        lambda: f"+1 {area} {rest[0]} {rest[1]}",
        lambda: f"+1{area}{rest[0]}{rest[1]}",
        lambda: f"1-{area}-{rest[0]}-{rest[1]} ext. {rng.randint(10, 999)}",
        lambda: f"+44 20 7946 {_number(rng, 4)}",
        lambda: f"+49 (0)30 {_number(rng, 7)}",
        lambda: f"+33 1 {_number(rng, 2)} {_number(rng, 2)} {_number(rng, 2)} {_number(rng, 2)}",
        lambda: f"+91 98{_number(rng, 3)} {_number(rng, 5)}",
        lambda: f"+8613{_number(rng, 9)}",
        lambda: f"0041 44 {_number(rng, 3)} {_number(rng, 2)} {_number(rng, 2)}",
        lambda: f"phone {area}{rest[0]}{rest[1]}",
    )
    return rng.choice(forms)()


def ip_address(rng: random.Random) -> str:
    form = rng.random()
    if form < 0.6:
        return f"{rng.randint(1, 223)}.{rng.randint(0, 255)}.{rng.randint(0, 255)}.{rng.randint(1, 254)}"
    address = ipaddress.IPv6Address((0x20010DB8 << 96) | rng.getrandbits(90))
    if form < 0.8:
        return address.exploded
    return rng.choice(
        (str(address), f"fe80::{rng.getrandbits(16):x}:{rng.randint(1, 9)}", f"2a00:1450:{rng.randint(1, 99)}::5")
    )


def _segment(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def jwt(rng: random.Random) -> str:
    head = _segment({"alg": rng.choice(("RS256", "ES256", "HS256", "none")), "typ": "JWT", "kid": _word(rng, 6)})
    signature = base64.urlsafe_b64encode(rng.randbytes(64)).rstrip(b"=").decode()
    return f"{head}.{_segment({'sub': _word(rng, 8), 'exp': rng.randint(10**9, 2 * 10**9)})}.{signature}"


def private_key(rng: random.Random) -> str:
    kind = rng.choice(("", "RSA ", "EC ", "OPENSSH ", "ENCRYPTED "))
    body = base64.encodebytes(rng.randbytes(rng.randint(60, 300))).decode()
    return f"-----BEGIN {kind}PRIVATE KEY-----\n{body}-----END {kind}PRIVATE KEY-----"


BASE32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"


def aws_key(rng: random.Random) -> str:
    if rng.random() < 0.6:
        return rng.choice(("AKIA", "ASIA")) + _word(rng, 16, BASE32)
    secret = "aZ9" + _word(rng, 37, string.ascii_letters + string.digits + "/+")
    return rng.choice(("aws_secret_access_key = ", "AWS_SECRET_ACCESS_KEY=", "SecretAccessKey: ")) + secret


def gcp_key(rng: random.Random) -> str:
    return "AIza" + _word(rng, 35, string.ascii_letters + string.digits + "-_")


def azure_key(rng: random.Random) -> str:
    key = base64.b64encode(rng.randbytes(64)).decode()
    account = f"AccountName=acct{rng.randint(1, 99)};AccountKey={key}"
    return f"DefaultEndpointsProtocol=https;{account};EndpointSuffix=core.windows.net"


def github_token(rng: random.Random) -> str:
    if rng.random() < 0.3:
        return f"github_pat_{_word(rng, 22)}_{_word(rng, 59)}"
    return f"gh{rng.choice('pousr')}_{_word(rng, 36)}"


def gitlab_token(rng: random.Random) -> str:
    return f"{rng.choice(('glpat', 'gldt', 'glrt'))}-{_word(rng, 20)}"


def slack_token(rng: random.Random) -> str:
    if rng.random() < 0.3:
        return f"https://hooks.slack.com/services/T{_word(rng, 8, BASE32)}/B{_word(rng, 8, BASE32)}/{_word(rng, 24)}"
    return f"xox{rng.choice('bpar')}-{_number(rng, 12)}-{_number(rng, 12)}-{_word(rng, 24)}"


def stripe_key(rng: random.Random) -> str:
    return f"{rng.choice(('sk', 'rk'))}_{rng.choice(('live', 'test'))}_{_word(rng, rng.choice((24, 99)))}"


def openai_key(rng: random.Random) -> str:
    if rng.random() < 0.5:
        return f"sk-{_word(rng, 20)}T3BlbkFJ{_word(rng, 20)}"
    return f"sk-proj-{_word(rng, 60, string.ascii_letters + string.digits + '-_')}x"


def api_key(rng: random.Random) -> str:
    forms: tuple[Callable[[random.Random], str], ...] = (
        github_token,
        slack_token,
        jwt,
        lambda rng: f"npm_{_word(rng, 36)}",
        lambda rng: f"SG.{_word(rng, 22)}.{_word(rng, 43)}",
        lambda rng: f"api_key={_word(rng, 32)}",
        lambda rng: f"X-Api-Key: {_word(rng, 40, '0123456789abcdef')}",
        lambda rng: f"Authorization: Bearer {_word(rng, 40)}",
        lambda rng: f"hf_{_word(rng, 34)}",
    )
    return rng.choice(forms)(rng)


MAKERS: dict[str, Callable[[random.Random], str]] = {
    maker.__name__: maker
    for maker in (
        credit_card,
        us_ssn,
        iban,
        email,
        phone,
        ip_address,
        jwt,
        private_key,
        aws_key,
        gcp_key,
        azure_key,
        github_token,
        gitlab_token,
        slack_token,
        stripe_key,
        openai_key,
        api_key,
    )
}


def positives(name: str, count: int, seed: int = 1) -> Iterator[str]:
    """Yield cells that each hold one value of the named kind, bare or inside a sentence."""
    rng = random.Random(f"{name}/{seed}")
    for _ in range(count):
        value = MAKERS[name](rng)
        sentence = rng.choice(SENTENCES)
        if sentence.startswith("{{"):
            value = json.dumps(value)[1:-1]
        yield sentence.format(value)


def _moment(rng: random.Random) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(rng.randint(1_000_000_000, 1_900_000_000), datetime.UTC)


NEGATIVES: dict[str, Callable[[random.Random], str]] = {
    "order_number": lambda rng: (
        f"{rng.choice(('ORD-', 'SO', '#', 'INV/2024/', ''))}{_number(rng, rng.choice((6, 8, 9, 10, 11)))}"
    ),
    "order_dashed": lambda rng: f"{_number(rng, 3)}-{_number(rng, 7)}-{_number(rng, 7)}",
    "order_dated": lambda rng: f"{_moment(rng):%Y%m%d}-{_number(rng, 6)}",
    "epoch_ms": lambda rng: str(rng.randint(946_684_800_000, 1_999_999_999_999)),
    "epoch_us": lambda rng: str(rng.randint(1_000_000_000_000_000, 1_999_999_999_999_999)),
    "timestamp": lambda rng: f"{_moment(rng):%Y-%m-%d %H:%M:%S}.{_number(rng, 6)}+00",
    "timestamp_iso": lambda rng: f"{_moment(rng):%Y-%m-%dT%H:%M:%S}.{_number(rng, 3)}Z",
    "compact_date": lambda rng: f"{_moment(rng):%Y%m%d%H%M%S}{_number(rng, 3)}",
    "uuid": lambda rng: str(uuid.UUID(int=rng.getrandbits(128), version=4)),
    "md5": lambda rng: hashlib.md5(rng.randbytes(9)).hexdigest(),
    "sha1": lambda rng: hashlib.sha1(rng.randbytes(9)).hexdigest(),
    "sha256": lambda rng: hashlib.sha256(rng.randbytes(9)).hexdigest(),
    "sha256_base64": lambda rng: base64.b64encode(rng.randbytes(32)).decode(),
    "price": lambda rng: f"{rng.choice(('', '$', '€ ', 'USD '))}{rng.randint(0, 99_999):,}.{_number(rng, 2)}",
    "float": lambda rng: repr(rng.random() * 10 ** rng.randint(-3, 6)),
    "serial": lambda rng: f"{_word(rng, 2, string.ascii_uppercase)}{_number(rng, 10)}",
    "serial_dashed": lambda rng: "-".join(_word(rng, 5, BASE32) for _ in range(5)),
    "imei": lambda rng: f"35{_number(rng, 13)}",
    "snowflake": lambda rng: str((rng.randint(300_000_000_000, 430_000_000_000) << 22) | rng.getrandbits(22)),
    "version": lambda rng: f"v{rng.randint(0, 30)}.{rng.randint(0, 40)}.{rng.randint(0, 99)}",
    "ean13": lambda rng: f"978{_number(rng, 10)}",
    "tracking": lambda rng: f"1Z{_word(rng, 6, BASE32)}{_number(rng, 10)}",
    "mac": lambda rng: ":".join(f"{rng.getrandbits(8):02x}" for _ in range(6)),
    "sku": lambda rng: (
        f"{_word(rng, 3, string.ascii_uppercase)}-{_number(rng, 4)}-{_word(rng, 2, string.ascii_uppercase)}"
    ),
    "coordinates": lambda rng: f"{rng.uniform(-90, 90):.6f}, {rng.uniform(-180, 180):.6f}",
    "prose": lambda rng: (
        f"Meeting at {rng.randint(1, 12)}:{rng.randint(10, 59)} in room {_number(rng, 3)}, bring @{_word(rng, 5)} notes"
    ),
    "path": lambda rng: f"/var/log/{_word(rng, 8)}/{rng.randint(1, 9999)}.log",
    "code": lambda rng: f"std::{_word(rng, 6, string.ascii_lowercase)}<int>::{_word(rng, 4, 'abcdef')}()",
}


def negatives(name: str, count: int, seed: int = 1) -> Iterator[str]:
    """Yield cells of a class that holds nothing to mask."""
    rng = random.Random(f"{name}/{seed}")
    for _ in range(count):
        yield NEGATIVES[name](rng)
