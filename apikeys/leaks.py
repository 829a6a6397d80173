"""Takes in leaked keys: each one that is true and lives is revoked at once, whoever reports it."""

from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from django.conf import settings
from django.utils import timezone

from apikeys import actions, alarms, decoys, gate, policy, tokens
from apikeys.announcements import announce, facts_of
from apikeys.models import ApiKey, LeakedKey
from apikeys.policy import KeyRecord, Reason
from apikeys.tokens import Token
from queensmtp import tenancy
from queensmtp.actors import Actor, Origin

KIND = "api_key.leaked"
SOURCE_LIMIT, URL_LIMIT = 100, 2_000
# A thief may have made thousands; the count tells of them all.
CREATED_KEYS_SHOWN = 100

TEXT = """\
The API key {name} ({masked}) was reported as leaked, and was revoked at once.

Found by: {source}
Where: {url}

{made}

Mail that it queued is held. Give what used it a new key, then see in the audit log what was done \
with this one: its id is {id}.
"""


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
    if record is not None and refusal is not None and refusal.reason == Reason.DECOY:
        decoys.raise_alarm(record, origin=origin, how="reported as leaked")
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
        _tell(key, made, source, url)
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


def _tell(key: ApiKey, made: list[ApiKey], source: str, url: str) -> None:
    announce(
        key,
        KIND,
        source=source or None,
        url=url or None,
        created_keys=[facts_of(one) for one in made[:CREATED_KEYS_SHOWN]],
        created_keys_count=len(made),
    )
    alarms.tell_admins(
        account_id=key.account_id,
        kind=KIND,
        subject=f"API key {key.name} leaked and is revoked",
        text=TEXT.format(
            name=key.name,
            masked=key.masked,
            id=key.pk,
            source=source or "not said",
            url=url or "not said",
            made=_listed(made),
        ),
    )


def _listed(made: list[ApiKey]) -> str:
    if not made:
        return "It created no other keys."
    names = [f"- {one.name} ({one.masked})" for one in made[:CREATED_KEYS_SHOWN]]
    head = f"It created {len(made)} other keys, which are not revoked. Look at them first:"
    return "\n".join([head, *names])
