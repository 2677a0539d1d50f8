"""Recordings of a real gateway: what they tell, what they never hold, that they are whole, and that damage is named."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from checkrein.recording.verify_all import verify_path
from tests.e2e.flows import ASKING, Held, approve, asking, refused, run, until
from tests.support.gateway import Gateway, launch, policy
from tests.support.postgres import PASSWORD, PostgresServer

SSN, SECRET = "219-09-9999", "s3cr3t-of-a-role"
EVERYTHING = policy("roles", '- {name: roles, allow: {verbs: [alter, create], when: "true"}}')


@pytest.fixture(scope="module")
def gateway(postgres: PostgresServer) -> Iterator[Gateway]:
    with asking(postgres) as found:
        yield found


def mixed(gateway: Gateway) -> str:
    """Run a session of reads, masked rows, a refusal, an error, an asked write, parameters. Return its id."""
    with gateway.connect() as connection:
        connection.execute("SELECT id, name, ssn FROM people ORDER BY id").fetchall()
        refused(connection, "DROP TABLE people")
        with pytest.raises(psycopg.errors.DivisionByZero):
            connection.execute("SELECT 1/0")
        connection.execute("INSERT INTO free (word) VALUES (%s)", ["hello"])
        held = Held(connection, run("UPDATE orders SET amount = 1 WHERE id = 1"))
        approve(gateway, held.id)
        held.end()
        id: str = gateway.sessions(limit="1")[0]["id"]
    until(lambda: gateway.sessions(limit="1")[0]["state"] == "closed", "closed")
    return id


def folder_of(gateway: Gateway, id: str) -> Path:
    """Return a session's folder."""
    return next((gateway.data / "recordings").glob(f"*/{id}"))


def command(gateway: Gateway, *arguments: str, who: str = "audrey") -> Any:
    """Run a command that must succeed; return its JSON."""
    done = gateway.command(*arguments, "--json", who=who)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_shown_and_verified(gateway: Gateway, tmp_path: Path) -> None:
    """`sessions ls|show|tail|export` and `verify` tell one story, in the published shapes, as the agent saw it."""
    id = mixed(gateway)
    row = next(row for row in command(gateway, "sessions", "ls") if row["id"] == id)
    wanted = "principal issuer groups actors target protocol client opened closed state statements refused asked masked"
    assert set(wanted.split()) <= set(row)
    assert (row["principal"], row["state"], row["refused"], row["asked"], row["masked"]) == ("bot", "closed", 1, 1, 2)
    shown = command(gateway, "sessions", "show", id)
    decided = [event for event in shown["events"] if event["kind"] == "decided" and event.get("phase") != "prepare"]
    fields = "statement parameters verbs touches effects verdict policy rule reason approval outcome"
    assert all(set(fields.split()) <= set(event) for event in decided)
    assert [event["outcome"] for event in decided].count("refused") == 1
    answered = [event for event in shown["events"] if event["kind"] == "answered"]
    masked = next(event for event in answered if event.get("masked"))
    assert {"columns", "rows", "bytes", "sample"} <= set(masked)
    assert ["1", "Ann", "*******9999"] in masked["sample"] or any("9999" in str(row) for row in masked["sample"])
    assert SSN not in json.dumps(shown)
    lines = gateway.command("sessions", "tail", id, "--json", who="audrey").stdout.splitlines()
    assert [json.loads(line)["seq"] for line in lines] == [event["seq"] for event in shown["events"]]
    bundle = tmp_path / "bundle.zip"
    assert gateway.command("sessions", "export", id, "-o", str(bundle), who="audrey").returncode == 0
    for what in (str(bundle), id, str(folder_of(gateway, id))):
        found = json.loads(gateway.command("verify", what, "--json").stdout)
        assert found["ok"] and found["sessions"] == 1 and found["first_bad"] is None, found
        assert found["events"] >= len(shown["events"])
    with zipfile.ZipFile(bundle) as opened:
        opened.extract("checkrein_verify.py", tmp_path)
    alone = subprocess.run(
        ["python", "-I", str(tmp_path / "checkrein_verify.py"), str(bundle)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert alone.returncode == 0, alone.stderr


def test_who_may_see(gateway: Gateway) -> None:
    """Agents and approvers see no recordings; only an admin kills."""
    id = mixed(gateway)
    for who in ("bot", "anna"):
        done = gateway.command("sessions", "show", id, who=who)
        assert done.returncode == 1 and "roles" in done.stderr
    assert gateway.command("sessions", "kill", id, who="audrey").returncode == 1


def test_killed(gateway: Gateway) -> None:
    """`sessions kill` ends an open session natively with the reason; the journal is closed with it."""
    with gateway.connect() as connection:
        connection.execute("SELECT 1")
        id = gateway.sessions(limit="1")[0]["id"]
        done = gateway.command("sessions", "kill", id, "--reason", "enough now", who="root")
        assert done.returncode == 0, done.stderr
        with pytest.raises(psycopg.errors.AdminShutdown, match="enough now"):
            connection.execute("SELECT 2")
    closed = until(lambda: gateway.events(id, "closed"), "closed")
    assert "enough now" in closed[0]["reason"]
    assert gateway.command("sessions", "kill", id, who="root").returncode == 1


def test_every_byte_counts(gateway: Gateway, tmp_path: Path) -> None:
    """Flip, cut and repeat anywhere in a closed recording: verify says no, and names a file and why."""
    with gateway.connect() as connection:
        connection.execute("SELECT 1")
        id = gateway.sessions(limit="1")[0]["id"]
    until(lambda: gateway.sessions(limit="1")[0]["state"] == "closed", "closed")
    whole = tmp_path / "whole" / id
    shutil.copytree(folder_of(gateway, id), whole)
    keys = sorted((gateway.data / "keys").glob("*.pub"))
    assert verify_path(whole, keys).as_json()["ok"]
    files = sorted(path for path in whole.iterdir() if path.is_file())
    assert len(files) >= 2, files
    tried = 0
    for file in files:
        good = file.read_bytes()
        step = max(1, len(good) // 150)
        damaged = [
            (f"flip {at}", good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :]) for at in range(0, len(good), step)
        ]
        damaged += [(f"cut {at}", good[:at]) for at in range(0, len(good), step * 10)]
        damaged += [(f"repeat {at}", good[:at] + good[max(0, at - 7) :]) for at in range(7, len(good), step * 10)]
        for what, bad in damaged:
            file.write_bytes(bad)
            found = verify_path(whole, keys).as_json()
            assert not found["ok"], (file.name, what)
            assert found["first_bad"]["file"] and found["first_bad"]["why"], (file.name, what, found)
            tried += 1
        file.unlink()
        found = verify_path(whole, keys).as_json()
        assert not found["ok"], f"{file.name} is missing"
        file.write_bytes(good)
    assert tried > 200 and verify_path(whole, keys).as_json()["ok"]


def test_gw_4_killed_in_the_middle(postgres: PostgresServer) -> None:
    """kill -9 while clients write: after the start every write that is in the database has its decided event."""
    with asking(postgres) as gateway:
        done = threading.Event()

        def write(client: int) -> None:
            try:
                with gateway.connect() as connection:
                    for number in range(100000):
                        connection.execute("INSERT INTO free (word) VALUES (%s)", [f"w-{client}-{number}"])
                        if number == 60:
                            done.set()
            except psycopg.OperationalError:
                pass

        gateway.token("bot")
        writers = [threading.Thread(target=write, args=(client,)) for client in range(3)]
        for writer in writers:
            writer.start()
        assert done.wait(30)
        gateway.process.send_signal(signal.SIGKILL)
        gateway.process.wait(10)
        for writer in writers:
            writer.join(20)
        launch(gateway)
        with gateway.connect() as connection:
            rows = connection.execute("SELECT word FROM free WHERE word LIKE 'w-%'").fetchall()
        recorded = set()
        for row in gateway.sessions(principal="bot"):
            if row["state"] != "open":
                found = json.loads(gateway.command("verify", row["id"], "--json").stdout)
                assert found["ok"], found
            for event in _all_events(gateway, row["id"]):
                if event["kind"] == "decided" and event["outcome"] == "forwarded" and event["parameters"]:
                    recorded.add(event["parameters"][0])
        written = {word for (word,) in rows}
        assert len(written) > 60
        assert written <= recorded, sorted(written - recorded)[:5]


def _all_events(gateway: Gateway, id: str) -> list[dict[str, Any]]:
    """Return every event of a session: `tail` has no limit on their number."""
    with gateway.api("audrey") as client, client.stream("GET", f"/api/v1/sessions/{id}/tail") as lines:
        return [json.loads(line) for line in _until_closed(lines.iter_lines())]


def _until_closed(lines: Iterator[str]) -> Iterator[str]:
    for line in lines:
        yield line
        if '"kind":"closed"' in line:
            return


def test_gw_11_secrets_stay_inside(postgres: PostgresServer) -> None:
    """Planted secrets stand in no log, journal, metric, error or process listing."""
    roles = {"asking.yaml": ASKING, "roles.yaml": EVERYTHING}
    role = postgres.create_role("flow")
    with asking(postgres) as gateway:
        gateway.write_policies(roles)
        until(lambda: '"policies in force"' in gateway.log, "policies")
        errors = []
        with gateway.connect() as connection:
            connection.execute("SELECT ssn FROM people").fetchall()
            for text in (
                f"ALTER ROLE {role} PASSWORD '{SECRET}'",
                f"ALTER ROLE {role} WITH ENCRYPTED PASSWORD E'{SECRET}'",
                f"CREATE ROLE {role}_2 PASSWORD '{SECRET}'",
                f"SELECT name FROM people WHERE ssn = '{SSN}'",
                f"INSERT INTO people VALUES (9, 'Zoe', '{SSN}')",
            ):
                try:
                    connection.execute(text.encode())
                except psycopg.Error as error:
                    errors.append(str(error) + str(error.diag.message_detail))
            try:
                connection.execute("SELECT name FROM people WHERE ssn = %s", [SSN])
            except psycopg.Error as error:
                errors.append(str(error) + str(error.diag.message_detail))
        with pytest.raises(psycopg.OperationalError) as caught:
            gateway.connect("stranger")
        errors.append(str(caught.value))
        with gateway.api("audrey") as client:
            metrics = client.get("/metrics").text
        listing = Path(f"/proc/{gateway.process.pid}/cmdline").read_bytes().decode(errors="replace")
        for child in Path(f"/proc/{gateway.process.pid}/task").glob("*/children"):
            for pid in child.read_text().split():
                listing += Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
        until(lambda: all(row["state"] == "closed" for row in gateway.sessions()), "closed")
        key = (gateway.data / "keys" / "mask.key").read_bytes()
        planted = {
            "target password": PASSWORD.encode(),
            "agent's token": gateway.token("bot").encode(),
            "stranger's token": gateway.token("stranger").encode(),
            "agent's secret": b"secret-bot",
            "role's password": SECRET.encode(),
            "masked value": SSN.encode(),
            "mask key": key,
            "mask key in hex": key.hex().encode(),
        }
        journals = b"".join(_journal_bytes(gateway.data))
        assert len(journals) > 2000
        places = {
            "log": gateway.log.encode(),
            "metrics": metrics.encode(),
            "listing": listing.encode(),
            "journals": journals,
            "state": b"".join(path.read_bytes() for path in gateway.data.glob("state.db*")),
            "policies archive": b"".join(path.read_bytes() for path in (gateway.data / "policies").iterdir()),
        }
        for what, secret in planted.items():
            for where, content in places.items():
                assert secret not in content, f"the {what} stands in the {where}"
        told = "\n".join(errors)
        for what in ("target password", "agent's token", "stranger's token", "agent's secret", "mask key in hex"):
            assert planted[what].decode() not in told, what
        refused_logins = json.dumps([json.loads(line) for line in _logins(gateway)])
        assert '"check": "policy"' in refused_logins and "embedded:stranger" in refused_logins


def _journal_bytes(data: Path) -> Iterator[bytes]:
    import zstandard

    for path in (data / "recordings").rglob("*"):
        if path.suffix == ".zst":
            with path.open("rb") as source:
                yield zstandard.ZstdDecompressor().stream_reader(source, read_across_frames=True).read()
        elif path.is_file():
            yield path.read_bytes()


def _logins(gateway: Gateway) -> list[str]:
    found: list[str] = []
    for path in sorted((gateway.data / "recordings" / "logins").rglob("*.jsonl")):
        found += path.read_text().splitlines()
    return found


@pytest.mark.skipif(os.geteuid() != 0, reason="a small file system is mounted by root alone")
def test_gw_5_disk_full(postgres: PostgresServer) -> None:
    """A full disk: statements are refused natively, the gateway lives, and goes on when there is room again."""
    with asking(postgres) as gateway:
        assert gateway.stop() == 0
        shutil.rmtree(gateway.data)
        gateway.data.mkdir(mode=0o700)
        mounted = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=6m,mode=0700", "none", str(gateway.data)],
            capture_output=True,
            check=False,
        )
        if mounted.returncode:
            launch(gateway)
            pytest.skip(f"mount is not permitted here: {mounted.stderr.decode()}")
        try:
            gateway.tokens.clear()
            launch(gateway)
            filler = gateway.data / "filler"
            with gateway.connect() as connection:
                connection.execute("INSERT INTO free (word) VALUES ('before')")
                with pytest.raises(OSError), filler.open("wb", buffering=0) as out:
                    while True:
                        out.write(b"x" * 65536)
                refusals = []

                def fills() -> bool:
                    try:
                        connection.execute("INSERT INTO free (word) VALUES ('during')")
                    except psycopg.Error as error:
                        refusals.append(error)
                        return True
                    return False

                until(fills, "a refusal")
                assert refusals[0].sqlstate is not None, refusals[0]
            with pytest.raises(psycopg.OperationalError):
                gateway.connect()
            assert gateway.process.poll() is None
            count = "SELECT count(*) FROM free WHERE word = 'during'"
            filler.unlink()

            def serves() -> bool:
                try:
                    with gateway.connect() as connection:
                        connection.execute("INSERT INTO free (word) VALUES ('after')")
                except psycopg.Error:
                    return False
                return True

            until(serves, "service again")
            with gateway.connect() as connection:
                during = connection.execute(count.encode()).fetchone()
            assert gateway.stop() == 0
            launch(gateway)
            recorded = 0
            assert all(row["state"] != "open" for row in gateway.sessions()), "a restart signs what could not be closed"
            done = gateway.command("verify", str(gateway.data / "recordings"), "--json")
            assert done.returncode == 0, done.stdout
            for row in gateway.sessions():
                for event in gateway.events(row["id"], "decided"):
                    recorded += event["statement"].endswith("('during')") and event["outcome"] == "forwarded"
            assert during is not None and during[0] <= recorded, "no effect without its event"
            assert gateway.stop() == 0
        finally:
            if gateway.process.poll() is None:
                gateway.process.kill()
                gateway.process.wait()
            subprocess.run(["umount", "-l", str(gateway.data)], check=False)
            launch(gateway)
