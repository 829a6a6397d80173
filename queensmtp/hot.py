"""Statements of the hot path: prepared, one round trip, outside the ORM.

Outside a transaction a statement is a transaction of its own, so no BEGIN or COMMIT travels.
"""

from collections.abc import Sequence
from typing import Any

import psycopg
from django.db import DatabaseError, connection


def fetch_one(sql: str, params: Sequence[Any]) -> tuple[Any, ...] | None:
    """Run a constant, prepared statement; its first row, or None."""
    connection.ensure_connection()
    with connection.wrap_database_errors, psycopg.Cursor(connection.connection) as cursor:
        cursor.execute(sql, params, prepare=True)
        return cursor.fetchone()


__all__ = ["DatabaseError", "fetch_one"]
