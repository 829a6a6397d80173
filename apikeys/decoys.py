"""Decoy keys: laid out where only a thief looks. They authorise nothing and raise an alarm."""

from apikeys import alarms, networks
from apikeys.announcements import announce
from apikeys.audit import Event
from apikeys.models import ApiKey
from apikeys.policy import KeyRecord
from auditlog import actions as audit
from queensmtp import tenancy
from queensmtp.actors import Actor, Origin, Target

KIND = "api_key.decoy_used"

TEXT = """\
Somebody presented the decoy key {name} ({masked}).

From: {address}
Client: {user_agent}
Request: {request_id}

Nobody has a reason to use this key: whoever did has been where you laid it out. Look there for \
other secrets, and replace them. The decoy authorised nothing, and goes on watching. You are told \
once an hour for each network that tries.
"""


def raise_alarm(record: KeyRecord, *, origin: Origin, how: str = "presented") -> None:
    """Record and tell that a decoy turned up; once for each key, network and hour."""
    network = networks.network_of(origin.ip)
    about = f"{record.id} {network} {alarms.this_hour()}"
    with tenancy.tenant(record.account_id):
        if alarms.is_first(account_id=record.account_id, kind=KIND, about=about):
            _tell(ApiKey.objects.get(pk=record.id), origin, how)


def _tell(key: ApiKey, origin: Origin, how: str) -> None:
    audit.record(
        by=_actor(key, origin),
        event=Event.DECOY_USED,
        target=Target("api_key", str(key.pk), key.name),
        outcome="refused",
        changes={"how": how},
    )
    announce(
        key,
        KIND,
        ip=origin.ip,
        user_agent=origin.user_agent or None,
        request_id=origin.request_id,
        how=how,
    )
    alarms.tell_admins(
        account_id=key.account_id,
        kind=KIND,
        subject=f"Decoy key {key.name} was used",
        text=TEXT.format(
            name=key.name,
            masked=key.masked,
            address=origin.ip or "unknown",
            user_agent=origin.user_agent or "unknown",
            request_id=origin.request_id,
        ),
    )


def _actor(key: ApiKey, origin: Origin) -> Actor:
    return Actor(
        type="system",
        id="decoys",
        label="decoys",
        account_id=key.account_id,
        origin=origin,
        key_id=key.pk,
        labels=key.labels,
    )
