"""Tells the admins of what should not have happened to a key, once for each thing it is about."""

from uuid import UUID

from django.utils import timezone

from accounts import notices
from accounts.roles import Right
from queensmtp import hot

RAISE = """
INSERT INTO apikeys_alarm (account_id, kind, about, raised_at) VALUES (%s, %s, %s, now())
ON CONFLICT DO NOTHING RETURNING 1
"""


def is_first(*, account_id: UUID, kind: str, about: str) -> bool:
    """Whether nobody was told of this yet; whoever asks now is the one to tell.

    In the caller's transaction and tenant: when that fails, the next one tells.
    """
    return hot.fetch_one(RAISE, [account_id, kind, about]) is not None


def tell_admins(*, account_id: UUID, kind: str, subject: str, text: str) -> None:
    """An e-mail to owners and admins, in the caller's transaction and tenant."""
    notices.tell(
        account_id=account_id, to=Right.ACCOUNT_WRITE, kind=kind, subject=subject, text=text
    )


def this_hour() -> str:
    return timezone.now().strftime("%Y-%m-%dT%H")
