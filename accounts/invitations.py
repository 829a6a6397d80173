"""The link of an invitation, and the letter that carries it.

The link holds account and invitation under a MAC, and is put in when the letter leaves: who reads
the database finds no way in. It is shown to nobody, so that who invites cannot answer instead.
"""

from datetime import timedelta
from uuid import UUID

from django.conf import settings
from django.core import signing
from django.urls import reverse

from accounts.models import Invitation

LASTS = timedelta(days=7)
SALT = "accounts.invitation"

LETTER = """{inviter} invites you to the account {account} at QueenSMTP, with the role {role}.

Open this link to accept. It works once, until {until} UTC:"""

# RFC 3676 4.3: what follows "-- " on a line of its own is a signature.
FOOTER = "\n\n-- \nIf you do not expect this, do nothing: the invitation ends by itself.\n"


def token_of(invitation: Invitation) -> str:
    return signing.dumps([str(invitation.account_id), str(invitation.pk)], salt=SALT)


def find_place(token: str) -> tuple[UUID, UUID] | None:
    """The account and the invitation that a token of ours names; None for any other."""
    try:
        account_id, invitation_id = signing.loads(token, salt=SALT)
    except signing.BadSignature:
        return None
    return UUID(account_id), UUID(invitation_id)


def letter_without_link(invitation: Invitation) -> str:
    return LETTER.format(
        inviter=invitation.invited_by.email,
        account=" ".join(invitation.account.name.split()),
        role=invitation.role,
        until=f"{invitation.expires_at:%d %b %Y, %H:%M}",
    )


def link_and_footer(invitation: Invitation) -> str:
    path = reverse("invitation", args=[token_of(invitation)])
    return f"\n\n{settings.CONSOLE_URL}{path}{FOOTER}"
