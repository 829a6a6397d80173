"""What a console request carries once the middleware has seated the person."""

from accounts.models import Account, Membership, User
from accounts.roles import Right
from queensmtp.console import SeatedRequest


class ConsoleRequest(SeatedRequest):
    # True to its type once `is_signed_in`; before that it is nobody.
    user: User
    is_signed_in: bool
    account: Account
    membership: Membership | None
    memberships: list[Membership]
    refused_right: Right | None
    has_failed: bool
