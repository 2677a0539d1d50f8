"""What each column of a result set owes, and what the strategies make of a value."""

from __future__ import annotations

import re

import pytest

from checkrein.core.maskplan import ColumnInfo
from checkrein.core.statement import Origin
from checkrein.core.verdict import DetectDuty, MaskDuty, Obligations, Refusal
from checkrein.masking import tokens
from checkrein.masking.detectors.base import luhn, only_digits
from checkrein.masking.plan import Masker
from tests.masking.support import ANN, BOB, MASKER, detects, planned

SSN = Origin("public.customers", "ssn")
NAME = Origin("public.customers", "name")


def owed(**duty: object) -> Obligations:
    return Obligations(columns={("public.customers", "ssn"): MaskDuty(**duty)})  # type: ignore[arg-type]


def mask(duty: dict[str, object], value: bytes, principal: object = ANN, **column: object) -> bytes | None:
    info = ColumnInfo(**{"name": "c", "how": "bare", "origins": (SSN,), **column})  # type: ignore[arg-type]
    plan = planned(owed(**duty), info, principal=principal)  # type: ignore[arg-type]
    assert plan.columns[0] is not None and plan.columns[0].mask is not None
    return plan.columns[0].mask(value)


def test_nothing_owed_is_no_plan() -> None:
    """Without duties, or with duties on other columns only, bytes pass raw and nothing is compiled."""
    column = ColumnInfo(name="name", how="bare", origins=(NAME,))
    assert MASKER.plan(Obligations(), ANN, (column,)) is None
    assert MASKER.plan(owed(strategy="null"), ANN, (column,)) is None
    assert MASKER.plan(Obligations(detect=detects("email")), ANN, (ColumnInfo(name="b", kind="boolean"),)) is None


@pytest.mark.parametrize(
    ("duty", "value", "expected"),
    [
        ({"strategy": "null"}, b"219-09-9999", None),
        ({"strategy": "redact"}, b"219-09-9999", b"[redacted]"),
        ({"strategy": "redact", "text": "-"}, b"219-09-9999", b"-"),
        ({"strategy": "partial", "keep_last": 4}, b"219-09-9999", b"***-**-9999"),
        ({"strategy": "partial", "keep_first": 1}, "Émile Zola".encode(), "É*********".encode()),
        ({"strategy": "partial", "keep_last": 4}, b"1234", b"****"),
        ({"strategy": "partial", "keep_last": 4}, b"12345", b"*****"),
        ({"strategy": "partial", "keep_last": 4}, b"", b""),
    ],
)
def test_strategies(duty: dict[str, object], value: bytes, expected: bytes | None) -> None:
    """Null, redact and partial on text; partial never shows a value of which less than half would be hidden."""
    assert mask(duty, value) == expected


@pytest.mark.parametrize(
    "kind", ["integer", "numeric", "boolean", "bytes", "array", "composite", "uuid", "timestamp", "other"]
)
@pytest.mark.parametrize("strategy", ["null", "redact", "partial", "hash", "token"])
def test_no_kind_shows_its_value(kind: str, strategy: str) -> None:
    """Whatever a kind cannot carry becomes NULL; what it can carry fits its type."""
    value = b"123e4567-e89b-12d3-a456-426614174000" if kind == "uuid" else b"2190"
    out = mask({"strategy": strategy, "keep_last": 2}, value, kind=kind)
    assert out is None or (out != value and (not kind.startswith(("int", "num")) or out.isdigit()))


def test_tokens_are_per_principal_unless_joinable() -> None:
    """Two people get two tokens of one value; joinable gives one; detectors use another key than columns."""
    token = {"strategy": "token"}
    assert mask(token, b"x") == mask(token, b"x") != mask(token, b"x", BOB)
    join = {"strategy": "token", "joinable": True}
    assert mask(join, b"x") == mask(join, b"x", BOB) != mask(token, b"x")
    scan = planned(Obligations(detect=detects("email", joinable=True)), ColumnInfo(name="c")).scanner
    assert scan is not None and scan.rewrite(b"a@b.org", "c", "text", {}) != mask(join, b"a@b.org")
    assert Masker(b"another key, 16+ bytes").digest(b"x") != MASKER.digest(b"x")


def test_tokens_keep_the_shape() -> None:
    """E-mail, UUID, card, SSN, telephone, IBAN and address tokens look like their kind and could be nobody's."""
    key = b"k" * 32
    assert re.fullmatch(rb"u[0-9a-f]{16}@masked\.example", tokens.like(key, b"a@b.org"))
    assert re.fullmatch(
        rb"[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab].*", tokens.like(key, b"123e4567-e89b-12d3-a456-426614174000")
    )
    card = tokens.card(key, b"4111 1111 1111 1111")
    assert re.fullmatch(rb"9\d{3} \d{4} \d{4} \d{4}", card) and not luhn(only_digits(card))
    assert only_digits(card) == tokens.card(key, b"4111111111111111")
    assert re.fullmatch(rb"9\d\d-[0-4]\d-\d{4}", tokens.ssn(key, b"219-09-9999"))
    assert re.fullmatch(rb"\+99 9\d \d{7}", tokens.phone(key, b"+49 30 9018200"))
    assert tokens.iban(key, b"DE89 3704 0044 0532 0130 00").startswith(b"XX")
    assert int(tokens.ip(key, b"10.0.0.1").split(b".")[0]) >= 240
    for size in (5, 10, 19):
        assert tokens.whole(key, b"9" * size)[:1] == b"1"


def test_derived_outputs_are_redacted() -> None:
    """Outputs of safe functions and computed ones are redacted whatever the strategy; booleans and counts pass."""
    duty = {"strategy": "partial", "keep_last": 4}
    assert mask(duty, b"9999", how="safe") == b"[redacted]"
    assert mask(duty, b"true", how="safe", output="boolean") == b"[redacted]"
    assert mask(duty, b"9999", how="computed") == b"[redacted]"
    for output in ("boolean", "count"):
        column = ColumnInfo(name="c", how="computed", output=output, origins=(SSN,))
        assert MASKER.plan(owed(**duty), ANN, (column,)) is None


def test_strictest_of_alternatives() -> None:
    """A column of a UNION ALL gets the strictest mask of its alternatives, and is masked if only one of them is."""
    duties = {
        ("public.customers", "ssn"): MaskDuty(strategy="partial", keep_last=4),
        ("a.b", "c"): MaskDuty(strategy="hash"),
    }
    column = ColumnInfo(name="c", how="bare", origins=(NAME, SSN, Origin("a.b", "c")))
    plan = planned(Obligations(columns=duties), column)
    assert plan.columns[0] is not None and plan.columns[0].strategy == "hash" and plan.columns[0].label == "a.b.c"


def test_unknown_calls_are_redacted() -> None:
    """The output of a function that nobody vouched for is redacted on a masked target."""
    column = ColumnInfo(name="f", calls=("public.f",))
    plan = planned(Obligations(redact_unknown_calls=True), column)
    assert plan.columns[0] is not None and plan.columns[0].mask is not None
    assert plan.columns[0].mask(b"x") == b"[redacted]"
    clear = Obligations(redact_unknown_calls=True, clear_calls=frozenset(("public.f",)))
    assert MASKER.plan(clear, ANN, (column,)) is None


def test_a_duty_that_cannot_be_met_refuses() -> None:
    """An unknown strategy or detector is a refusal, never an unmasked answer."""
    column = ColumnInfo(name="c", how="bare", origins=(SSN,))
    assert isinstance(MASKER.plan(owed(strategy="rot13"), ANN, (column,)), Refusal)
    unknown = Obligations(detect=(DetectDuty(detector="dna", duty=MaskDuty(strategy="null")),))
    answer = MASKER.plan(unknown, ANN, (ColumnInfo(name="c"),))
    assert isinstance(answer, Refusal) and answer.code == "mask_failed"
    assert MASKER.scrub(unknown, ANN, (b"secret",), {}) == (b"[redacted]",)


def test_json_columns() -> None:
    """A masked JSON column stays JSON: a string by its strategy, anything else as a whole."""
    assert mask({"strategy": "partial", "keep_last": 4}, b'"219-09-9999"', kind="json") == b'"***-**-9999"'
    assert mask({"strategy": "partial", "keep_last": 4}, b'{"a":1}', kind="json") is None
    assert mask({"strategy": "redact"}, b'{"a":1}', kind="json") == b'"[redacted]"'


def test_scrub() -> None:
    """Error and notice texts lose what detectors find, and findings are counted."""
    counts: dict[str, int] = {}
    texts = (b"Key (mail)=(a@b.org) exists", b"nothing")
    out = MASKER.scrub(Obligations(detect=detects("email", strategy="null")), ANN, texts, counts)
    assert out == (b"[redacted]", b"nothing") and counts == {"email": 1}
    assert MASKER.scrub(Obligations(), ANN, texts, counts) is texts


def test_scanners_are_shared() -> None:
    """The same duties of the same principal give the same scanner; another principal shares the compiled patterns."""
    duties = Obligations(detect=detects("email", "jwt"))
    first, again = planned(duties, ColumnInfo(name="a")), planned(duties, ColumnInfo(name="b"))
    assert first.scanner is again.scanner
    assert planned(duties, ColumnInfo(name="a"), principal=BOB).scanner is not first.scanner
