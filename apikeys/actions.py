"""Create, rotate, update, revoke. Each is atomic and writes its audit entry."""

from collections.abc import Mapping
from dataclasses import fields
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from apikeys import rights as key_rights
from apikeys import tokens
from apikeys.announcements import announce, facts_of
from apikeys.audit import Event
from apikeys.errors import AboveCeiling, AlreadyRotating, KeyIsDead, KeyRowChanged, OwnKey
from apikeys.models import ApiKey, StoppedKey
from apikeys.policy import KeyRecord
from apikeys.rights import Rights
from apikeys.tokens import Environment, Token
from auditlog import actions as audit
from queensmtp.actors import Actor, Target
from queensmtp.errors import FieldError, NotFound, refuse_field
from queensmtp.ids import new_id

OVERLAP_MAXIMUM_SECONDS = 30 * 86_400
NOT_LOADED = {"name", "labels", "account_is_active", "account_plan"}
POLICY_COLUMNS = [one.name for one in fields(KeyRecord) if one.name not in NOT_LOADED]


def get(key_id: UUID) -> ApiKey:
    """A key of the current tenant; NotFound for anyone else's."""
    found = ApiKey.objects.filter(pk=key_id).first()
    if found is None:
        raise NotFound("There is no such API key.")
    return found


@transaction.atomic
def create(
    *,
    by: Actor,
    name: str,
    environment: Environment,
    rights: Rights,
    labels: Mapping[str, str] | None = None,
    notes: str = "",
    is_decoy: bool = False,
    creator: KeyRecord | None = None,
) -> tuple[ApiKey, Token]:
    """A new key and its token, which is shown this once and kept nowhere."""
    _stay_below(creator, rights, environment)
    key, token = _mint(
        by=by,
        name=name,
        environment=environment,
        rights=rights,
        labels=labels,
        notes=notes,
        is_decoy=is_decoy,
        quota_counter_id=_counter_of(creator) if creator and creator.daily_quota else None,
    )
    key.save(force_insert=True)
    _record(by, Event.CREATED, key, _facts(key))
    announce(key, "api_key.created", environment=key.environment, created_by=key.created_by)
    return key, token


@transaction.atomic
def rotate(
    *, by: Actor, key: ApiKey, overlap_seconds: int, creator: KeyRecord | None = None
) -> tuple[ApiKey, Token]:
    """A successor with the same rights; the old key lives on for the overlap, not beyond its
    own expiry."""
    if not 0 <= overlap_seconds <= OVERLAP_MAXIMUM_SECONDS:
        message = f"give 0 to {OVERLAP_MAXIMUM_SECONDS} seconds."
        raise refuse_field("overlap_seconds", "out_of_range", message)
    old = _locked(key)
    _must_live(old)
    _must_be_as_sealed(old)
    if old.replaced_by_id is not None:
        raise AlreadyRotating
    rights = rights_of(old).renewed(timezone.now())
    _stay_below(creator, rights, Environment(old.environment))
    successor, token = _mint(
        by=by,
        name=old.name,
        environment=Environment(old.environment),
        rights=rights,
        labels=old.labels,
        notes=old.notes,
        is_decoy=old.is_decoy,
        quota_counter_id=_counter_of(old),
    )
    successor.replaces_id = old.pk
    successor.save(force_insert=True)
    _record(by, Event.CREATED, successor, {**_facts(successor), "replaces": str(old.pk)})
    old.replaced_by_id = successor.pk
    old.overlap_ends_at = _end_of_overlap(old, overlap_seconds)
    _save(old, "replaced_by_id", "overlap_ends_at")
    _record(
        by,
        Event.ROTATED,
        old,
        {
            "replaced_by": {"before": None, "after": str(successor.pk)},
            "overlap_ends_at": {"before": None, "after": old.overlap_ends_at.isoformat()},
        },
    )
    announce(
        old,
        "api_key.rotated",
        replaced_by=facts_of(successor),
        overlap_ends_at=old.overlap_ends_at.isoformat(),
    )
    return successor, token


@transaction.atomic
def end_overlap(*, by: Actor, key: ApiKey, creator: KeyRecord | None = None) -> ApiKey:
    """End a rotation's overlap now. Ending it twice changes nothing more."""
    old, now = _locked(key), timezone.now()
    _may_end(creator, old)
    if old.overlap_ends_at is None or old.overlap_ends_at <= now:
        return old
    before = old.overlap_ends_at.isoformat()
    old.overlap_ends_at = now
    _save(old, "overlap_ends_at")
    change = {"overlap_ends_at": {"before": before, "after": now.isoformat()}}
    _record(by, Event.OVERLAP_ENDED, old, change)
    return old


@transaction.atomic
def revoke(
    *,
    by: Actor,
    key: ApiKey,
    reason: str = "",
    cancel_scheduled: bool = False,
    creator: KeyRecord | None = None,
) -> ApiKey:
    """Dead from the commit on. Revoking twice changes nothing more, but what the key had scheduled
    may be canceled the second time."""
    found = _locked(key)
    _may_end(creator, found)
    if cancel_scheduled:
        _stop(by, found)
    if found.revoked_at is not None:
        return found
    found.revoked_at, found.revoked_reason = timezone.now(), reason[:200]
    _save(found, "revoked_at", "revoked_reason")
    change = {"revoked_at": {"before": None, "after": found.revoked_at.isoformat()}}
    _record(by, Event.REVOKED, found, change | ({"reason": reason} if reason else {}))
    announce(
        found,
        "api_key.revoked",
        revoked_at=found.revoked_at.isoformat(),
        reason=found.revoked_reason or None,
    )
    return found


def _stop(by: Actor, key: ApiKey) -> None:
    """Leave word for `sending`, which lies above and cancels the mail a moment later."""
    _, is_new = StoppedKey.objects.get_or_create(key=key, account_id=key.account_id)
    if is_new:
        _record(by, Event.STOPPED, key, {})


@transaction.atomic
def revoke_leaked(
    *, by: Actor, key_id: UUID, reason: str, facts: Mapping[str, Any]
) -> ApiKey | None:
    """Dead for a leak from the commit on; None when it was dead before."""
    found = ApiKey.objects.select_for_update().get(pk=key_id)
    if found.is_dead:
        return None
    found.revoked_at, found.revoked_reason = timezone.now(), reason[:200]
    _save(found, "revoked_at", "revoked_reason")
    change = {"revoked_at": {"before": None, "after": found.revoked_at.isoformat()}}
    _record(by, Event.LEAKED, found, {**change, "reason": reason, **facts})
    return found


@transaction.atomic
def update(
    *, by: Actor, key: ApiKey, changes: Mapping[str, Any], creator: KeyRecord | None = None
) -> ApiKey:
    """Change columns of a live key: any of `Rights`' and name, labels, notes."""
    if creator is not None and creator.id == key.pk:
        raise OwnKey
    found = _locked(key)
    _must_live(found)
    _must_be_as_sealed(found)
    # Whoever may edit a key could have copied its token: its present rights count too.
    _stay_below(creator, rights_of(found), Environment(found.environment))
    before = _facts(found)
    for column, value in changes.items():
        setattr(found, column, value)
    _stay_below(creator, rights_of(found), Environment(found.environment))
    _save(found, *changes)
    after = _facts(found)
    changed = {
        name: {"before": before[name], "after": after[name]}
        for name in after
        if before[name] != after[name]
    }
    _record(by, Event.UPDATED, found, changed)
    return found


def rights_of(key: ApiKey) -> Rights:
    """The rights of a stored key."""
    return Rights(**{one.name: _tuple(getattr(key, one.name)) for one in fields(Rights)})


def record_of(key: ApiKey) -> KeyRecord:
    """The policy's view of a stored key."""
    columns = {name: _tuple(getattr(key, name)) for name in POLICY_COLUMNS}
    return KeyRecord(**columns, name=key.name, labels=key.labels)


def _mint(
    *,
    by: Actor,
    name: str,
    environment: Environment,
    rights: Rights,
    labels: Mapping[str, str] | None,
    notes: str,
    is_decoy: bool,
    quota_counter_id: UUID | None,
) -> tuple[ApiKey, Token]:
    token = tokens.mint(environment)
    version, pepper = settings.KEY_PEPPERS[0]
    key = ApiKey(
        id=new_id(),
        account_id=by.tenant_id,
        name=name,
        notes=notes,
        labels=dict(labels or {}),
        environment=environment,
        public_id=token.public_id,
        prefix=token.prefix,
        last4=token.last4,
        digest=tokens.digest(token, pepper=pepper),
        pepper_version=version,
        mac=b"",
        created_by=by.label,
        created_by_key_id=by.key_id,
        is_decoy=is_decoy,
        quota_counter_id=quota_counter_id,
        **rights.columns(),
    )
    _seal(key)
    return key, token


def _counter_of(key: ApiKey | KeyRecord) -> UUID:
    """A quota is shared with successors and with keys made under it, or a thief would rotate."""
    return key.quota_counter_id or key.id


def _seal(key: ApiKey) -> None:
    """Cover the row's deciding columns with a MAC; see `policy.KeyRecord.expected_mac`."""
    pepper = dict(settings.KEY_PEPPERS).get(key.pepper_version)
    # Without its pepper a key is dead as it stands; it can still be revoked.
    if pepper is not None:
        key.mac = record_of(key).expected_mac(pepper=pepper)


def _save(key: ApiKey, *columns: str) -> None:
    _seal(key)
    key.save(update_fields=[*columns, "mac"])


def _locked(key: ApiKey) -> ApiKey:
    return ApiKey.objects.select_for_update().get(pk=key.pk)


def _must_live(key: ApiKey) -> None:
    if key.is_dead:
        raise KeyIsDead


def _must_be_as_sealed(key: ApiKey) -> None:
    """A new MAC over a row that somebody else changed would make that change good."""
    pepper = dict(settings.KEY_PEPPERS).get(key.pepper_version)
    record = record_of(key)
    if pepper is None or not tokens.same(record.expected_mac(pepper=pepper), record.mac):
        raise KeyRowChanged


def _may_end(creator: KeyRecord | None, key: ApiKey) -> None:
    """A key ends neither itself nor one that may do more: its thief must lock nobody out."""
    if creator is None:
        return
    if creator.id == key.pk:
        raise OwnKey
    _stay_below(creator, rights_of(key), Environment(key.environment))


def _stay_below(creator: KeyRecord | None, rights: Rights, environment: Environment) -> None:
    """The ceiling: nothing that a key makes, edits or rotates exceeds what it has itself."""
    if creator is None:
        return
    problems = key_rights.above_ceiling(rights, creator)
    if environment != creator.environment:
        message = f"this key is of {creator.environment} and makes only such keys."
        problems.append(FieldError("environment", "above_ceiling", message))
    if problems:
        raise AboveCeiling(errors=problems)


def _end_of_overlap(old: ApiKey, seconds: int) -> datetime:
    end = timezone.now() + timedelta(seconds=seconds)
    return min(end, old.expires_at) if old.expires_at else end


def _facts(key: ApiKey) -> dict[str, Any]:
    """What the audit log tells of a key: its rights, never its secret."""
    facts: dict[str, Any] = {"name": key.name, "environment": str(key.environment)}
    facts |= {"labels": dict(key.labels), "notes": key.notes}
    if key.is_decoy:
        facts["is_decoy"] = True
    for name, value in rights_of(key).columns().items():
        facts[name] = value.isoformat() if isinstance(value, datetime) else value
    return facts


def _record(by: Actor, event: Event, key: ApiKey, changes: Mapping[str, Any]) -> None:
    target = Target("api_key", str(key.pk), key.name)
    # By the row's MAC, `apikeys.comparison` finds an old row that somebody put back whole.
    mac = bytes(key.mac).hex()
    audit.record(by=by, event=event, target=target, changes={**changes, "row_mac": mac})


def _tuple(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(value)
    return bytes(value) if isinstance(value, memoryview) else value
