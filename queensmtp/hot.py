"""Statements of the hot path: prepared, one round trip, outside the ORM.

Outside a transaction a statement is a transaction of its own, so no BEGIN or COMMIT travels.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg
from django.db import DatabaseError, InterfaceError, OperationalError, connection
from django.db.backends.base.base import BaseDatabaseWrapper

Params = Sequence[Any] | Mapping[str, Any]
# SQLSTATE classes of a connection that ended: the server did not say that it undid anything.
ENDED = ("08", "57")
LOCK_NOT_AVAILABLE = "55P03"


def may_be_done(error: Exception) -> bool:
    """Whether a statement that failed so may have been committed all the same."""
    if not isinstance(error, OperationalError | InterfaceError):
        return False
    state = getattr(error.__cause__, "sqlstate", None)
    return state is None or state.startswith(ENDED)


def waited_too_long(error: Exception) -> bool:
    """Whether somebody else held a lock for longer than a connection waits."""
    return getattr(error.__cause__, "sqlstate", None) == LOCK_NOT_AVAILABLE


def plan_once(connection: BaseDatabaseWrapper, **_: Any) -> None:
    """When a connection is made: plan a prepared statement for whatever its values are.

    The statements of the hot path find a few rows by their indexes. Planning one anew for each
    call costs as much as running it, and Postgres goes on to do so where it thinks that pays.
    """
    with connection.cursor() as cursor:
        cursor.execute("SET plan_cache_mode = force_generic_plan")


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


__all__ = ["DatabaseError", "execute", "fetch_all", "fetch_one", "may_be_done", "waited_too_long"]
