"""Brings a key under the newest pepper when its token is at hand: only then can it be done."""

from dataclasses import replace

from django.conf import settings
from django.db import connection

from apikeys import tokens
from apikeys.audit import Event
from apikeys.policy import KeyRecord
from apikeys.tokens import Token
from auditlog import actions as audit
from queensmtp import tenancy
from queensmtp.actors import Target, system_actor

# Only the row that was read: whatever changed since is not sealed anew from what it was.
UPGRADE = """
UPDATE apikeys_apikey SET digest = %s, pepper_version = %s, mac = %s WHERE id = %s AND mac = %s
"""


def upgrade(record: KeyRecord, token: Token) -> KeyRecord:
    """The record under the newest pepper. Nothing is written for one that is there already."""
    version, pepper = settings.KEY_PEPPERS[0]
    if record.pepper_version == version:
        return record
    digest = tokens.digest(token, pepper=pepper)
    bare = replace(record, digest=digest, pepper_version=version)
    upgraded = replace(bare, mac=bare.expected_mac(pepper=pepper))
    with tenancy.tenant(record.account_id):
        if _stored(record, upgraded):
            _record(record, upgraded)
    return upgraded


def _stored(old: KeyRecord, new: KeyRecord) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(UPGRADE, [new.digest, new.pepper_version, new.mac, old.id, old.mac])
        return bool(cursor.rowcount)


def _record(old: KeyRecord, new: KeyRecord) -> None:
    audit.record(
        by=system_actor(old.account_id, "peppers"),
        event=Event.DIGEST_UPGRADED,
        target=Target("api_key", str(old.id), old.name),
        changes={
            "pepper_version": {"before": old.pepper_version, "after": new.pepper_version},
            "row_mac": new.mac.hex(),
        },
    )
