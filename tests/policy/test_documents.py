"""Strict YAML: every problem at once, at its place, and nothing that a hostile document can do."""

from __future__ import annotations

import pytest

from checkrein.core.errors import ConfigurationError
from checkrein.core.limits import DOCUMENT_BYTES
from checkrein.policy.documents import Duration, Size, StrictModel, load_documents, parse_duration, parse_size


class Part(StrictModel):
    name: str
    hold: Duration = 5.0
    size: Size = 1
    items: tuple[str, ...] = ()


class Doc(StrictModel):
    metadata: Part
    spec: list[Part] = []


HEAD = "apiVersion: checkrein/v1\nkind: Doc\n"


def problems(text: str) -> list[str]:
    """Return what is wrong, without the file's name."""
    with pytest.raises(ConfigurationError) as caught:
        load_documents(text, "f.yaml", {"Doc": Doc})
    return [str(problem).removeprefix("f.yaml:") for problem in caught.value.problems]


def test_good_documents_and_positions():
    """Several documents of one text are read, durations and sizes in base units, positions 1-based."""
    text = (
        HEAD + "metadata: {name: a, hold: 30m, size: 2KiB, items: [x, y]}\n---\n---\n" + HEAD + "metadata: {name: b}\n"
    )
    first, second = load_documents(text, "f.yaml", {"Doc": Doc})
    part = first.value.metadata
    assert (part.name, part.hold, part.size, part.items) == ("a", 1800.0, 2048, ("x", "y"))
    assert first.where(("metadata", "items", 1)) == (3, 55)
    assert first.where(("metadata", "items", 9, "no")) == first.where(("metadata", "items"))
    assert second.value.metadata.name == "b"
    assert second.where(("metadata", "name")) == (8, 18)


def test_all_problems_at_once():
    """Unknown and duplicate keys, wrong types and missing ones are all told, each where it stands."""
    text = HEAD + (
        "metadata: {name: a, itms: [x]}\nspec:\n"
        "  - {name: 3, hodl: 3s}\n  - name: x\n    name: y\n    hold: 5\n  - {items: x}\n"
    )
    assert problems(text) == [
        "3:21: error: unknown key itms (did you mean items?)",
        "5:12: error: spec[0].name: input should be a valid string",
        "5:15: error: unknown key hodl (did you mean hold?)",
        "7:5: error: duplicate key name",
        "8:11: error: spec[1].hold: a duration is a number with a unit: 500ms, 50s, 30m, 8h, 400d",
        "9:5: error: name is missing",
        "9:13: error: spec[2].items: input should be a valid array",
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("kind: Doc\nmetadata: {name: a}", "1:1: error: apiVersion must be checkrein/v1"),
        ("apiVersion: v2\nkind: Doc", "1:13: error: apiVersion must be checkrein/v1"),
        ("apiVersion: checkrein/v1\nkind: Doq", "2:7: error: kind must be Doc (did you mean Doc?)"),
        ("- 1", "1:1: error: a document is a mapping with apiVersion and kind"),
        ("a: [1,", "not YAML"),
        ("a: !!python/object:os.system x", "not a value that is understood"),
        ("a: !mine [1]", "tag !mine is not supported"),
        ("? [1]\n: 2", "a key must be a plain string"),
        ("1: 2", "a key must be a plain string"),
        ("a: .inf", "not a value"),
        ("a: 99999999999999999999999", "not a value"),
    ],
)
def test_refused(text, expected):
    """Each kind of document that is not ours is refused in its own words."""
    assert any(expected in problem for problem in problems(text))


@pytest.mark.parametrize(
    "text",
    [
        "[" * 20_000,
        "a: &a [*a]",
        "a: &a ["
        + ",".join("x" * 10)
        + "]\n"
        + "".join(f"{chr(98 + i)}: &{chr(98 + i)} [{','.join(['*' + chr(97 + i)] * 10)}]\n" for i in range(9)),
        "{a: " * 500 + "1" + "}" * 500,
    ],
    ids=["deep", "cycle", "laughs", "nested"],
)
def test_bombs(text):
    """Nesting, cycles and aliases that multiply meet a limit instead of memory."""
    assert any("deeper than" in problem for problem in problems(text))


def test_too_long():
    """A text above the limit is not even parsed."""
    assert problems("#" * (DOCUMENT_BYTES + 1)) == [f"0:0: error: larger than {DOCUMENT_BYTES} bytes"]


def test_values_are_not_shown():
    """A message never repeats a value: it may be a secret in the wrong place."""
    shown = "\n".join(problems(HEAD + "metadata: {name: a, hold: s3cret, size: s3cret, items: s3cret}"))
    assert "s3cret" not in shown


@pytest.mark.parametrize("text", ["", "5", "5 s", "-5s", "5w", "5S", 5, None, "1.5h", "50s\n"])
def test_bad_durations(text):
    """Only a whole number with a unit is a duration, or a size."""
    with pytest.raises(ValueError, match="duration"):
        parse_duration(text)
    with pytest.raises(ValueError, match="size"):
        parse_size(text)


def test_units():
    """Units mean what they say: decimal and binary sizes, days."""
    assert [parse_duration(t) for t in ("500ms", "50s", "30m", "8h", "400d")] == [0.5, 50, 1800, 28800, 34560000]
    assert [parse_size(t) for t in ("7B", "100MB", "64MiB", "2GB")] == [7, 10**8, 2**26, 2 * 10**9]
