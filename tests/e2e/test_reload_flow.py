"""Reloading a real gateway by signal, by a change of its files and by the API; what cannot be reloaded says so."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from tests.e2e.flows import until
from tests.support.gateway import ALLOW_ALL, Gateway, Target, running
from tests.support.postgres import Database


@pytest.fixture
def gateway(database: Database) -> Iterator[Gateway]:
    """A gateway over one database."""
    database.run("CREATE TABLE public.t (id integer)")
    with running([Target(database)]) as started:
        yield started


def logged(gateway: Gateway, event: str) -> list[dict[str, Any]]:
    """Return the log's lines of an event."""
    return [found for line in gateway.lines if event in line and (found := json.loads(line))["event"] == event]


def edit(gateway: Gateway, old: str, new: str) -> None:
    """Change the configuration's file."""
    file = gateway.folder / "checkrein.yaml"
    assert old in file.read_text()
    file.write_text(file.read_text().replace(old, new))


NEEDS = "the configuration changed; these keys need a restart"
BROKEN = "the changed configuration does not hold; what was started stays in force"


def test_a_changed_configuration_says_what_needs_a_restart(gateway: Gateway) -> None:
    """A changed file is noticed by itself; the keys that are not in force are named, once, and nothing changes."""
    edit(gateway, "name: db", "name: other")
    edit(gateway, "ttl: 1h", "ttl: 2h")
    until(lambda: logged(gateway, NEEDS), "the change to be noticed")
    assert logged(gateway, NEEDS)[-1]["keys"] == ["identity.embedded", "targets.db", "targets.other"]
    with gateway.connect() as connection:
        connection.execute("SELECT id FROM t")
    edit(gateway, "ttl: 2h", "tll: 2h")
    until(lambda: logged(gateway, BROKEN), "the broken file to be noticed")
    assert "tll" in str(logged(gateway, BROKEN)[-1]["problems"])


def test_sighup_reloads_policies_and_names_the_rest(gateway: Gateway) -> None:
    """SIGHUP does both, and the gateway goes on."""
    edit(gateway, "admin: [platform]", "admin: [nobody]")
    gateway.process.send_signal(signal.SIGHUP)
    until(lambda: logged(gateway, NEEDS), "the answer to SIGHUP")
    assert logged(gateway, NEEDS)[0]["keys"] == ["people.roles"]
    with gateway.api("root") as root:
        assert root.get("/api/v1/sessions").status_code == 200, "roles are as they were started"


def test_the_api_reloads(gateway: Gateway) -> None:
    """It answers whether the policies on disk are in force, under which snapshot, and what needs a restart."""
    with gateway.api("root") as root, gateway.api("bot") as bot:
        assert bot.post("/api/v1/reload").status_code == 403
        before = root.post("/api/v1/reload").raise_for_status().json()
        assert before["policies"] and before["restart_needed"] == before["problems"] == []
        gateway.write_policies({"all.yaml": ALLOW_ALL.replace("select, ", "")})
        after = root.post("/api/v1/reload").raise_for_status().json()
        assert after["policies"] and after["snapshot"] != before["snapshot"]
        with gateway.connect() as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("SELECT id FROM t")
        gateway.write_policies({"all.yaml": ALLOW_ALL.replace("verbs:", "verbz:")})
        broken = root.post("/api/v1/reload").raise_for_status().json()
        assert not broken["policies"] and broken["snapshot"] == after["snapshot"] and "verbz" in str(broken["problems"])
        (gateway.folder / "policies" / "all.yaml").write_text("")
        halfway = root.post("/api/v1/reload").raise_for_status().json()
        assert (
            not halfway["policies"] and halfway["snapshot"] == after["snapshot"] and "empty" in str(halfway["problems"])
        )


def test_hidden_policy_files_are_left_out(gateway: Gateway) -> None:
    """Editors' and mounts' hidden copies are no second policy of the same name, for the gateway and `policy check`."""
    (gateway.folder / "policies" / "..2026").mkdir()
    for hidden in ("..2026/all.yaml", ".all.yaml"):
        (gateway.folder / "policies" / hidden).write_text(ALLOW_ALL)
    with gateway.api("root") as root:
        assert root.post("/api/v1/reload").json()["policies"]
    assert gateway.command("policy", "check", str(gateway.folder / "policies")).returncode == 0
