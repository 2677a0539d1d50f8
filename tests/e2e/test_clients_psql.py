"""psql works unchanged: every describing command, variables, copies and cursors answer as they do without a gateway."""

from __future__ import annotations

import re
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.support.shop import Shop

DESCRIBE = r"""
\d|\d public.orders|\d orders|\d+ orders|\d customers|\d open_orders|\d+ open_orders|\d totals|\d days|\d+ days_2024
\d orders_status|\d numbers|\d kinds|\d spot|\dt|\dt+|\dt public.*|\dv|\dv+|\dm+|\di|\di+|\ds|\ds+|\dn|\dn+|\df|\df+
\df public.*|\dfa|\dfn|\dfp|\dfw|\du {role}|\du+ {role}|\dg {role}|\l {name}|\dT|\dT+|\dT+ mood|\dp|\dp orders|\z|\dx
\dx+|\dD+|\dC|\do|\da|\dF|\dFd+|\dFp+|\dFt+|\db|\dc|\dd|\ddp|\des|\des+|\dew+|\det+|\dL|\dL+|\dO|\dP|\dP+
\drds {role} {name}|\dRp|\dRp+|\dRs|\dy|\dA|\dA+|\dAc|\dAf|\dAo|\dAp|\dE|\dX|\dS|\sf twice|\sf+ twice|\sv open_orders
\sv+ open_orders|\encoding|\h SELECT
"""

SCRIPT = r"""
\x
SELECT id, amount FROM orders ORDER BY id LIMIT 2;
\x
SELECT id, amount FROM orders ORDER BY id LIMIT 2 \gdesc
SELECT 1 AS one \gset
\echo :one
SELECT 'SELECT 2' \gexec
\copy (SELECT id FROM orders ORDER BY id LIMIT 3) TO STDOUT
\copy orders (id, amount) TO 'out.csv' CSV HEADER
\copy scratch (id, label) FROM 'in.csv' CSV
SELECT id, label FROM scratch ORDER BY id;
DELETE FROM scratch WHERE id < 100;
SELECT id, status, amount FROM orders ORDER BY id LIMIT 4 \crosstabview
\set FETCH_COUNT 100
SELECT id FROM orders ORDER BY id LIMIT 250;
\unset FETCH_COUNT
\set ON_ERROR_ROLLBACK on
BEGIN;
SELECT id FROM orders WHERE id = 1;
SELECT 1/0;
SELECT id FROM orders WHERE id = 2;
COMMIT;
\errverbose
\set AUTOCOMMIT off
SELECT 1;
COMMIT;
\set AUTOCOMMIT on
PREPARE p (int) AS SELECT amount FROM orders WHERE id = $1;
EXECUTE p (5);
DEALLOCATE p;
SELECT amount FROM orders WHERE id = :one;
SELECT 1 \; SELECT 2 \; SELECT 3;
\gx
"""


def _psql(shop: Shop, env: dict[str, str], text: str, folder: Path) -> tuple[str, str]:
    folder.mkdir(exist_ok=True)
    (folder / "in.csv").write_text("1,one\n2,\n")
    done = shop.run("psql", "-X", env=env, stdin=text, cwd=folder)
    return done.stdout, re.sub(r"psql:<stdin>:\d+: ", "", done.stderr)


def test_describing_commands(served: Shop, target: str, tmp_path: Path) -> None:
    r"""The whole \d family prints through the gateway what it prints directly."""
    own = {"{role}": served.role, "{name}": served.behind(target).name}  # others' databases come and go meanwhile
    text = DESCRIBE.strip().replace("|", "\n") + "\n"
    for key, value in own.items():
        text = text.replace(key, value)
    through = _psql(served, served.environment(target), text, tmp_path / "through")
    direct = _psql(served, served.direct(target), text, tmp_path / "direct")
    assert through == direct
    assert "ERROR" not in through[1]


def test_scripts(served: Shop, target: str, tmp_path: Path) -> None:
    r"""Variables, \gdesc, \gexec, \copy both ways, cursors of FETCH_COUNT, ON_ERROR_ROLLBACK, EXECUTE."""
    through = _psql(served, served.environment(target), SCRIPT, tmp_path / "through")
    direct = _psql(served, served.direct(target), SCRIPT, tmp_path / "direct")
    assert through == direct
    assert through[1].count("ERROR") == 2, "division by zero, and its \\errverbose"
    assert (tmp_path / "through/out.csv").read_bytes() == (tmp_path / "direct/out.csv").read_bytes()


def test_settings_name_the_principal(served: Shop, target: str) -> None:
    r"""\dconfig works; application_name is the principal's, whatever PGAPPNAME said."""
    done = served.run("psql", "-X", "-c", r"\dconfig", env=served.environment(target, PGAPPNAME="mine"))
    assert re.search(r"application_name +\| embedded:bot", done.stdout), done.stdout + done.stderr


def test_credentials_stay_shut(served: Shop, target: str) -> None:
    r"""\deu+ reads user mappings' options; it is refused in the gateway's words, and the next command works."""
    done = served.run("psql", "-X", env=served.environment(target), stdin="\\deu+\nSELECT 7;\n")
    assert "It shows credentials" in done.stderr or "credentials" in done.stderr, done.stderr
    assert "7" in done.stdout


def test_a_refusal_reads_well(served: Shop) -> None:
    """A refused table: SQLSTATE 42501, the rule in DETAIL, the piece pointed at; the session lives on."""
    text = "\\set VERBOSITY verbose\nSELECT * FROM secrets;\nSELECT 8;\n"
    done = served.run("psql", "-X", env=served.environment(), stdin=text)
    assert "ERROR:  42501:" in done.stderr and "DETAIL:  {" in done.stderr
    assert "LINE 1: SELECT * FROM secrets" in done.stderr, done.stderr
    assert "8" in done.stdout


@pytest.mark.parametrize("text", ["SELECT pg_sleep(60)", "SELECT id, pg_sleep(60) FROM orders LIMIT 1"])
def test_control_c(served: Shop, text: str) -> None:
    """SIGINT makes psql send a cancel with the gateway's keys; the statement ends with 57014."""
    command = ["psql", "-X", "-v", "VERBOSITY=sqlstate", "-c", text]
    began = time.monotonic()
    with subprocess.Popen(command, env=served.environment(), stderr=subprocess.PIPE, stdout=subprocess.PIPE) as psql:
        query = """SELECT count(*) FROM pg_stat_activity
                    WHERE query = %s AND state = 'active' AND datname = current_database()"""
        with served.database.connect() as watch:
            while not watch.execute(query, [text]).fetchall()[0][0]:
                assert time.monotonic() - began < 30
        psql.send_signal(signal.SIGINT)
        _, err = psql.communicate(timeout=30)
    assert b"57014" in err
    assert time.monotonic() - began < 30
