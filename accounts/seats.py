"""Where a person may sit: their memberships, found before any tenant is known."""

from uuid import UUID

from django.db import connection

from accounts.models import Account, Membership


def memberships_of(user_id: UUID) -> list[Membership]:
    """The person's memberships of active accounts, oldest first, each with its account."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT membership_id, role, joined_at, account_id, account_name, account_plan,"
            " account_status, account_created_at FROM memberships_of(%s)",
            [user_id],
        )
        rows = cursor.fetchall()
    return [_membership(user_id, row) for row in rows]


def _membership(user_id: UUID, row: tuple) -> Membership:  # type: ignore[type-arg]
    membership_id, role, joined_at, account_id, name, plan, status, created_at = row
    account = Account(id=account_id, name=name, plan=plan, status=status, created_at=created_at)
    return Membership(
        id=membership_id, account=account, user_id=user_id, role=role, created_at=joined_at
    )
