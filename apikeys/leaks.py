"""Takes in leaked keys: each one that is true and lives is revoked at once, whoever reports it."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.conf import settings
from django.utils import timezone

from apikeys import actions, gate, policy, tokens
from apikeys.models import ApiKey, LeakedKey
from apikeys.policy import KeyRecord, Reason
from apikeys.tokens import Token
from queensmtp import tenancy
from queensmtp.actors import Actor, Origin
from queensmtp.ids import new_id
from webhooks import actions as webhooks
from webhooks.payloads import WebhookEvent

SOURCE_LIMIT, URL_LIMIT = 100, 2_000
# A thief may have made thousands; the count tells of them all.
CREATED_KEYS_SHOWN = 100


@dataclass(frozen=True, slots=True)
class Sighting:
    """What may be a key, and where somebody found it."""

    text: str
    source: str = ""
    url: str = ""


def report(sightings: Iterable[Sighting], *, origin: Origin) -> int:
    """Revoke the live keys among what was found, each in its own tenant's transaction.

    Answers how many there were. The same report again changes nothing more.
    """
    found = {token.text: (token, one) for one in sightings if (token := _token_of(one))}
    records = gate.find_records({token.public_id for token, _ in found.values()})
    return sum(
        _revoke(record, token, sighting, origin)
        for token, sighting in found.values()
        if (record := _genuine(records.get(token.public_id), token, origin))
    )


def _token_of(sighting: Sighting) -> Token | None:
    return tokens.parse(sighting.text.strip())


def _genuine(record: KeyRecord | None, token: Token, origin: Origin) -> KeyRecord | None:
    """The record, if this is its token. A miss costs what a hit costs.

    The policy decides, as for a request. Whoever reports a key need not stand in its allowlist,
    and only a holder of the true secret gets as far as that.
    """
    refusal = policy.authenticate(
        record, token, address=origin.ip, now=timezone.now(), peppers=dict(settings.KEY_PEPPERS)
    )
    return record if refusal is None or refusal.reason == Reason.IP_NOT_ALLOWED else None


def _revoke(record: KeyRecord, token: Token, sighting: Sighting, origin: Origin) -> bool:
    source = _without(token, sighting.source)[:SOURCE_LIMIT]
    url = _without(token, sighting.url)[:URL_LIMIT]
    with tenancy.tenant(record.account_id):
        made = _keys_made_by(record.id)
        key = actions.revoke_leaked(
            by=_actor(record, origin),
            key_id=record.id,
            reason=f"leaked: {source}" if source else "leaked",
            facts={
                "source": source,
                "url": url,
                "reporter": origin.ip,
                "created_keys": [str(one.pk) for one in made[:CREATED_KEYS_SHOWN]],
                "created_keys_count": len(made),
            },
        )
        if key is None:
            return False
        LeakedKey.objects.create(key=key, account_id=key.account_id, source=source, url=url)
        webhooks.enqueue(account_id=key.account_id, events=[_event(key, made, source, url)])
    return True


def _without(token: Token, text: str) -> str:
    """A place may name the key itself, as a search's address does."""
    return tokens.masked(text).replace(token.text[len(token.prefix) :], "…")


def _keys_made_by(key_id: UUID) -> list[ApiKey]:
    """The keys that a key created, and those that these created, oldest first."""
    found: dict[UUID, ApiKey] = {}
    makers = {key_id}
    while makers:
        made = ApiKey.objects.filter(created_by_key_id__in=makers).in_bulk()
        makers = made.keys() - found.keys()
        found |= made
    return [found[id] for id in sorted(found)]


def _actor(record: KeyRecord, origin: Origin) -> Actor:
    return Actor(
        type="system",
        id="leak-reports",
        label="leak reports",
        account_id=record.account_id,
        origin=origin,
        labels=record.labels,
    )


def _event(key: ApiKey, made: list[ApiKey], source: str, url: str) -> WebhookEvent:
    data = {
        **_shown(key),
        "source": source or None,
        "url": url or None,
        "created_keys": [_shown(one) for one in made[:CREATED_KEYS_SHOWN]],
        "created_keys_count": len(made),
    }
    assert key.revoked_at is not None
    return WebhookEvent(new_id(), "api_key.leaked", key.revoked_at, data)


def _shown(key: ApiKey) -> dict[str, Any]:
    return {"id": str(key.pk), "name": key.name, "prefix": key.prefix, "last4": key.last4}
