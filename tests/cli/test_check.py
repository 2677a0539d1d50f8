"""`checkrein check` and `schema`: everything at once, secrets never shown, exit statuses as promised."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from checkrein.cli import group
from checkrein.protocols import PROTOCOLS

PROTOCOL = PROTOCOLS[0]

CONFIG = """
apiVersion: checkrein/v1
kind: Gateway
listen: {{control: "127.0.0.1:8080", {protocol}: "127.0.0.1:15432"}}
identity:
  issuers: [{{name: corp, issuer: "https://idp.example.com"}}]
  embedded: {{agents: [{{id: bot, groups: [support], secret: "file:bot.secret"}}]}}
targets:
  - name: orders
    protocol: {protocol}
    address: 10.0.0.5:5432
    profiles: {{default: {{user: app, password: "env:CHECKREIN_TEST_ORDERS"}}}}
"""

POLICY = """
apiVersion: checkrein/v1
kind: Policy
metadata: {name: readers}
spec:
  mode: observe
  subjects: {groups: [support]}
  targets: {names: [orders]}
  rules: [{name: read, allow: {verbs: [select]}}]
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A configuration that holds, in the current folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CHECKREIN_CONFIG", raising=False)
    monkeypatch.setenv("CHECKREIN_TEST_ORDERS", "planted-secret")
    (tmp_path / "checkrein.yaml").write_text(CONFIG.format(protocol=PROTOCOL.name))
    (tmp_path / "bot.secret").write_text("planted-secret-too\n")
    (tmp_path / "bot.secret").chmod(0o600)
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies" / "readers.yaml").write_text(POLICY)
    return tmp_path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(group, list(arguments))


def test_a_good_configuration(folder: Path) -> None:
    """It prints what each part resolved to and ends with 0."""
    found = run("check")
    assert found.exit_code == 0, found.output
    for word in (
        "orders",
        "10.0.0.5:5432",
        "127.0.0.1:15432",
        "corp",
        "OBSERVE ONLY  policy readers",
    ):
        assert word in found.output


def test_json_and_no_secret(folder: Path) -> None:
    """--json has the same; no secret's value is in it."""
    found = run("check", "--json")
    value = json.loads(found.output)
    assert value["ok"]
    assert value["targets"][0]["address"] == "10.0.0.5:5432"
    assert value["embedded_issuer"] == "http://127.0.0.1:8080/issuer"
    assert value["policies"] == {"names": ["readers"], "observe_only": ["readers"]}
    assert "planted-secret" not in found.output


def test_everything_wrong_at_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing secret, a missing file and a broken policy are all told, and the status is 1."""
    monkeypatch.delenv("CHECKREIN_TEST_ORDERS")
    (folder / "bot.secret").unlink()
    (folder / "policies" / "readers.yaml").write_text(POLICY.replace("rules:", "rulez:"))
    found = run("check", "--json")
    assert found.exit_code == 1
    messages = " ".join(problem["message"] for problem in json.loads(found.stdout)["problems"])
    for word in ("CHECKREIN_TEST_ORDERS is not set", "bot.secret cannot be read", "rulez"):
        assert word in messages


def test_a_file_that_is_not_there(folder: Path) -> None:
    """A missing configuration is told with its name."""
    found = run("check", "--config", "nowhere.yaml")
    assert found.exit_code == 1
    assert "nowhere.yaml:0:0: error: cannot be read" in found.output


def test_loose_secret_files_warn(folder: Path) -> None:
    """A secret that others may read is a warning, not a refusal."""
    (folder / "bot.secret").chmod(0o644)
    found = run("check")
    assert found.exit_code == 0
    assert "chmod 600" in found.output


@pytest.mark.parametrize("kind", ["gateway", "policy", "policy-test"])
def test_schemas(kind: str) -> None:
    """Each kind of document has a JSON Schema that names its own kind."""
    value = json.loads(run("schema", kind).output)
    assert value["$schema"].startswith("https://json-schema.org/")
    assert value["properties"]


def test_the_schema_offers_what_is_built() -> None:
    """Listeners and target protocols of the schema are those of this version."""
    value = json.loads(run("schema").output)
    names = [spec.name for spec in PROTOCOLS]
    assert value["properties"]["listen"]["propertyNames"]["enum"] == ["control", *names]
    assert value["$defs"]["TargetModel"]["properties"]["protocol"]["enum"] == names
