"""What reading a statement hands on besides effects: its part in the conversation, and its rows."""

from __future__ import annotations

from typing import Any

from checkrein.core.statement import Output
from checkrein.protocols.sql.lineage import Column

Node = dict[str, Any]


class Part:
    """One statement's Act in the making. `act` holds the fields of Act that differ from their defaults. Mutable."""

    __slots__ = ("act", "columns", "facts", "filtered", "kind", "opaque", "outputs")

    def __init__(self, kind: str, name: str = "") -> None:
        self.kind = kind
        self.act: dict[str, Any] = {"name": name} if name else {}
        self.columns: list[Column] | None = None  # of a query read here
        self.outputs: tuple[Output, ...] | None = None  # of a statement read before (a cursor, a prepared one)
        self.opaque = False
        self.filtered = False
        self.facts: dict[str, Any] = {}

    def answers(self) -> bool:
        """Whether it answers rows."""
        return self.opaque or self.columns is not None or self.outputs is not None


def only_node(node: Node) -> tuple[str, Node]:
    """Return the type and fields of a wrapped node; empty when there is none."""
    for kind, inner in node.items():
        return kind, inner
    return "", {}


def options_of(nodes: list[Node] | None) -> dict[str, Node]:
    """Return DefElem options by lower-case name, the last one of a name."""
    found: dict[str, Node] = {}
    for item in nodes or []:
        element = item.get("DefElem", {})
        found[str(element.get("defname", "")).lower()] = element.get("arg", {})
    return found


def option_text(node: Node) -> str:
    """Return an option's value as text, as it stands: a delimiter may be a capital. `true` for a bare one."""
    kind, inner = only_node(node)
    if kind == "":
        return "true"
    for field in ("sval", "fval", "ival", "boolval"):
        if field in inner:
            value = inner[field]
            return str(value.get(field, 0 if field == "ival" else "") if isinstance(value, dict) else value)
    if kind == "TypeName":
        return str(inner["names"][-1].get("String", {}).get("sval", ""))
    return str(inner.get("ival", 0)) if kind == "Integer" else ""  # the parser leaves a zero out


def is_on(text: str) -> bool:
    """Whether an option's value means yes; what is not known to mean no does."""
    return text.lower() not in ("false", "off", "0", "f", "no")
