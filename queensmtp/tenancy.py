"""The one place where the tenant of a unit of work is set (`design.md` 2.1).

Row-level security reads `app.account_id`. It is only ever set transaction-locally, so that a
connection which goes back to a pool carries no tenant.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from uuid import UUID

from django.db import connection, transaction

# Owns what belongs to no tenant: sign-ins of unknown people, system events of the platform.
PLATFORM_ACCOUNT_ID = UUID(int=0)

_current: ContextVar[UUID | None] = ContextVar("current_account_id", default=None)


def current_account_id() -> UUID | None:
    """The tenant of the unit of work that is running, or None."""
    return _current.get()


@contextmanager
def tenant(account_id: UUID) -> Iterator[None]:
    """Run a transaction as one tenant; nested uses restore the outer tenant on the way out."""
    outer = _current.get()
    token = _current.set(account_id)
    try:
        with transaction.atomic():
            set_for_transaction(account_id)
            yield
            # An exception rolls the setting back with the savepoint; a normal end does not.
            set_for_transaction(outer)
    finally:
        _current.reset(token)


def set_for_transaction(account_id: UUID | None) -> None:
    """Tell Postgres the tenant until the transaction ends; None means that no row is visible."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT set_config('app.account_id', %s, true)",
            [str(account_id) if account_id else ""],
        )
