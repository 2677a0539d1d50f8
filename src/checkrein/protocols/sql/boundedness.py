"""Whether a write's WHERE pins it to rows named by a unique key, and to how many."""

from __future__ import annotations


def bounded_by(pinned: dict[str, int], keys: tuple[tuple[str, ...], ...]) -> int | None:
    """Return how many key values at most the write can reach, or None when no unique key is fixed.

    `pinned` maps a column to the number of values that the top-level AND allows it (1 for `=`, n for IN); `keys` are
    the relation's unique keys. The least over all fixed keys of the product of their columns' counts.
    """
    best: int | None = None
    for key in keys:
        count = 1
        for column in key:
            count *= pinned.get(column, 0)
        if key and count and (best is None or count < best):
            best = count
    return best
