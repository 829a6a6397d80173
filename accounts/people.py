"""From a signed-in person to the actor of an audit entry."""

from typing import cast
from uuid import UUID

from django.http import HttpRequest

from accounts.models import User
from queensmtp.actors import Actor, Origin


def actor_of(user: User, *, account_id: UUID, origin: Origin) -> Actor:
    return Actor(
        type="user", id=str(user.pk), label=user.email, account_id=account_id, origin=origin
    )


def origin_of(request: HttpRequest) -> Origin:
    return cast(Origin, request.origin)  # type: ignore[attr-defined]


def unknown_person(*, account_id: UUID, origin: Origin) -> Actor:
    """Someone who gave an address that nobody has. What they typed may be a password: not kept."""
    return Actor(type="user", id="", label="unknown", account_id=account_id, origin=origin)
