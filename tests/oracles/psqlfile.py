"""Reads a psql script as psql would cut it: statements, COPY data, variables; other meta-commands are skipped."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

_DOLLAR = re.compile(r"\$(?:[A-Za-z_\u0080-\uffff][A-Za-z0-9_\u0080-\uffff]*)?\$")
_VARIABLE = re.compile(r""":(?:'(\w+)'|"(\w+)"|(\w+))""")
_COPY_IN = re.compile(r"(?is)\s*copy\b.*\bfrom\s+stdin\b")
_WORD = re.compile(r"[A-Za-z_]\w*")


@dataclass
class Piece:
    """One statement without its semicolon, the COPY data that follows it, and `\\gset` where it ends so."""

    text: str
    data: str | None = None
    gset: str | None = None


@dataclass
class PsqlFile:
    """A script and psql's variables; iterate over `pieces`, setting `variables` in between where `\\gset` says so."""

    text: str
    variables: dict[str, str] = field(default_factory=dict)
    _at: int = 0

    def pieces(self) -> Iterator[Piece]:
        """Yield the statements one by one; a variable that is set between two of them holds for the next."""
        while self._at < len(self.text):
            text, ending = self._statement()
            if not text.strip():
                continue
            data = self._copy_data() if _COPY_IN.match(text) else None
            yield Piece(text.strip(), data, ending)

    def _statement(self) -> tuple[str, str | None]:
        """Read up to a semicolon at the outermost level, or a meta-command that sends the buffer."""
        out: list[str] = []
        depth, begin = 0, 0
        text, end = self.text, len(self.text)
        while self._at < end:
            start = self._at
            character = text[start]
            if text.startswith("--", start):
                self._at = _or_end(text.find("\n", start), end)
            elif text.startswith("/*", start):
                self._skip_comment()
                out.append(" ")
            elif character in "'\"":
                self._skip_quoted(character, out)
                out.append(text[start : self._at])
            elif character == "$" and (tag := _DOLLAR.match(text, start)) and not _inside_word(text, start):
                close = text.find(tag[0], tag.end())
                self._at = end if close < 0 else close + len(tag[0])
                out.append(text[start : self._at])
            elif character == "\\":
                if text.startswith("\\;", start):
                    self._at += 2
                    out.append(";")
                    continue
                sent, ending = self._meta("".join(out).strip() != "")
                if sent:
                    return "".join(out), ending
            elif character == ":" and (value := self._variable()) is not None:
                out.append(value)
            elif character == ";" and depth == 0 and begin == 0:
                self._at += 1
                return "".join(out), None
            elif word := _WORD.match(text, start):
                begin = self._body_depth(word[0].lower(), "".join(out[:8]).lower(), begin)
                self._at = word.end()
                out.append(word[0])
            else:
                depth += (character in "([") - (character in ")]")
                self._at += 1
                out.append(character)
        return "".join(out), None

    def _body_depth(self, word: str, head: str, begin: int) -> int:
        """Inside CREATE FUNCTION, BEGIN ATOMIC ... END holds semicolons (psql counts them alike)."""
        if not head.lstrip().startswith("create"):
            return begin
        if word == "begin" or (word == "case" and begin):
            return begin + 1
        return begin - 1 if word == "end" and begin else begin

    def _skip_comment(self) -> None:
        depth = 1
        self._at += 2
        while self._at < len(self.text) and depth:
            if self.text.startswith("/*", self._at):
                depth, self._at = depth + 1, self._at + 2
            elif self.text.startswith("*/", self._at):
                depth, self._at = depth - 1, self._at + 2
            else:
                self._at += 1

    def _skip_quoted(self, quote: str, out: list[str]) -> None:
        escapes = quote == "'" and bool(out) and out[-1] in ("E", "e")
        self._at += 1
        while self._at < len(self.text):
            character = self.text[self._at]
            if escapes and character == "\\":
                self._at += 2
                continue
            self._at += 1
            if character == quote:
                if not self.text.startswith(quote, self._at):
                    return
                self._at += 1

    def _variable(self) -> str | None:
        if self.text.startswith("::", self._at) or self.text[self._at - 1] == ":":
            return None
        match = _VARIABLE.match(self.text, self._at)
        if match is None:
            return None
        name = match[1] or match[2] or match[3]
        if name not in self.variables:
            return None
        value = self.variables[name]
        self._at = match.end()
        if match[1]:
            return "'" + value.replace("'", "''") + "'"
        return '"' + value.replace('"', '""') + '"' if match[2] else value

    def _meta(self, buffered: bool) -> tuple[bool, str | None]:
        """Handle one meta-command up to its line's end; say whether it sends what is buffered."""
        line_end = _or_end(self.text.find("\n", self._at), len(self.text))
        line = self.text[self._at + 1 : line_end]
        self._at = min(line_end + 1, len(self.text))
        words = line.split()
        command = words[0] if words else ""
        if command == "if":
            close = self.text.find("\\endif", self._at)
            self._at = len(self.text) if close < 0 else _or_end(self.text.find("\n", close), len(self.text))
        elif command == "set" and len(words) > 1:
            self.variables[words[1]] = self._concatenate(line.split(None, 2)[2] if len(words) > 2 else "")
        elif command == "gset":
            return buffered, words[1] if len(words) > 1 else ""
        return buffered and command.startswith(("g", "crosstabview", "watch")), None

    def _concatenate(self, rest: str) -> str:
        parts = re.findall(r"'((?:[^']|'')*)'|:(\w+)|(\S+?)(?=\s|:|'|$)", rest)
        return "".join(plain or quoted or self.variables.get(name, "") for quoted, name, plain in parts)

    def _copy_data(self) -> str:
        line_end = _or_end(self.text.find("\n", self._at), len(self.text))
        empty = self.text.startswith("\\.", line_end + 1)
        close = line_end if empty else self.text.find("\n\\.", line_end)
        close = _or_end(close, len(self.text))
        data = self.text[line_end + 1 : close + 1]
        self._at = _or_end(self.text.find("\n", close + 1), len(self.text))
        return data


def _or_end(position: int, end: int) -> int:
    return end if position < 0 else position


def _inside_word(text: str, at: int) -> bool:
    return at > 0 and (text[at - 1].isalnum() or text[at - 1] in "_$")
