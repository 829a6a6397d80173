"""What keys may do by now, for workers: they let go what was scheduled with a key long before.

Workers have no right to what keys may do. A function of the database shows them the limits of
keys that they name, and nothing of the secret.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db import connection

from apikeys import policy
from apikeys.models import LeakedKey, StoppedKey
from queensmtp import scopes
from queensmtp.scopes import Scope

LEAKED, STOPPED = "key_leaked", "key_stopped"


@dataclass(frozen=True, slots=True)
class Standing:
    """The limits of one key. An ordinary end of its life stops no mail that it had scheduled,
    unless who revoked it asked for that."""

    id: UUID
    scopes: tuple[str, ...]
    domains: tuple[str, ...] | None
    allowed_recipients: tuple[str, ...] | None
    is_leaked: bool
    is_stopped: bool

    def why_not(self, domain: str, recipients: Iterable[str]) -> str | None:
        """The reason why it may not send this any more, or None."""
        if self.is_leaked:
            return LEAKED
        if self.is_stopped:
            return STOPPED
        if Scope.EMAIL_SEND not in scopes.granted(self.scopes):
            return policy.Reason.SCOPE
        refusal = policy.may_send_from(self, domain) or policy.may_send_to(self, recipients)
        return refusal.reason if refusal else None


def of_keys(key_ids: Iterable[UUID]) -> dict[UUID, Standing]:
    """The standing of these keys, in one query (role worker)."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM api_key_standing(%s)", [list(key_ids)])
        found = [_standing(row) for row in cursor.fetchall()]
    return {one.id: one for one in found}


def ended_since(moment: datetime) -> dict[UUID, str]:
    """The keys whose scheduled mail is to be canceled since this moment, each with the reason."""
    stopped = StoppedKey.objects.filter(stopped_at__gte=moment).values_list("key_id", flat=True)
    leaked = LeakedKey.objects.filter(reported_at__gte=moment).values_list("key_id", flat=True)
    return {**dict.fromkeys(stopped, STOPPED), **dict.fromkeys(leaked, LEAKED)}


def _standing(row: Sequence[object]) -> Standing:
    key_id, *lists, is_leaked, is_stopped = row
    held, domains, recipients = (tuple(one) if isinstance(one, list) else None for one in lists)
    assert isinstance(key_id, UUID)
    return Standing(key_id, held or (), domains, recipients, bool(is_leaked), bool(is_stopped))
