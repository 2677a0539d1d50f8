"""`checkrein policy`: what it prints and its exit status, on files alone, with the toy protocol of the policy tests."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from checkrein.cli import policy as module
from tests.policy.kit import SPEC, policy
from tests.policy.test_testing import GOOD, HEAD, POLICY


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Run a command in an empty directory with the toy protocol and the real detectors."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(module, "protocols", lambda: {"toy": SPEC})

    def call(*arguments: str) -> Result:
        return CliRunner().invoke(module.command, list(arguments))

    return call


def write(files: dict[str, str]) -> str:
    """Write files into ./policies."""
    folder = Path("policies")
    folder.mkdir(exist_ok=True)
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    return "policies"


def cases(text: str) -> str:
    return HEAD + "".join(f"  - {{{line}}}\n" for line in text.strip().splitlines())


def test_check_good(run):
    """A good set: its size, the snapshot, every detector that may be used, and loudly what only observes."""
    result = run("check", write({"p.yaml": POLICY, "w.yaml": policy("mode: observe", "watch")}))
    assert result.exit_code == 0
    assert "2 policies are good" in result.stdout
    assert "credit_card" in result.stdout
    assert "ONLY OBSERVED, NOT ENFORCED: watch" in result.stderr


def test_check_bad(run):
    """Every problem is printed with its place, exit 1; as JSON too; an own detector is held against masking."""
    body = "rules:\n  - {name: r, allow: {verbs: [selekt]}}\ndetectors:\n  - {name: own, pattern: 'x*'}"
    folder = write({"p.yaml": policy(body)})
    result = run("check", folder)
    assert result.exit_code == 1
    assert "policies/p.yaml:7:33: error: unknown verb selekt" in result.stderr
    assert "empty text" in result.stderr
    shown = json.loads(run("check", folder, "--json").stdout)
    assert shown["ok"] is False
    assert shown["problems"][0]["line"] == 7


def test_check_nothing_there(run):
    """A directory that is not there is told, not a traceback."""
    result = run("check", "nowhere")
    assert result.exit_code == 1
    assert "is not a directory" in result.stderr


def test_test_json(run):
    """The contract's JSON: passed, failed, coverage by rule, unnoticed_mutations null."""
    result = run("test", write({"p.yaml": POLICY, "p.test.yaml": cases(GOOD)}), "--json")
    assert result.exit_code == 0
    shown = json.loads(result.stdout)
    assert (shown["passed"], shown["failed"], shown["unnoticed_mutations"]) == (10, 0, None)
    assert shown["coverage"]["p/bulk"] == 2


def test_test_fails(run):
    """A failing case is printed with file and line, and the exit status is 1."""
    bad = cases('name: x, input: "delete public.t", expect: {verdict: allow}')
    result = run("test", write({"p.yaml": POLICY, "p.test.yaml": bad}))
    assert result.exit_code == 1
    assert "FAILED policies/p.test.yaml:7 x: expected allow, got deny by p/bulk" in result.stdout
    assert "0 passed, 1 failed; 1 of 5 rules reached" in result.stdout


@pytest.mark.parametrize(
    "arguments", [("test", "policies", "--mutate"), ("replay", "--against", "x"), ("diff", "a", "b")]
)
def test_not_built(run, arguments):
    """What is not built yet is refused by name with exit 2, never accepted and ignored."""
    write({"p.yaml": POLICY})
    result = run(*arguments)
    assert result.exit_code == 2
    assert "is not built yet" in result.stderr


@pytest.mark.parametrize(
    "groups",
    [("--groups", "agents", "--groups", "x"), ("--groups", "x,agents"), ("--groups", "x", "agents")],
)
def test_explain(run, groups):
    """The contract's JSON, with groups in each way that they may be written."""
    Path("s.yaml").write_text("public.t: [id, ssn]\n", encoding="utf-8")
    arguments = ("--policies", write({"p.yaml": POLICY}), "--schema", "s.yaml", "--target", "orders", "--as", "bot")
    result = run("explain", *arguments, *groups, "select public.t id,ssn")
    assert result.exit_code == 0, result.output
    shown = json.loads(result.stdout)
    assert (shown["verdict"], shown["policy"], shown["rule"], shown["may_enter"]) == ("allow", "p", "read", True)
    assert shown["masks"]["outputs"] == {"ssn": "partial"}
    assert {"effects", "considered", "flip", "reason"} <= set(shown)


def test_explain_needs_policies(run):
    """Without a configuration or a directory there is nothing to explain by: exit 2."""
    assert run("explain", "--target", "t", "--as", "bot", "select public.t id").exit_code == 2


def test_init_needs_a_configuration(run):
    """init reads a live schema, so it needs the configuration that says where: exit 2."""
    assert run("init", "--target", "orders").exit_code == 2
