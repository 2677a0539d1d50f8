"""The session between real clients and a real PostgreSQL, with every step kept; policy is the driver's."""

from __future__ import annotations

import socket

import psycopg
import pytest

from checkrein.core.framing import frame
from checkrein.core.statement import Statement
from checkrein.core.verdict import DENY, Verdict
from checkrein.protocols.postgres.catalog import CatalogChange
from tests.protocols.postgres.conftest import Open
from tests.protocols.postgres.driver import Gateway, allow_all, kill, masking
from tests.protocols.postgres.raw import SYNC, Raw, bind, code_of, describe, execute, parse, query, run, shown
from tests.support.postgres import Database

SCHEMA = """
CREATE TABLE t (id int PRIMARY KEY, name text, ssn text);
INSERT INTO t SELECT g, 'name' || g, 'ssn-' || g FROM generate_series(1, 10) g;
CREATE TABLE parent (id int PRIMARY KEY);
CREATE TABLE child (id int REFERENCES parent DEFERRABLE INITIALLY DEFERRED, ssn text);
"""
MASKED = masking(("public.t", "ssn"), ("public.child", "ssn"))


def ids(database: Database) -> list[int]:
    return [row[0] for row in database.rows("SELECT id FROM t ORDER BY id")]


@pytest.mark.parametrize("cut", [0, 1, 7])
def test_any_cutting_of_both_streams_gives_the_same_answers(gateways: Open, cut: int) -> None:
    """Whole, byte by byte and ragged: the same messages come back."""
    client = Raw(gateways(cut=cut).port, cut)
    assert client.ask(query(b"SELECT id FROM t WHERE id < 3; SELECT 1")) == "T D D C T D C ZI"
    assert client.ask(run(b"SELECT 1") + SYNC) == "1 2 D C ZI"
    assert client.ask(query(b"SELECT 'forbidden'")) == "E42501 ZI"
    assert client.ask(parse(b"a", b"SELECT ssn FROM t") + describe(b"S", b"a") + SYNC) == "1 t T ZI"
    assert client.ask(bind(b"", b"a") + execute(b"", 2) + execute(b"", 0) + SYNC) == "2 D D s D D D D D D D D C ZI"


def test_a_long_masked_row_in_small_pieces(gateways: Open) -> None:
    """A message that takes thousands of arrivals is put together once or a few times, and masked as a whole one is."""
    with psycopg.connect(gateways(MASKED, cut=997).dsn(), autocommit=True) as client:
        found = client.execute("SELECT id, ssn, repeat(name, 600000) FROM t WHERE id = 1 OR id = 2 ORDER BY id")
        assert [(row[0], row[1], len(row[2])) for row in found] == [(1, "***", 3_000_000), (2, "***", 3_000_000)]


def test_names_are_asked_for_before_a_segment_begins(gateways: Open) -> None:
    """What a driver sends in front of a Parse (Close of an old statement) does not make its names unknown."""
    client = Raw(gateways().port)
    close = frame(b"C", b"Sold\0")
    assert client.ask(close + run(b"SELECT id FROM t WHERE id = 1") + SYNC) == "3 1 2 D C ZI"
    assert client.ask(query(b"SET search_path TO public")) == "C ZI"
    assert client.ask(close + parse(b"a", b"SELECT id FROM t WHERE id = 1") + SYNC) == "3 1 ZI"
    client.send(query(b"RESET search_path") + describe(b"S", b"a") + run(b"SELECT id FROM t WHERE id = 1") + SYNC)
    assert shown(client.until(b"Z", 2)) == "C ZI t T 1 2 D C ZI"


def test_a_query_behind_a_failed_segment_is_ignored_too(gateways: Open, database: Database) -> None:
    """Up to Sync the server ignores everything, a Query as well: nothing of it is run or answered."""
    client = Raw(gateways().port)
    client.send(run(b"SELECT 1 / 0") + frame(b"H", b""))
    assert shown(client.until(b"E")) == "1 E22012"
    assert client.ask(query(b"DELETE FROM t") + run(b"DELETE FROM t") + SYNC) == "ZI"
    client.send(run(b"SELECT 1 / 0") + query(b"DELETE FROM t") + run(b"DELETE FROM t") + SYNC + query(b"SELECT 1"))
    assert shown(client.until(b"Z", 2)) == "1 E22012 ZI T D C ZI"
    assert len(ids(database)) == 10


def test_messages_behind_a_refusal_are_dropped_up_to_sync(gateways: Open, database: Database) -> None:
    """PG-A34: a pipelined write behind a refused statement does not run, and the session goes on."""
    gateway = gateways()
    client = Raw(gateway.port)
    pipeline = run(b"SELECT 'forbidden'") + run(b"DELETE FROM t") + SYNC + run(b"SELECT 1") + SYNC
    assert client.ask(pipeline, 2) == "E42501 ZI 1 2 D C ZI"
    assert len(ids(database)) == 10
    assert not any(b"forbidden" in data or b"DELETE" in data for data in gateway.sent)


def test_an_earlier_write_of_the_pipeline_rolls_back_with_the_refusal(gateways: Open, database: Database) -> None:
    """PG-A42: the client is told that the segment failed, so its earlier write is not kept."""
    client = Raw(gateways().port)
    pipeline = run(b"DELETE FROM t WHERE id = 1") + run(b"SELECT 'forbidden'") + SYNC
    assert client.ask(pipeline) == "1 2 C E42501 ZI"
    assert 1 in ids(database)


def test_one_refused_statement_of_a_query_refuses_all(gateways: Open, database: Database) -> None:
    """PG-A36: nothing of a Query runs when its last statement is refused."""
    client = Raw(gateways().port)
    assert client.ask(query(b"DELETE FROM t; SELECT 'forbidden'")) == "E42501 ZI"
    assert len(ids(database)) == 10


def test_a_refusal_in_a_block_fails_the_block(gateways: Open, database: Database) -> None:
    """PG-A42: in a block the transaction's state is the server's, savepoints included; COMMIT becomes ROLLBACK."""
    client = Raw(gateways().port)
    client.ask(query(b"BEGIN"))
    assert client.ask(query(b"DELETE FROM t WHERE id = 1")) == "C ZT"
    assert client.ask(query(b"SAVEPOINT a")) == "C ZT"
    assert client.ask(query(b"SELECT 'forbidden'")) == "E42501 ZE"
    assert client.ask(query(b"SELECT 1")) == "E25P02 ZE"
    assert client.ask(query(b"ROLLBACK TO a")) == "C ZT"
    assert client.ask(run(b"SELECT 'forbidden'") + SYNC) == "E42501 ZE"
    assert client.ask(query(b"COMMIT")) == "C ZI"
    assert 1 in ids(database)


def test_commit_then_a_refused_statement(gateways: Open, database: Database) -> None:
    """PG-A35: `COMMIT; DROP` out of a read-only transaction is judged as a whole."""
    client = Raw(gateways().port)
    client.ask(query(b"BEGIN READ ONLY"))
    assert client.ask(query(b"COMMIT; SELECT 'forbidden'; DROP TABLE t")) == "E42501 ZE"
    assert len(ids(database)) == 10


def test_a_refusal_after_an_earlier_error_is_only_journalled(gateways: Open) -> None:
    """PG-A47: the earlier error of the pipeline answers."""
    client = Raw(gateways().port)
    pipeline = run(b"SELECT 1/(id - 1) FROM t") + run(b"SELECT 'forbidden'") + SYNC
    assert client.ask(pipeline) == "1 2 E22012 ZI"
    assert client.ask(query(b"SELECT 1")) == "T D C ZI"


def test_a_refusal_with_flush_instead_of_sync(gateways: Open) -> None:
    """PG-A47: Flush brings the refusal, and Sync ends the segment."""
    client = Raw(gateways().port)
    client.send(run(b"SELECT 'forbidden'") + frame(b"H", b""))
    assert client.message()[0] == b"E"
    assert client.ask(SYNC) == "ZI"


def test_a_refused_query_behind_unsynced_messages_does_not_commit_them(gateways: Open, database: Database) -> None:
    """PG-A47: an unsynced write, then a refused Query: the write is rolled back."""
    client = Raw(gateways().port)
    assert client.ask(run(b"DELETE FROM t WHERE id = 1") + query(b"SELECT 'forbidden'")) == "1 2 C E42501 ZI"
    assert client.ask(SYNC) == "ZI"
    assert 1 in ids(database)


def test_sql_prepare_and_execute(gateways: Open) -> None:
    """PG-A20: EXECUTE is judged as what it runs, in the same Query not at all, and by Bind of the name."""
    client = Raw(gateways().port)
    assert client.ask(query(b"PREPARE p AS SELECT id FROM t WHERE id = 1")) == "C ZI"
    assert client.ask(query(b"EXECUTE p")) == "T D C ZI"
    assert client.ask(bind(b"", b"p") + execute() + SYNC) == "2 D C ZI"
    assert client.ask(query(b"DEALLOCATE p; PREPARE p AS SELECT 2; EXECUTE p")) == "E42501 ZI"
    assert client.ask(query(b"EXECUTE nobody")).startswith("E")
    assert client.ask(query(b"PREPARE q AS SELECT 'forbidden'")) == "E42501 ZI"


def test_a_statement_made_behind_the_gateway_cannot_be_bound(gateways: Open) -> None:
    """PG-A47: a name that only the server knows (a DO block makes it) is refused natively."""
    client = Raw(gateways().port)
    client.ask(query(b"DO $$ BEGIN EXECUTE 'PREPARE sneaky AS SELECT 1'; END $$"))
    assert client.ask(bind(b"", b"sneaky") + execute() + SYNC) == "E26000 ZI"


def test_cursors(gateways: Open) -> None:
    """PG-A21: DECLARE and FETCH, masked as the declared query is."""
    client = Raw(gateways(MASKED).port)
    client.ask(query(b"BEGIN"))
    assert client.ask(query(b"DECLARE c CURSOR FOR SELECT ssn FROM t ORDER BY id")) == "C ZT"
    client.send(query(b"FETCH 2 FROM c"))
    messages = client.until(b"Z")
    assert [payload for kind, payload in messages if kind == b"D"] == [b"\0\1\0\0\0\3***"] * 2
    assert client.ask(query(b"COMMIT")) == "C ZI"
    assert client.ask(query(b"FETCH 1 FROM c")).startswith("E")


@pytest.mark.parametrize("text", [b"SELECT id, ssn FROM t", b"SELECT * FROM t", b"TABLE t"])
@pytest.mark.parametrize("extended", [False, True])
def test_masked_rows_never_show_the_value(gateways: Open, text: bytes, extended: bool) -> None:
    """Simple, and Execute without Describe (PG-B7): the column is masked."""
    client = Raw(gateways(MASKED).port)
    client.send(run(text) + SYNC if extended else query(text))
    rows = [payload for kind, payload in client.until(b"Z") if kind == b"D"]
    assert len(rows) == 10
    assert all(b"***" in row and b"ssn-" not in row for row in rows)


def test_several_masked_statements_of_one_query_are_described_first(gateways: Open) -> None:
    """Every row-returning statement is described under a hidden name before the Query goes."""
    client = Raw(gateways(MASKED).port)
    client.send(query(b"SELECT ssn FROM t WHERE id = 1; SELECT id, ssn FROM t WHERE id = 2"))
    messages = client.until(b"Z")
    assert next(payload for kind, payload in messages if kind == b"D") == b"\0\1\0\0\0\3***"
    assert not any(b"ssn-" in payload for _, payload in messages)


@pytest.mark.parametrize("extended", [False, True])
def test_a_write_that_returns_masked_rows(gateways: Open, database: Database, extended: bool) -> None:
    """RETURNING is masked, and kept."""
    client = Raw(gateways(MASKED).port)
    text = b"UPDATE t SET name = 'x' WHERE id = 1 RETURNING id, ssn"
    client.send(run(text) + SYNC if extended else query(text))
    messages = client.until(b"Z")
    assert [payload for kind, payload in messages if kind == b"D"] == [b"\0\2\0\0\0\x011\0\0\0\3***"]
    assert database.rows("SELECT name FROM t WHERE id = 1") == [("x",)]
    assert client.ask(query(b"SELECT 1")) == "T D C ZI"


@pytest.mark.parametrize("extended", [False, True])
def test_rows_are_held_until_deferred_constraints_passed(gateways: Open, database: Database, extended: bool) -> None:
    """PG-A44: a deferred constraint fails at commit, and no row of the write was shown before."""
    client = Raw(gateways(MASKED).port)
    text = b"INSERT INTO child VALUES (7, 'x') RETURNING id, ssn"
    answer = client.ask(run(text) + SYNC if extended else query(text))
    assert "D" not in answer.split()
    assert answer.endswith("E23503 ZI")
    assert database.rows("SELECT count(*) FROM child") == [(0,)]


def test_copy_both_ways(gateways: Open, database: Database) -> None:
    """COPY in and out through libpq, and out under a mask."""
    with psycopg.connect(gateways().dsn(), autocommit=True) as client:
        with client.cursor().copy("COPY t FROM STDIN") as copy:
            copy.write_row((11, "a", "b"))
        with client.cursor().copy("COPY t (id) TO STDOUT") as copy:
            assert b"".join(bytes(part) for part in copy).count(b"\n") == 11
    for text in ("COPY t TO STDOUT", "COPY (SELECT id, ssn FROM t) TO STDOUT", "COPY t TO STDOUT (FORMAT csv)"):
        client_ = Raw(gateways(MASKED).port)
        client_.send(query(text.encode()))
        data = b"".join(payload for kind, payload in client_.until(b"Z") if kind == b"d")
        assert data.count(b"***") == 11
        assert b"ssn-" not in data
    assert 11 in ids(database)


def test_a_query_during_copy_in_is_a_protocol_error(gateways: Open) -> None:
    """Only copy messages pass during copy-in (tried: a Query there loses synchronisation)."""
    client = Raw(gateways().port)
    client.send(query(b"COPY t FROM STDIN"))
    assert client.message()[0] == b"G"
    client.send(query(b"SELECT 1"))
    assert client.until(b"Z")[0][0] == b"E"


def test_a_deny_that_came_while_a_later_statement_waited_wins(gateways: Open, database: Database) -> None:
    """GW-19: statements of one Query go together, so the first is looked at again once people were waited for."""
    opened: list[Gateway] = []

    def judge(statement: Statement) -> Verdict:
        if opened and opened[0].asked and "DELETE" in statement.text:
            return Verdict(outcome=DENY, reason="no more")
        return allow_all(statement)

    opened.append(gateways(judge))
    client = Raw(opened[0].port)
    assert client.ask(query(b"DELETE FROM t WHERE id = 1; SELECT 'asked'")) == "E42501 ZI"
    assert len(opened[0].asked) == 1
    assert 1 in ids(database)
    assert {one.outcome for one in opened[0].answered} == {"abandoned"}


def test_an_ask_runs_after_the_yes_with_its_parameters(gateways: Open) -> None:
    """The statement is prepared in an exchange of its own and asked at Bind."""
    gateway = gateways()
    client = Raw(gateway.port)
    pipeline = run(b"SELECT id AS asked FROM t WHERE id = 1") + SYNC
    assert client.ask(pipeline) == "1 2 D C ZI"
    assert len(gateway.asked) == 1
    gateway.answer_asked = False
    assert client.ask(pipeline) == "1 E42501 ZI"
    assert client.ask(query(b"SELECT 'asked'")) == "E42501 ZI"


def test_function_call_is_shut(gateways: Open) -> None:
    """PG-A17: FunctionCall never reaches the target."""
    client = Raw(gateways().port)
    assert client.ask(frame(b"F", (1299).to_bytes(4, "big") + bytes(6))) == "E42501 ZI"


def test_names_follow_the_search_path(gateways: Open) -> None:
    """PG-A46: a prepared statement is read again after the search path changed."""
    gateway = gateways()
    with psycopg.connect(gateway.dsn(), autocommit=True) as client:
        client.execute("CREATE SCHEMA other")
        client.execute("CREATE TABLE other.t (id int)")
        client.execute("SELECT id FROM t", prepare=True)
        client.execute("SET search_path TO other")
        client.execute("SELECT id FROM t", prepare=True)
        assert gateway.decided[-1].statement.effects[0].object == "other.t"


def test_temporary_objects_are_nobody_elses_business(gateways: Open) -> None:
    """A change of the catalog is told to other sessions; what is temporary is not, and is still seen at once here."""
    gateway = gateways()

    def told() -> bool:
        return any(isinstance(one, CatalogChange) for one in gateway.questions)

    with psycopg.connect(gateway.dsn(), autocommit=True) as client:
        client.execute("SELECT ssn FROM t")
        client.execute("CREATE TEMP TABLE own (id int, ssn text)")
        client.execute("CREATE TEMP TABLE t (ssn int)")
        client.execute("SELECT own.ssn, id FROM own, LATERAL (SELECT ssn AS mine FROM t) x")
        assert objects_of(gateway) == {"pg_temp.own", "pg_temp.t"}
        client.execute("DROP TABLE own")
        client.execute("SELECT ssn FROM t")
        assert objects_of(gateway) == {"pg_temp.t"}
        client.execute("DROP TABLE pg_temp.t")
        client.execute("SELECT ssn FROM t")
        assert objects_of(gateway) == {"public.t"}
        assert not told()
        client.execute("CREATE TABLE lasting (id int)")
        assert told()


def objects_of(gateway: Gateway) -> set[str]:
    """Return the names of what the last statement decided on reads."""
    return {effect.object for effect in gateway.decided[-1].statement.effects}


def test_cancel_and_kill(gateways: Open, database: Database) -> None:
    """PG-A23: a cancel by the gateway's own key stops what runs, another key nothing; a kill ends it natively."""
    gateway = gateways()
    client = Raw(gateway.port)
    conversation = gateway.conversations[0]
    client.send(query(b"SELECT count(*) FROM generate_series(1, 1000000000)"))
    assert gateway.reached(b"generate_series")
    running = """SELECT 1 FROM pg_stat_activity WHERE state = 'active' AND datname = current_database()
                 AND query LIKE '%1000000000)' AND pid <> pg_backend_pid()"""
    with database.connect() as watch:  # a cancel before the server begins is lost, as it is without a gateway
        while not watch.execute(running).fetchall():
            assert gateway.reached(b"generate_series")
    own = conversation.session.cancel_key()
    for key in (own[:4] + b"none", own):
        with socket.create_connection(("127.0.0.1", gateway.port)) as wire:
            wire.sendall((16).to_bytes(4, "big") + (80877102).to_bytes(4, "big") + key)
            assert wire.recv(1) == b""
    assert shown(client.until(b"Z")) == "T E57014 ZI"
    assert gateway.answered[-1].outcome == "cancelled"
    kill(gateway)
    kind, payload = client.message()
    assert (kind, code_of(payload)) == (b"E", "57P01")
    assert client.message() == (b"", b"")


def test_a_local_setting_stays_here(gateways: Open, database: Database) -> None:
    """I11: application_name is answered by the gateway; on the target it names the principal."""
    gateway = gateways()
    client = Raw(gateway.port)
    assert client.ask(query(b"SET application_name = 'mine'")) == "C ZI"
    assert client.ask(run(b"SET application_name = 'mine'") + SYNC) == "1 2 C ZI"
    here = (
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'test:agent' AND datname = current_database()"
    )
    assert database.rows(here) == [(1,)]


FAILS_LATE = parse(b"s", b"SELECT pg_sleep(0.3)") + bind(b"s", b"s") + execute(b"s")
FAILS_LATE += parse(b"x", b"SELECT 1 / 0") + bind(b"x", b"x")
"""Answered with `1 2 D C 1` and an error."""


def test_what_a_failed_segment_takes_back_is_not_what_came_behind_it(gateways: Open) -> None:
    """A name that a later segment gave anew stays so when the failure of an earlier one is heard only then."""
    client = Raw(gateways(MASKED).port)
    assert client.ask(parse(b"", b"SELECT name FROM t WHERE id = 1") + SYNC) == "1 ZI"
    client.send(FAILS_LATE + parse(b"", b"SELECT 2") + SYNC + parse(b"", b"SELECT ssn FROM t WHERE id = 1"))
    assert shown(client.until(b"Z")) == "1 2 D C 1 E22012 ZI"
    client.send(bind() + execute() + SYNC)
    answers = client.until(b"Z")
    assert shown(answers) == "1 2 D C ZI"
    assert not any(b"ssn-1" in payload for _, payload in answers)


def test_what_two_failed_segments_take_back_is_what_was_before_both(gateways: Open) -> None:
    """Of two failed segments that gave a name anew neither leaves its own behind."""
    client = Raw(gateways(MASKED).port)
    assert client.ask(parse(b"", b"SELECT ssn FROM t WHERE id = 1") + SYNC) == "1 ZI"
    for _ in range(2):
        client.send(FAILS_LATE + parse(b"", b"SELECT name FROM t WHERE id = 1") + SYNC)
    assert shown(client.until(b"Z", 2)) == "1 2 D C 1 E22012 ZI E42P05 ZI"
    client.send(bind() + execute() + SYNC)
    answers = client.until(b"Z")
    assert shown(answers) == "2 D C ZI"
    assert not any(b"ssn-1" in payload for _, payload in answers)


def test_a_pipeline_goes_on_while_the_failure_before_it_is_heard(gateways: Open) -> None:
    """The unnamed portal of a segment is its own when an earlier segment's failure comes behind its Bind."""
    client = Raw(gateways().port)
    assert client.ask(query(b"BEGIN")) == "C ZT"
    assert client.ask(run(b"SELECT 1") + SYNC) == "1 2 D C ZT"
    client.send(FAILS_LATE + bind() + SYNC + run(b"SELECT 1") + SYNC + parse(b"", b"ROLLBACK") + bind())
    assert shown(client.until(b"Z", 2)) == "1 2 D C 1 E22012 ZE E25P02 ZE"
    client.send(describe(b"P") + execute() + SYNC)
    assert shown(client.until(b"Z")) == "1 2 n C ZI"
