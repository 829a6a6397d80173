"""What a console request carries once the middleware has seated the person."""

from django.http import HttpRequest

from accounts.models import Account, Membership, User
from accounts.roles import Right
from queensmtp.actors import Actor


class ConsoleRequest(HttpRequest):
    user: User
    account: Account
    actor: Actor
    membership: Membership | None
    memberships: list[Membership]
    refused_right: Right | None
    has_failed: bool
