"""Statements of the hot path: prepared, one round trip, outside the ORM.

Outside a transaction a statement is a transaction of its own, so no BEGIN or COMMIT travels.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg
from django.db import DatabaseError, connection

Params = Sequence[Any] | Mapping[str, Any]


def fetch_one(sql: str, params: Params) -> tuple[Any, ...] | None:
    """Run a constant, prepared statement; its first row, or None."""
    with _executed(sql, params) as cursor:
        return cursor.fetchone()


def fetch_all(sql: str, params: Params) -> list[tuple[Any, ...]]:
    """The same, with all of its rows."""
    with _executed(sql, params) as cursor:
        return cursor.fetchall()


def execute(sql: str, params: Params) -> None:
    """The same, for a statement that has none."""
    with _executed(sql, params):
        pass


@contextmanager
def _executed(sql: str, params: Params) -> Iterator["psycopg.Cursor[tuple[Any, ...]]"]:
    connection.ensure_connection()
    with connection.wrap_database_errors, psycopg.Cursor(connection.connection) as cursor:
        cursor.execute(sql, params, prepare=True)
        yield cursor


__all__ = ["DatabaseError", "execute", "fetch_all", "fetch_one"]
