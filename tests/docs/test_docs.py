"""The documentation is tested: every link leads somewhere, and every configuration and policy in it loads."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from checkrein.config import load_config
from checkrein.policy.documents import load_documents
from checkrein.policy.load import POLICIES, TESTS
from checkrein.protocols import PROTOCOLS

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "changes").glob("*.md")])
FENCE = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")

GATEWAY = {spec.name: spec.default_port for spec in PROTOCOLS}


def blocks(page: Path, language: str) -> list[str]:
    """Return the fenced blocks of a language."""
    return [text for kind, text in FENCE.findall(page.read_text(encoding="utf-8")) if kind == language]


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_somewhere(page: Path) -> None:
    """Every relative link names a file of the repository."""
    prose = FENCE.sub("", page.read_text(encoding="utf-8"))
    for link in LINK.findall(prose):
        if re.match(r"[a-z]+:|#", link):
            continue
        assert (page.parent / link.split("#")[0]).exists(), f"{name(page)}: {link}"


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_documents_load(page: Path) -> None:
    """Every YAML block that is a whole document loads as what it says it is."""
    for block in blocks(page, "yaml"):
        if "kind: Gateway" in block:
            load_config(block, name(page), GATEWAY)
        elif re.search(r"^kind: Policy$", block, re.MULTILINE):
            assert load_documents(block, name(page), POLICIES)
        elif re.search(r"^kind: PolicyTest$", block, re.MULTILINE):
            assert load_documents(block, name(page), TESTS)


def test_identity_examples_load() -> None:
    """The identity parts on the identity page hold inside a configuration."""
    head = "apiVersion: checkrein/v1\nkind: Gateway\nlisten: {control: 127.0.0.1:8080}\n"
    parts = [block for block in blocks(ROOT / "docs" / "identity.md", "yaml") if block.startswith("identity:")]
    assert len(parts) == 3
    for part in parts:
        load_config(head + part, "identity.md", GATEWAY)


def test_there_are_pages() -> None:
    """The tests above look at something."""
    assert len(PAGES) > 4
