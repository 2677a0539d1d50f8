"""What a client may set: which settings are free, which the gateway answers itself, which are refused.

The free ones hold what clients send, and settings of their kind that the manual describes. What psql, pg_dump, pgbench,
psycopg, asyncpg, pg8000, SQLAlchemy, Django and pgx set is captured on the wire by a test and held against these lists;
for pgjdbc, Npgsql, node-postgres, DBeaver and Metabase they were written from knowledge of them and not tried. None of
them alters how a text is read, who runs it, what is logged, or what the server loads. What is not listed is refused.

Source: PostgreSQL manual, chapter "Server Configuration".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

FREE: Final = "free"
LOCAL: Final = "local"
REFUSED: Final = "refused"

_CONVERSATION: Final = frozenset(
    """
    datestyle intervalstyle timezone extra_float_digits client_min_messages lc_monetary lc_numeric lc_time xmlbinary
    xmloption default_text_search_config search_path quote_all_identifiers seed row_security
    tcp_keepalives_idle tcp_keepalives_interval tcp_keepalives_count tcp_user_timeout
    statement_timeout lock_timeout idle_in_transaction_session_timeout idle_session_timeout transaction_timeout
    client_connection_check_interval deadlock_timeout
    """.split()
)
"""How values look, what names mean, and how long things may take. `row_security` off makes a query fail, not bypass."""

_TRANSACTION: Final = frozenset(
    """
    default_transaction_isolation default_transaction_read_only default_transaction_deferrable
    transaction_isolation transaction_read_only transaction_deferrable
    """.split()
) | {"transaction", "session characteristics", "transaction snapshot"}

_PLANNER: Final = frozenset(
    """
    work_mem maintenance_work_mem hash_mem_multiplier temp_buffers effective_cache_size effective_io_concurrency
    seq_page_cost random_page_cost cpu_tuple_cost cpu_index_tuple_cost cpu_operator_cost
    parallel_setup_cost parallel_tuple_cost min_parallel_table_scan_size min_parallel_index_scan_size
    max_parallel_workers max_parallel_workers_per_gather max_parallel_maintenance_workers parallel_leader_participation
    force_parallel_mode debug_parallel_query from_collapse_limit join_collapse_limit cursor_tuple_fraction
    plan_cache_mode constraint_exclusion gin_fuzzy_search_limit default_statistics_target recursive_worktable_factor
    jit jit_above_cost jit_inline_above_cost jit_optimize_above_cost
    geqo geqo_threshold geqo_effort geqo_pool_size geqo_generations geqo_selection_bias geqo_seed
    enable_async_append enable_bitmapscan enable_distinct_reordering enable_gathermerge enable_group_by_reordering
    enable_hashagg enable_hashjoin enable_incremental_sort enable_indexonlyscan enable_indexscan enable_material
    enable_memoize enable_mergejoin enable_nestloop enable_parallel_append enable_parallel_hash enable_partition_pruning
    enable_partitionwise_aggregate enable_partitionwise_join enable_presorted_aggregate enable_self_join_elimination
    enable_seqscan enable_sort enable_tidscan
    """.split()
)
"""How a statement is carried out, never what it means."""

_DUMP_AND_RESTORE: Final = frozenset(
    """
    synchronize_seqscans default_tablespace temp_tablespaces default_table_access_method default_toast_compression
    default_with_oids check_function_bodies restrict_nonsystem_relation_kind
    """.split()
)

FREE_SETTINGS: Final = _CONVERSATION | _TRANSACTION | _PLANNER | _DUMP_AND_RESTORE
LOCAL_SETTINGS: Final = frozenset({"application_name"})
"""Answered by the gateway without forwarding: on the target this carries the principal."""

REFUSED_SETTINGS: Final[dict[str, str]] = {
    "role": "the session keeps the role of its profile",
    "session_authorization": "the session keeps the role of its profile",
    "session_replication_role": "it switches triggers and foreign keys off",
    "backslash_quote": "it alters how a text is read",
    "escape_string_warning": "it belongs to how a text is read",
    "operator_precedence_warning": "it belongs to how a text is read",
    "transform_null_equals": "it alters how a text is read",
    "array_nulls": "it alters how a text is read",
    "allow_system_table_mods": "it opens the system catalog to writes",
    "zero_damaged_pages": "it destroys data",
    "ignore_checksum_failure": "it destroys data",
    "lo_compat_privileges": "it switches off privileges of large objects",
    "dynamic_library_path": "it loads code into the server",
    "local_preload_libraries": "it loads code into the server",
    "session_preload_libraries": "it loads code into the server",
    "jit_provider": "it loads code into the server",
    "password_encryption": "it weakens stored passwords",
    "lc_messages": "the server's error texts are recognised in its own language",
    "synchronous_commit": "an answer would no longer mean that the work is kept",
}
"""Refused with a reason of their own; the rest of what is not listed is refused as unknown."""

_ONLY_VALUES: Final[dict[str, frozenset[str]]] = {
    # Encodings in which no second byte of a character is a quote or a backslash.
    "client_encoding": frozenset({"utf8", "unicode", "latin1", "iso88591", "sqlascii"}),
    "standard_conforming_strings": frozenset({"on", "true", "tru", "tr", "t", "yes", "ye", "y", "1"}),
    # Masks and detectors decode bytea by its hex form.
    "bytea_output": frozenset({"hex"}),
}

_EXTENSION_PREFIXES: Final = frozenset(
    """
    anon auto_explain citus cron documentdb pgaudit pg_cron pg_net pg_stat_statements pg_tle pgsodium plperl plpython
    pljava plrust pltcl plv8 postgis rds sepgsql set_user supautils timescaledb vault
    """.split()
)
"""Prefixes of extensions whose settings switch auditing, masking, code or files; other dotted names are a client's."""


def setting_class(name: str, value: str | None) -> str:
    """Return "free", "local" or "refused" for SET name = value.

    `name` in any case (`TIME ZONE` and `NAMES` included as their settings); `value` is None when it is computed,
    DEFAULT or otherwise not to be seen in the text.
    """
    key = normalise(name)
    if key in LOCAL_SETTINGS:
        return LOCAL
    if key in _ONLY_VALUES:
        return FREE if value is not None and _plain(value) in _ONLY_VALUES[key] else REFUSED
    if key in FREE_SETTINGS:
        return FREE
    prefix, dot, rest = key.partition(".")
    return FREE if dot and prefix and rest and prefix not in _EXTENSION_PREFIXES else REFUSED


def refusal_reason(name: str) -> str:
    """Return the sentence that says why a setting is refused."""
    key = normalise(name)
    if key in _ONLY_VALUES:
        return f"{key} may only be set to {' or '.join(sorted(_ONLY_VALUES[key]))}"
    if key.startswith(("log_", "debug_")):
        return f"{key} may not be set: it changes what the server logs"
    return (
        f"{key} may not be set: {REFUSED_SETTINGS.get(key, 'it is not on the list of settings known to be harmless')}"
    )


def normalise(name: str) -> str:
    """Return a setting's own name: lower case, with the names that SQL has for it beside (SET TIME ZONE, SET NAMES)."""
    key = " ".join(name.strip().lower().split())
    return {"time zone": "timezone", "names": "client_encoding"}.get(key, key)


def _plain(value: str) -> str:
    """An encoding's or Boolean's name as the server compares it: letters and digits alone, in lower case."""
    return "".join(character for character in value.lower() if character.isascii() and character.isalnum())


class StartupParameters(msgspec.Struct, frozen=True):
    """A start-up message's parameters, sorted.

    `forward` are settings for the target (those of `options` among them); `application` what the client calls itself;
    `refused` are sentences, empty when the start-up may go on.
    """

    forward: dict[str, str]
    application: str = ""
    refused: tuple[str, ...] = ()


_NOT_SETTINGS: Final = frozenset({"user", "database", "options", "replication"})
_OFF: Final = frozenset({"", "0", "f", "false", "off", "n", "no"})


def startup_parameters(given: Mapping[str, str]) -> StartupParameters:
    """Sort the parameters of a start-up message; `_pq_.` names are the protocol's own and left out.

    The classes are those of SET, since a start-up parameter and `options` set the same settings (manual, "Message
    Formats", StartupMessage).
    """
    settings: dict[str, str] = {}
    refused: list[str] = []
    if given.get("replication", "").lower() not in _OFF:
        refused.append("replication connections are not let through")
    options = parse_options(given.get("options", ""))
    if options is None:
        refused.append("options may hold -c name=value and --name=value alone")
    for name, value in [*given.items(), *(options or ())]:
        if name in _NOT_SETTINGS or name.startswith("_pq_."):
            continue
        settings[normalise(name)] = value
    application = settings.pop("application_name", "")
    refused += [refusal_reason(name) for name, value in settings.items() if setting_class(name, value) != FREE]
    return StartupParameters(settings, application, tuple(refused))


def parse_options(text: str) -> list[tuple[str, str]] | None:
    """Return the settings in a start-up message's `options`; None when it holds any other switch.

    Words are split at white space unless escaped by a backslash (postinit.c, pg_split_opts).
    """
    found: list[tuple[str, str]] = []
    words = iter(_split_options(text))
    for word in words:
        if word == "-c":
            setting = next(words, "")
        elif word.startswith(("--", "-c")):
            setting = word[2:]
        else:
            return None
        name, equals, value = setting.partition("=")
        if not name or not equals:
            return None
        found.append((name.replace("-", "_"), value))
    return found


def _split_options(text: str) -> list[str]:
    words: list[str] = []
    word: list[str] = []
    inside = escaped = False
    for character in text:
        if escaped:
            word.append(character)
            escaped = False
        elif character == "\\":
            escaped = inside = True
        elif character.isspace():
            if inside:
                words.append("".join(word))
                word, inside = [], False
        else:
            word.append(character)
            inside = True
    if inside:
        words.append("".join(word))
    return words
