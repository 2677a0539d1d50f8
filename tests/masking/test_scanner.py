"""Findings in structured values: JSON, arrays, composites, byte strings, numbers (PG-B18, PG-B19)."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from checkrein.core import limits
from checkrein.core.verdict import CustomDetector
from checkrein.masking.detectors import KNOWN, detectors_for
from checkrein.masking.recognise import SHORT_NUMBER
from tests.masking.support import rewritten, scanner, stage_two

CARD = "4111111111111111"
ALL = ("credit_card", "us_ssn", "email", "phone", "iban", "private_key")


@pytest.mark.parametrize(
    "cell",
    [
        '{"a":{"b":[1,{"c":"4111111111111111"}]}}',
        '{"a":"\\u0034111111111111111"}',
        '{"a":"4111\\u00201111\\u00201111\\u00201111"}',
        '{"4111111111111111":true}',
        '{"a":4111111111111111}',
        '{"a":"{\\"b\\":\\"4111111111111111\\"}"}',
        '{"a":"{\\"b\\":\\"\\\\u0034111111111111111\\"}"}',
        '"4111 1111 1111 1111"',
        '["x\\n4111111111111111"]',
    ],
)
def test_json_at_any_depth(cell: str) -> None:
    """A card in a JSON string, key, number, escape or nested text does not come back, and the JSON stays JSON."""
    out = rewritten(scanner(*ALL), cell, "json")
    assert out is not None and out != cell
    assert CARD not in json.dumps(json.loads(out)).replace(" ", "") and "u0034" not in out


def test_json_keeps_every_other_byte() -> None:
    """White space, number spelling and duplicate keys stay; only the found string is written anew."""
    out = rewritten(
        scanner("email", strategy="redact", text="X"), '{ "a" : 1.0e5,"a":"b@c.org" ,"z":"\\u00e9"}', "json"
    )
    assert out == '{ "a" : 1.0e5,"a":"X" ,"z":"\\u00e9"}'


def test_json_key_gives_context() -> None:
    """Nine bare digits are an SSN under a key that says so, and an order number elsewhere."""
    out = rewritten(
        scanner("us_ssn", strategy="null"), '{"ssn":"219099999","order":"219099999","SSN":219099999}', "json"
    )
    assert out == '{"ssn":null,"order":"219099999","SSN":null}'


@pytest.mark.parametrize(
    ("cell", "kind"),
    [
        ('{"a b",NULL,4111111111111111}', "array"),
        ('{{"x 4111-1111-1111-1111","\\"q\\""},{a,b}}', "array"),
        ("[2:3]={4111111111111111,x}", "array"),
        ('(1,"say ""4111111111111111""",,t)', "composite"),
        ('{"(1,\\"4111 1111 1111 1111\\")"}', "array"),
        ('("{a,4111111111111111}",2)', "composite"),
        ('{"{\\"k\\": \\"\\\\u0034111111111111111\\"}"}', "array"),
        ('{"\\\\x34313131313131313131313131313131"}', "array"),
        ("\\x63617264203431313131313131313131313131313120", "bytes"),
        ("card 4111111111111111\\000", "bytes"),
    ],
)
def test_elements(cell: str, kind: str) -> None:
    """A card in an array, composite or byte string, up to two levels deep, does not come back."""
    out = rewritten(scanner(*ALL), cell, kind)
    assert out is not None and out != cell
    assert CARD not in out and "34313131" not in out and "u0034" not in out
    assert out.count(",") == cell.count(",")


def test_null_element_and_untouched_bytes() -> None:
    """A found element becomes NULL in an array and empty in a composite."""
    scan = scanner("email", strategy="null")
    assert rewritten(scan, '{a,b@c.org,"d e"}', "array") == '{a,NULL,"d e"}'
    assert rewritten(scan, '(a,b@c.org,"d e")', "composite") == '(a,,"d e")'


def test_integers() -> None:
    """Of whole numbers only cards count; other kinds where the column's name says so; a token is a whole number too."""
    scan = scanner(*ALL)
    assert scan.rewrite(b"1700000000000", "id", "integer", {}) == b"1700000000000"
    assert scan.rewrite(b"219099999", "id", "integer", {}) == b"219099999"
    masked = scan.rewrite(b"4111111111111111", "id", "integer", {})
    assert masked is not None and masked.isdigit() and masked != b"4111111111111111"
    named = scanner(*ALL, column="customer_ssn")
    assert named.hit(b"219099999")
    ssn = named.rewrite(b"219099999", "customer_ssn", "integer", {})
    assert ssn is not None and ssn.isdigit() and ssn != b"219099999"
    assert scanner("credit_card", strategy="redact").rewrite(b"4111111111111111.00", "n", "numeric", {}) == b"0"
    assert scanner("credit_card", strategy="hash").rewrite(b"4111111111111111", "n", "integer", {}) is None


def test_other_kinds_become_null_or_stay() -> None:
    """A kind whose syntax is not known becomes NULL when something is found; uuid, boolean, timestamp are not read."""
    scan = scanner("ip_address", "credit_card")
    assert scan.rewrite(b"10.1.2.3", "c", "other", {}) is None
    value = b"4111111111111111"
    assert scan.rewrite(value, "c", "uuid", {}) is value


def test_counts_and_identity() -> None:
    """Findings are counted by detector; a value without any comes back as the same object."""
    counts: dict[str, int] = {}
    scan = scanner("email", "credit_card")
    value = b"nothing @ here"
    assert scan.rewrite(value, "c", "text", counts) is value and counts == {}
    scan.rewrite(b"a@b.org, c@d.org 4111 1111 1111 1111", "c", "text", counts)
    assert counts == {"email": 2, "credit_card": 1}


def test_private_key_cut_short() -> None:
    """A key block without its last line is masked to the end of the value."""
    out = rewritten(scanner("private_key", strategy="redact"), "x -----BEGIN RSA PRIVATE KEY-----\nMIIabc")
    assert out == "x [redacted]"


def test_custom_detector() -> None:
    """A policy's own pattern with checksum and context words; stage one hits it without its word borders."""
    luhn = CustomDetector(name="employee", pattern=r"\bE-[0-9]{7}\b", checksum="luhn", near=("employee",))
    scan = scanner(custom=luhn, strategy="redact", text="X")
    assert scan.hit(b"9E-7992739871") and not scan.hit(b"E-12345")
    assert rewritten(scan, "employee E-1234566 and E-1234567") == "employee X and E-1234567"
    assert rewritten(scan, "part E-1234566") == "part E-1234566"
    assert rewritten(scan, '{"employee_no":"E\\u002d1234566"}', "json") == '{"employee_no":"X"}'
    words = CustomDetector(name="projects", words=("bluebird", "night.jar"))
    assert rewritten(scanner(custom=words, strategy="redact"), "Bluebird, nightXjar") == "[redacted], nightXjar"


@settings(max_examples=300, deadline=None)
@given(st.lists(st.binary(max_size=20), max_size=4), st.data())
def test_stage_one_under_any_neighbours(around: list[bytes], data: st.DataObject) -> None:
    """Property: what stage two finds is pointed at whatever stands around it, in its own cell and in others."""
    scan = scanner(*ALL)
    value = data.draw(st.sampled_from(VALUES))
    own = data.draw(st.binary(max_size=6)) + value + data.draw(st.binary(max_size=6))
    cells = [*around, own]
    chunk = b"\n".join(cells)
    places = scan.places(chunk)
    start = len(chunk) - len(own)
    if stage_two(scan, own) is not own:
        assert scan.hit(chunk)
        assert places is None or any(start < place <= len(chunk) for place in places)
    alone = b"\n".join([*around, value, *around])
    assert scan.hit(alone)


VALUES = (
    b"4111111111111111",
    b"3782-822463-10005",
    b"219-09-9999",
    b"a@b.org",
    b"+442079460000",
    b"GB29NWBK60161331926819",
    b"415-555-0134",
    b"(415) 555-0134",
    b"4111 1111 1111 1111",
    b"3056 930902 5904",
    b"4111\xc2\xa01111\xe2\x80\x911111\xe2\x88\x921111",
)


@given(st.lists(st.sampled_from(["a-1", "x\ny", "bird\ncage", "b", "", "1\n", "birdcage"]), max_size=8))
def test_places_of_a_pattern_that_reaches_over_lines(cells: list[str]) -> None:
    """A policy's own pattern may match across cells: every cell that such a match touches is pointed at."""
    scan = scanner(custom=CustomDetector(name="own", pattern=r"b[a-z]*\s*[a-z]*e|a-[0-9]\s*b?"), strategy="redact")
    values = [cell.encode() for cell in cells]
    places = scan.places(b"\n".join(values))
    start = 0
    for value in values:
        stop = start + len(value)
        if scan.rewrite(value, "c", "text", {}) is not value:
            assert places is None or any(start < place <= stop for place in places)
        start = stop + 1


@given(st.sampled_from(KNOWN), st.integers(0, 10**19 - 1))
def test_no_detector_takes_fewer_digits_than_it_says(name: str, number: int) -> None:
    """Without a name that gives context a whole number below `least_digits` is nothing to any detector."""
    digits = b"%d" % number
    for detector in detectors_for(name, None):
        if not detector.least_digits or len(digits) < detector.least_digits:
            assert not detector.is_number(digits, False)


def test_integers_are_read_where_they_could_be_something() -> None:
    """Ten digits are no card; under a name that says SSN they may be one; without such detectors nothing is."""
    scan = scanner("credit_card", "us_ssn")
    assert not scan.takes_integers("id", 10) and scan.takes_integers("id", 19)
    assert scan.takes_integers("customer_ssn", 10)
    assert not scanner("email").takes_integers("id", 19)


@settings(max_examples=150, deadline=None)
@given(
    st.text(max_size=80),
    st.sampled_from(["text", "json", "array", "composite", "bytes", "other", "integer", "numeric"]),
)
def test_never_raises_and_agrees_with_stage_one(text: str, kind: str) -> None:
    """Property: any text of any kind is answered, and where stage one says no, stage two finds nothing."""
    scan = scanner(*ALL)
    value = text.encode("utf-8", "replace")
    out = scan.rewrite(value, "c", kind, {})
    assert scan.hit(value) or out is value


def test_a_flood_of_matches_is_read_whole() -> None:
    """Stage one gives up on a value of nothing but beginnings, and takes everything for suspicious."""
    scan = scanner("email", "us_ssn")
    flood = b"a@b" * (limits.STAGE_ONE_REPORTS + 1)
    assert scan.places(flood) is None and scan.hit(flood)
    assert rewritten(scan, "219-09-9999 " + flood.decode()) != "219-09-9999 " + flood.decode()


def test_long_values_take_linear_time() -> None:
    """A megabyte of what looks like the beginning of a value is read without backtracking over it."""
    scan = scanner(*ALL, "jwt", "ip_address", "api_key")
    for piece in (
        b"4",
        b"a",
        b"4-",
        b"+1 ",
        b"@a.",
        b"eyJ",
        b"1.",
        b"a:",
        b"GB29 ",
        b"{",
        b"-----BEGIN PRIVATE KEY",
        b'"\\u0034',
        b"sk-",
    ):
        scan.rewrite(piece * (300_000 // len(piece)), "c", "text", {})


@pytest.mark.parametrize("name", KNOWN)
def test_short_numbers_are_nothing(name: str) -> None:
    """Stage one answers for numbers of few digits without looking: no detector may find anything in one."""
    for detector in detectors_for(name, None):
        for number in [*range(1000), *range(1000, 10**SHORT_NUMBER, 997)]:
            for text in (b"%d" % number, b"%06d" % number):
                assert not detector.find(text, False) and not detector.is_number(text, False)


def test_short_numbers_of_custom_detectors_are_looked_at() -> None:
    """A policy's own detector may look for short numbers."""
    own = CustomDetector(name="badge", pattern="[0-9]{5}")
    assert rewritten(scanner(custom=own), "12345") != "12345"
