"""Functions that need more than "harmless", by group: what they do, and why they are in that group.

Names are pg_catalog's unless the group is of an extension. A name that takes several kinds of arguments has the group
of its most dangerous overload, but for those in `OVERLOADS`.
"""

from __future__ import annotations

from typing import Final

import msgspec

from checkrein.protocols.postgres import doors


class Group(msgspec.Struct, frozen=True):
    """Functions with the same consequence. `verb`, `kind` and `argument` describe the effect that a call carries.

    `argument` is the 0-based argument that names the effect's object; -1 when the object is named by `object`.
    """

    reason: str
    names: frozenset[str]
    verb: str = ""
    kind: str = ""
    argument: int = -1
    object: str = ""
    door: str = ""
    guard: str = ""


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


def _shut(door: str, names: str, guard: str = "") -> Group:
    return Group(doors.reason(guard or door), _names(names), door=door, guard=guard)


EFFECTS: Final = (
    Group("They advance or set a sequence.", _names("nextval setval"), verb="update", kind="sequence", argument=0),
    Group(
        "They show a sequence's value.",
        _names("currval pg_sequence_last_value pg_get_sequence_data"),
        verb="select",
        kind="sequence",
        argument=0,
    ),
    Group("It sends a notification.", _names("pg_notify"), "notify", "channel", 0, door=doors.NOTIFICATIONS),
    Group(
        "They take locks that other sessions wait for.",
        _names(
            """
            pg_advisory_lock pg_advisory_lock_shared pg_advisory_xact_lock pg_advisory_xact_lock_shared
            pg_try_advisory_lock pg_try_advisory_lock_shared pg_try_advisory_xact_lock
            pg_try_advisory_xact_lock_shared
            """
        ),
        verb="lock",
        kind="advisory",
        object="advisory",
    ),
    Group("It sets a setting, and is judged as SET is.", _names("set_config"), verb="set", kind="setting", argument=0),
)

SHUT: Final = (
    _shut(
        doors.SERVER_FILES,
        """
        pg_read_file pg_read_file_old pg_read_binary_file pg_stat_file pg_current_logfile lo_import lo_export
        pg_ls_dir pg_ls_logdir pg_ls_waldir pg_ls_tmpdir pg_ls_archive_statusdir pg_ls_replslotdir pg_ls_summariesdir
        pg_ls_logicalmapdir pg_ls_logicalsnapdir
        """,
        guard=doors.SERVER_FILES,
    ),
    Group(
        doors.reason(doors.REPLICATION),
        _names(
            """
            pg_create_logical_replication_slot pg_create_physical_replication_slot pg_copy_logical_replication_slot
            pg_copy_physical_replication_slot pg_drop_replication_slot pg_replication_slot_advance
            pg_sync_replication_slots pg_logical_slot_get_changes pg_logical_slot_get_binary_changes
            pg_logical_slot_peek_changes pg_logical_slot_peek_binary_changes pg_logical_emit_message
            pg_replication_origin_advance pg_replication_origin_create pg_replication_origin_drop
            pg_replication_origin_session_reset pg_replication_origin_session_setup
            pg_replication_origin_xact_reset pg_replication_origin_xact_setup
            """
        ),
        guard=doors.REPLICATION,
    ),
    _shut(
        doors.LARGE_OBJECTS,
        """
        lo_close lo_creat lo_create lo_from_bytea lo_get lo_lseek lo_lseek64 lo_open lo_put lo_tell lo_tell64
        lo_truncate lo_truncate64 lo_unlink loread lowrite
        """,
    ),
    _shut(
        doors.RUNS_TEXT,
        """
        query_to_xml query_to_xmlschema query_to_xml_and_xmlschema cursor_to_xml cursor_to_xmlschema
        table_to_xml table_to_xmlschema table_to_xml_and_xmlschema schema_to_xml schema_to_xmlschema
        schema_to_xml_and_xmlschema database_to_xml database_to_xmlschema database_to_xml_and_xmlschema
        ts_stat ts_rewrite currtid currtid2
        """,
    ),
    _shut(
        doors.BACKEND_CONTROL,
        """
        pg_cancel_backend pg_terminate_backend pg_reload_conf pg_rotate_logfile pg_rotate_logfile_old pg_promote
        pg_switch_wal pg_create_restore_point pg_backup_start pg_backup_stop pg_start_backup pg_stop_backup
        pg_wal_replay_pause pg_wal_replay_resume pg_log_backend_memory_contexts pg_log_standby_snapshot
        pg_stat_reset pg_stat_reset_backend_stats pg_stat_reset_replication_slot pg_stat_reset_shared
        pg_stat_reset_single_function_counters pg_stat_reset_single_table_counters pg_stat_reset_slru
        pg_stat_reset_subscription_stats pg_clear_attribute_stats pg_clear_relation_stats pg_restore_attribute_stats
        pg_restore_relation_stats brin_desummarize_range brin_summarize_new_values brin_summarize_range
        gin_clean_pending_list pg_import_system_collations pg_nextoid pg_stop_making_pinned_objects
        pg_extension_config_dump plpgsql_validator fmgr_c_validator fmgr_internal_validator fmgr_sql_validator
        binary_upgrade_add_sub_rel_state binary_upgrade_create_empty_extension
        binary_upgrade_logical_slot_has_caught_up binary_upgrade_replorigin_advance binary_upgrade_set_missing_value
        binary_upgrade_set_next_array_pg_type_oid binary_upgrade_set_next_heap_pg_class_oid
        binary_upgrade_set_next_heap_relfilenode binary_upgrade_set_next_index_pg_class_oid
        binary_upgrade_set_next_index_relfilenode binary_upgrade_set_next_multirange_array_pg_type_oid
        binary_upgrade_set_next_multirange_pg_type_oid binary_upgrade_set_next_pg_authid_oid
        binary_upgrade_set_next_pg_enum_oid binary_upgrade_set_next_pg_tablespace_oid
        binary_upgrade_set_next_pg_type_oid binary_upgrade_set_next_toast_pg_class_oid
        binary_upgrade_set_next_toast_pg_type_oid binary_upgrade_set_next_toast_relfilenode
        binary_upgrade_set_record_init_privs
        """,
    ),
    _shut(doors.OTHER_SESSIONS, "pg_stat_get_activity pg_stat_get_backend_activity"),
    _shut(
        doors.STATISTICS,
        """
        pg_mcv_list_items pg_current_wal_lsn pg_current_wal_insert_lsn pg_current_wal_flush_lsn pg_stat_get_wal
        pg_stat_get_backend_wal pg_stat_get_wal_senders pg_get_replication_slots pg_stat_get_tuples_hot_updated
        pg_stat_get_xact_tuples_hot_updated pg_control_checkpoint
        """,
    ),
    _shut(doors.CREDENTIALS, "pg_stat_get_wal_receiver"),
    _shut(
        doors.SERVER_CONFIGURATION,
        "pg_hba_file_rules pg_ident_file_mappings pg_show_all_file_settings pg_get_loaded_modules",
    ),
    _shut(
        doors.RAW_STORAGE,
        "pg_available_wal_summaries pg_wal_summary_contents pg_get_wal_summarizer_state pg_get_multixact_members",
    ),
)

OVERLOADS: Final[dict[str, frozenset[tuple[int, ...]]]] = {
    # ts_rewrite(tsquery, tsquery, tsquery) runs no text; ts_rewrite(tsquery, text) does.
    "ts_rewrite": frozenset({(3615, 3615, 3615)}),
}
"""Harmless overloads of names in SHUT, by argument types (oids)."""

HARMLESS_VOLATILE: Final = _names(
    """
    array_sample array_shuffle clock_timestamp timeofday timezone random random_normal setseed gen_random_uuid uuidv4
    uuidv7 current_query lastval amvalidate
    pg_sleep pg_sleep_for pg_sleep_until
    pg_advisory_unlock pg_advisory_unlock_shared pg_advisory_unlock_all
    pg_blocking_pids pg_safe_snapshot_blocking_pids pg_isolation_test_session_is_blocked pg_lock_status
    pg_collation_actual_version pg_database_collation_actual_version pg_jit_available
    pg_control_init pg_control_recovery pg_control_system
    pg_last_wal_receive_lsn
    pg_last_wal_replay_lsn pg_last_xact_replay_timestamp pg_get_wal_replay_pause_state pg_get_wal_resource_managers
    pg_is_in_backup pg_is_in_recovery pg_is_wal_replay_paused
    pg_database_size pg_indexes_size pg_relation_size pg_table_size pg_tablespace_size pg_total_relation_size
    pg_export_snapshot pg_last_committed_xact pg_prepared_xact pg_xact_commit_timestamp
    pg_xact_commit_timestamp_origin pg_xact_status txid_status
    pg_get_aios pg_get_backend_memory_contexts pg_get_shmem_allocations pg_get_shmem_allocations_numa
    pg_get_wait_events pg_notification_queue_usage pg_partition_ancestors pg_partition_tree
    pg_replication_origin_progress pg_replication_origin_session_is_setup pg_replication_origin_session_progress
    pg_show_replication_origin_status
    pg_stat_clear_snapshot pg_stat_force_next_flush pg_stat_get_backend_io pg_stat_get_io
    pg_stat_get_recovery_prefetch pg_stat_have_stats
    pg_stat_get_xact_blocks_fetched pg_stat_get_xact_blocks_hit pg_stat_get_xact_function_calls
    pg_stat_get_xact_function_self_time pg_stat_get_xact_function_total_time pg_stat_get_xact_numscans
    pg_stat_get_xact_tuples_deleted pg_stat_get_xact_tuples_fetched
    pg_stat_get_xact_tuples_inserted pg_stat_get_xact_tuples_newpage_updated pg_stat_get_xact_tuples_returned
    pg_stat_get_xact_tuples_updated
    """
)
"""Volatile functions that were looked at: time, randomness, the server's state and sizes; none changes data."""

KNOWN_EXTENSIONS: Final = frozenset(
    """
    btree_gin btree_gist citext cube earthdistance fuzzystrmatch hstore intarray isn ltree pg_trgm pgcrypto plpgsql
    postgis seg tsm_system_rows tsm_system_time unaccent uuid-ossp vector
    """.split()
)
"""Extensions whose members compute with their arguments alone, but for those in EXTENSION_UNKNOWN."""

EXTENSION_UNKNOWN: Final[dict[str, frozenset[str]]] = {
    # They build and run statements of their own, or read statistics of any table.
    "postgis": _names(
        """
        addgeometrycolumn dropgeometrycolumn dropgeometrytable updategeometrysrid populate_geometry_columns find_srid
        addauth checkauth checkauthtrigger disablelongtransactions enablelongtransactions lockrow unlockrows
        gettransactionid longtransactionsenabled postgis_extensions_upgrade postgis_addbbox st_estimatedextent
        st_findextent _postgis_stats _postgis_selectivity _postgis_join_selectivity _postgis_index_extent
        postgis_constraint_srid postgis_constraint_type postgis_constraint_dims postgis_full_version
        """
    ),
    "plpgsql": _names("plpgsql_call_handler plpgsql_inline_handler plpgsql_validator"),
}

EXTENSION_DOORS: Final[dict[str, str]] = {
    "adminpack": doors.SERVER_FILES,
    "file_fdw": doors.SERVER_FILES,
    "dblink": doors.OTHER_DATABASE,
    "postgres_fdw": doors.OTHER_DATABASE,
    "tablefunc": doors.RUNS_TEXT,
    "xml2": doors.RUNS_TEXT,
    "lo": doors.LARGE_OBJECTS,
    "amcheck": doors.RAW_STORAGE,
    "pageinspect": doors.RAW_STORAGE,
    "pg_buffercache": doors.RAW_STORAGE,
    "pg_freespacemap": doors.RAW_STORAGE,
    "pg_prewarm": doors.RAW_STORAGE,
    "pg_surgery": doors.RAW_STORAGE,
    "pg_visibility": doors.RAW_STORAGE,
    "pg_walinspect": doors.RAW_STORAGE,
    "pgrowlocks": doors.RAW_STORAGE,
    "pgstattuple": doors.RAW_STORAGE,
    "pg_stat_statements": doors.OTHER_SESSIONS,
}
"""Extensions all of whose functions are behind a door."""
