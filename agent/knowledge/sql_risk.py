"""Judges whether SQL only reads: every statement a query, every function known to have no effect. Pure."""

from __future__ import annotations

import re

_SQL_START = re.compile(r"^\s*(select|show|explain|with|values|table)\b", re.IGNORECASE)
_SQL_CHANGE = re.compile(
    r"\b(insert|update|delete|drop|alter|create|truncate|grant|revoke|vacuum|reindex|into|copy|call|do|lock"
    r"|set)\b|\bfor\s+(update|share|no\s+key|key)\b",
    re.IGNORECASE,
)
_SQL_CALL = re.compile(r"\b([a-z_][a-z0-9_.]*)\s*\(", re.IGNORECASE)
_SQL_READING_FUNCTIONS = frozenset(
    """
    abs age avg bool_and bool_or cardinality ceil coalesce concat count current_setting date_trunc
    exists extract filter floor format greatest in least left length lower max min nullif now over
    round string_agg array_agg substr substring sum to_char unnest upper values array any all and or
    not on as using from where by join pg_blocking_pids pg_size_pretty pg_database_size
    pg_relation_size pg_total_relation_size pg_table_size pg_indexes_size pg_is_in_recovery
    pg_current_wal_lsn pg_wal_lsn_diff pg_last_wal_replay_lsn pg_last_xact_replay_timestamp
    pg_postmaster_start_time pg_backend_pid pg_get_indexdef pg_ls_waldir
    """.split()  # noqa: SIM905 - one word a line would bury the rest
)


def sql_reads(sql: str) -> bool:
    """Tell whether all statements in `sql` surely only read; what is unknown does not."""
    bare = re.sub(r"--[^\n]*|/\*.*?\*/", " ", sql, flags=re.DOTALL)
    bare = re.sub(r"'(?:[^']|'')*'", "''", bare)
    statements = [statement for statement in bare.split(";") if statement.strip()]
    return bool(statements) and all(
        _SQL_START.match(statement)
        and not _SQL_CHANGE.search(statement)
        and all(name.lower() in _SQL_READING_FUNCTIONS for name in _SQL_CALL.findall(statement))
        for statement in statements
    )
