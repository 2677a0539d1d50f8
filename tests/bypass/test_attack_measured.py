"""PG-B70: what an update costs the server tells how its new values differ from the masked ones that were there."""

from __future__ import annotations

import pytest

from tests.bypass.attack import query
from tests.bypass.leak import SSN, Leaks


@pytest.mark.parametrize("options", ["ANALYZE", "(ANALYZE, WAL)", "(ANALYZE, BUFFERS, FORMAT json)"])
def test_pg_b70_an_update_is_not_measured(leaks: Leaks, options: str) -> None:
    """EXPLAIN ANALYZE would count the bytes of WAL, which leaves out what a guess shares with the value at each end."""
    with leaks.unchanged("wide"):
        leaks.must_refuse(
            f"EXPLAIN {options} UPDATE wide SET ssn = '{SSN}' WHERE id = 1",
            f"EXPLAIN {options} WITH w AS (UPDATE wide SET ssn = '{SSN}' WHERE id = 1 RETURNING id) SELECT * FROM w",
            f"EXPLAIN {options} MERGE INTO wide USING (SELECT 1 AS i) s ON id = s.i "
            f"WHEN MATCHED THEN UPDATE SET ssn = '{SSN}'",
        )
    leaks.must_answer(
        f"EXPLAIN {options} UPDATE wide SET more = 'x' WHERE id = 1",
        f"EXPLAIN {options} SELECT ssn FROM wide WHERE id = 1",
        f"EXPLAIN UPDATE wide SET ssn = '{SSN}' WHERE id = 1",
        f"UPDATE wide SET ssn = '{SSN}' WHERE id = 1 RETURNING id",
        pieces=False,
    )


def test_pg_b70_a_prepared_update_is_not_measured(leaks: Leaks) -> None:
    """Neither is one that was prepared before."""
    with leaks.raw() as raw:
        raw.ask(query(b"PREPARE guess AS UPDATE wide SET ssn = $1 WHERE id = 1"))
        assert "E42501" in raw.ask(query(b"EXPLAIN (ANALYZE, WAL) EXECUTE guess ('x')"))


def test_pg_b70_counters(leaks: Leaks) -> None:
    """The position of the WAL, and what else counts its bytes or updates in place, are behind a door."""
    leaks.must_refuse(
        "SELECT pg_current_wal_insert_lsn()",
        "SELECT pg_current_wal_lsn() - '0/0'",
        "SELECT pg_current_wal_flush_lsn()",
        "SELECT redo_lsn FROM pg_control_checkpoint()",
        "SELECT wal_bytes FROM pg_stat_wal",
        "SELECT wal_bytes FROM pg_stat_get_wal()",
        "SELECT sent_lsn FROM pg_stat_replication",
        "SELECT * FROM pg_stat_get_wal_senders()",
        "SELECT restart_lsn FROM pg_replication_slots",
        "SELECT n_tup_hot_upd FROM pg_stat_xact_user_tables",
        "TABLE pg_stat_xact_user_tables",
        "SELECT pg_stat_get_xact_tuples_hot_updated('wide'::regclass)",
        "SELECT pg_stat_get_tuples_hot_updated('wide'::regclass)",
    )
    leaks.must_answer(
        "SELECT relname, n_live_tup, n_tup_upd FROM pg_stat_user_tables LIMIT 2",
        "SELECT wal_buffers_full FROM pg_stat_wal",
        "SELECT count(*) FROM pg_stat_replication",
        pieces=False,
    )
