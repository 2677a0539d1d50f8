"""Object names and the globs that policies select them by.

A name is parts joined by dots, a part double-quoted when it holds a dot or a quote (core.statement.full_name). In a
pattern `*` stands for any run of characters within one part; a quoted part is literal. Case-sensitive.
"""

from __future__ import annotations

from checkrein.core.statement import full_name


def split_name(name: str) -> tuple[tuple[str, bool], ...]:
    """Return (part, was quoted) for each part of a name or pattern. Raises ValueError when the quoting is broken."""
    parts: list[tuple[str, bool]] = []
    i, end = 0, len(name)
    while True:
        if i < end and name[i] == '"':
            text, i = _quoted(name, i + 1)
            parts.append((text, True))
        else:
            j = name.find(".", i)
            j = end if j < 0 else j
            text = name[i:j]
            if not text or '"' in text:
                raise ValueError(f"{name!r} is not a name: parts joined by dots, quoted when they hold one")
            parts.append((text, False))
            i = j
        if i >= end:
            return tuple(parts)
        if name[i] != ".":
            raise ValueError(f"{name!r} is not a name: a quoted part ends at a dot")
        i += 1


def _quoted(name: str, i: int) -> tuple[str, int]:
    """Return a quoted part's text and the offset behind its closing quote."""
    out: list[str] = []
    while True:
        j = name.find('"', i)
        if j < 0:
            raise ValueError(f"{name!r} is not a name: a quote is not closed")
        out.append(name[i:j])
        if name[j + 1 : j + 2] != '"':
            return "".join(out), j + 1
        out.append('"')
        i = j + 2


def parts_of(name: str) -> tuple[str, ...]:
    """Return the parts of a full name; a name with broken quoting is one part, so that matching stays total."""
    if '"' not in name:
        return tuple(name.split("."))
    try:
        return tuple(part for part, _ in split_name(name))
    except ValueError:
        return (name,)


def glob(pattern: str, text: str) -> bool:
    """Whether `text` matches `pattern`, in which `*` stands for any run of characters. Linear in the text."""
    if "*" not in pattern:
        return pattern == text
    pieces = pattern.split("*")
    first, last = pieces[0], pieces[-1]
    if len(text) < len(first) + len(last) or not text.startswith(first) or not text.endswith(last):
        return False
    at, end = len(first), len(text) - len(last)
    for piece in pieces[1:-1]:
        found = text.find(piece, at, end)
        if found < 0:
            return False
        at = found + len(piece)
    return True


class NamePattern:
    """One compiled pattern. `literal` is the full name when it holds no wildcard, else empty."""

    __slots__ = ("literal", "parts", "text")

    def __init__(self, text: str) -> None:
        """Compile. Raises ValueError."""
        self.text = text
        split = split_name(text)
        self.parts: tuple[tuple[str, bool], ...] = tuple((part, not quoted and "*" in part) for part, quoted in split)
        wild = any(is_glob for _, is_glob in self.parts)
        self.literal = "" if wild else full_name(*[part for part, _ in split])

    def matches(self, name: str) -> bool:
        """Whether a full name matches."""
        if self.literal:
            return name == self.literal
        return self.matches_parts(parts_of(name))

    def matches_parts(self, parts: tuple[str, ...]) -> bool:
        """Whether the parts of a name match, one by one."""
        return len(parts) == len(self.parts) and self.prefix_matches(parts)

    def prefix_matches(self, parts: tuple[str, ...]) -> bool:
        """Whether the first parts of the pattern match all of `parts`."""
        if len(parts) > len(self.parts):
            return False
        for (pattern, is_glob), part in zip(self.parts, parts, strict=False):
            if not (glob(pattern, part) if is_glob else pattern == part):
                return False
        return True

    def last_is_star(self) -> bool:
        """Whether the last part is a bare `*`."""
        return self.parts[-1] == ("*", True)


class ColumnPattern:
    """A pattern of a column: all parts but the last name the relation."""

    __slots__ = ("column", "column_glob", "pattern", "text")

    def __init__(self, text: str) -> None:
        """Compile. Raises ValueError."""
        self.text = text
        self.pattern = NamePattern(text)
        if len(self.pattern.parts) < 2:
            raise ValueError(f"{text!r} names no column: schema.table.column")
        self.column, self.column_glob = self.pattern.parts[-1]

    def on(self, relation: tuple[str, ...]) -> bool:
        """Whether it speaks of columns of this relation."""
        return len(relation) + 1 == len(self.pattern.parts) and self.pattern.prefix_matches(relation)

    def covers(self, column: str) -> bool:
        """Whether it names this column of a relation that it speaks of."""
        return glob(self.column, column) if self.column_glob else self.column == column

    def every(self) -> bool:
        """Whether it names every column."""
        return self.pattern.last_is_star()
