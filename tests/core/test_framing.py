"""Frame walking."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checkrein.core.errors import ProtocolError
from checkrein.core.framing import frame, frame_size, run_of, whole_frames
from checkrein.core.side import Side

FRAMES = st.lists(st.tuples(st.sampled_from([b"D", b"C", b"Z"]), st.binary(max_size=20)), max_size=20)
LIMIT = 1000


@given(FRAMES, st.integers(0, 60))
def test_whole_frames_ends_at_the_last_whole_frame_wherever_the_stream_is_cut(
    parts: list[tuple[bytes, bytes]], missing: int
) -> None:
    """Any cut of a stream gives exactly the frames that fit, and the rest is less than one frame."""
    frames = [frame(kind, payload) for kind, payload in parts]
    stream = b"".join(frames)
    cut = stream[: max(0, len(stream) - missing)]
    count, end = whole_frames(cut, 0, LIMIT, Side.TARGET)
    assert b"".join(frames[:count]) == cut[:end]
    assert count == len(frames) or len(cut) - end < len(frames[count])


@given(FRAMES)
def test_a_run_stops_at_the_first_frame_of_another_type(parts: list[tuple[bytes, bytes]]) -> None:
    """Only frames of the asked type are taken, all of those that stand in front."""
    frames = [frame(kind, payload) for kind, payload in parts]
    expected = next((at for at, (kind, _) in enumerate(parts) if kind != b"D"), len(parts))
    count, end = run_of(b"xx" + b"".join(frames), 2, ord("D"), LIMIT, Side.TARGET)
    assert (count, end) == (expected, 2 + len(b"".join(frames[:expected])))


@pytest.mark.parametrize("length", [0, 3, LIMIT, 0x7FFFFFFF, 0xFFFFFFFF])
def test_impossible_and_overlong_lengths_are_refused_before_they_are_awaited(length: int) -> None:
    """A length below four, above the limit or negative raises with the sender blamed, though nothing else arrived."""
    header = b"D" + length.to_bytes(4, "big")
    for walk in (
        lambda: frame_size(header, 0, LIMIT, Side.CLIENT),
        lambda: whole_frames(header, 0, LIMIT, Side.CLIENT),
        lambda: run_of(header, 0, ord("D"), LIMIT, Side.CLIENT),
    ):
        with pytest.raises(ProtocolError) as caught:
            walk()
        assert caught.value.blame is Side.CLIENT


def test_frame_size_waits_for_five_bytes() -> None:
    """0 means that the header is not all there; a size may be larger than what is there."""
    assert frame_size(b"D\0\0\0", 0, LIMIT, Side.TARGET) == 0
    assert frame_size(b"D\0\0\0\x09", 0, LIMIT, Side.TARGET) == 10
