"""Reading agrees with the real server over a part of PostgreSQL's regression SQL; `scripts/oracle` runs all of it."""

from __future__ import annotations

import pytest

from tests.oracles import regression
from tests.oracles.psqlfile import PsqlFile
from tests.oracles.reading import read
from tests.support.postgres import Database

SAMPLE = ("select", "select_implicit", "select_having", "union", "case", "join", "insert", "update", "delete", "merge")
MOST_JUDGED = 80
"""Statements of each file that are judged, so that the sample ends well within a minute."""


@pytest.mark.timeout(300)
def test_a_sample_is_read_as_the_server_reads_it(database: Database) -> None:
    """Nothing is confidently different; of what has no user-defined parts at most 3 % concede. Counts are printed."""
    suite = regression.folder()
    if suite is None:
        pytest.skip("the regression SQL of PostgreSQL cannot be fetched here")
    with database.connect() as connection:
        runner = regression.Runner(connection, suite, read)
        for name in regression.SETUP:
            runner.run(name, judge=False)
        tallies = [runner.run(name, limit=MOST_JUDGED) for name in SAMPLE]
    report = regression.report(tallies)
    print(report)
    assert sum(tally.judged for tally in tallies) > 400, report
    assert not any(tally.differences for tally in tallies), report
    assert sum(tally.plain_conceded for tally in tallies) <= 0.03 * sum(tally.plain for tally in tallies), report


def test_scripts_are_cut_as_psql_cuts_them() -> None:
    """Quotes, dollar quotes, nested comments, COPY data, meta-commands and variables are psql's."""
    script = r"""
-- a comment; with a semicolon
SELECT 'a;b', $x$c;'d$x$, E'\';' /* e /* f; */ g; */ ;
\set folder '/tmp' '/x'
COPY t FROM stdin;
1	a;b
\.
SELECT :'folder', x::text, y AS :folder \gset p_
\if :p_y
DROP TABLE t;
\endif
CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; SELECT CASE WHEN true THEN 2 END; END;
INSERT INTO t VALUES (1) \;  SELECT 2;
SELECT 3
"""
    pieces = list(PsqlFile(script).pieces())
    assert [piece.text for piece in pieces] == [
        "SELECT 'a;b', $x$c;'d$x$, E'\\';'",
        "COPY t FROM stdin",
        "SELECT '/tmp/x', x::text, y AS /tmp/x",
        "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; SELECT CASE WHEN true THEN 2 END; END",
        "INSERT INTO t VALUES (1) ;  SELECT 2",
        "SELECT 3",
    ]
    assert pieces[1].data == "1\ta;b\n"
    assert pieces[2].gset == "p_"


def test_the_oracle_catches_a_wrong_reading(database: Database) -> None:
    """A reading that forgets a column, or claims another origin, is told apart: the comparison can fail."""
    import msgspec

    from checkrein.protocols.postgres.catalog import Names
    from tests.oracles.dependencies import ask
    from tests.support.catalogs import load_of

    database.run("CREATE TABLE t (id int PRIMARY KEY, ssn text, note text)")
    text = "SELECT id, note FROM t WHERE ssn = 'x'"
    snapshot, names = load_of(database), Names()
    with database.connect() as connection, connection.transaction():
        oracle = ask(connection, text, "select")
    assert oracle is not None and list(oracle.columns.values()) == [{"id", "ssn", "note"}]
    right = read(text, snapshot, names)
    assert list(regression.differences(right, oracle, (snapshot, names))) == []
    (effect,) = right.effects
    blind, swapped = right.with_text(text), right.with_text(text)
    blind.effects = (msgspec.structs.replace(effect, columns=("id", "note")),)
    assert list(regression.differences(blind, oracle, (snapshot, names))) == ["t: ['ssn'] are not read"]
    swapped.outputs = right.outputs[::-1]
    assert list(regression.differences(swapped, oracle, (snapshot, names)))
