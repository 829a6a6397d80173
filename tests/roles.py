"""Which database role a test works as.

The test connection is a superuser's that has taken a lesser role: `current_user` decides about
rights and policies, so they bind exactly as they bind the role itself, while one connection, and
so one transaction, can take several roles in turn.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection

ROLES = ("app", "worker", "owner", "lookup", "retention")


@contextmanager
def as_role(role: str) -> Iterator[None]:
    """Take a role until the end of the block, then the one from before."""
    before = current_role()
    _take(role)
    try:
        yield
    finally:
        if not connection.needs_rollback:
            _take(before)


def current_role() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_user::text")
        return str(cursor.fetchone()[0])


def _take(role: str) -> None:
    if role not in ROLES:
        raise ValueError(f"{role} is no role of QueenSMTP")
    with connection.cursor() as cursor:
        cursor.execute(f"SET ROLE {role}")
