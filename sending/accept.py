"""The accept core: gates 3 to 5 of `design.md` 1, then one statement, then and only then yes.

It knows neither HTTP nor sockets: the single view, the batch view and the SMTP session call it.
The statement tests again that the key lives, the account is open and the domain is verified, and
that nobody asked for no more mail: a suppressed recipient is stored as such, and never claimed;
outside a transaction it is a transaction of its own, so the message, its recipients, the
idempotency answer and the audit entry are stored together or not at all.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import orjson
from django.conf import settings
from psycopg.types.json import Jsonb

from apikeys import policy
from apikeys.policy import KeyRecord, Refusal
from auditlog import entries
from queensmtp import bell, crypto, hot, ratelimit
from queensmtp.actors import Actor, Target
from queensmtp.addresses import key_of
from queensmtp.errors import (
    ApiError,
    FieldError,
    InvalidApiKey,
    PayloadTooLarge,
    RateLimited,
    Unavailable,
)
from queensmtp.ids import new_id
from queensmtp.ratelimit import Limit, Verdict
from sending.audit import Event
from sending.errors import DomainNotVerified, OtherRequestUnderKey
from sending.submissions import Submission, message_id_for

DELIVER_TASK = "sending.tasks.deliver_due"


@dataclass(frozen=True, slots=True)
class Idempotency:
    """A caller's key for this request, and the fingerprint of what it asks."""

    endpoint: str
    key: str
    fingerprint: bytes

    @property
    def digest(self) -> bytes:
        return hashlib.sha256(self.key.encode()).digest()


@dataclass(frozen=True, slots=True)
class Accepted:
    """The answer: the e-mail's id, whether it was given before, and the state of the limit."""

    email_id: UUID
    is_replay: bool
    verdict: Verdict | None


class Refused(Exception):
    """A gate refused. `reason` is the true one, for the owner's audit log."""

    def __init__(self, error: ApiError, *, reason: str | None = None) -> None:
        self.error = error
        self.reason = reason or error.name
        super().__init__(error.message)


# The tenant is set in the same round trip. The lateral OFFSET 0 is a fence: its scans begin
# only after set_config ran, whatever order the planner would like.
_LIVE = """
tenant AS MATERIALIZED (SELECT set_config('app.account_id', %s, true)::uuid AS id),
live AS MATERIALIZED (
    SELECT tenant.id AS account_id, domain.id AS domain_id
    FROM tenant CROSS JOIN LATERAL (
        SELECT d.id FROM apikeys_apikey k, domains_domain d, accounts_account a
        WHERE k.id = %s AND k.account_id = tenant.id AND k.revoked_at IS NULL
          AND (k.expires_at IS NULL OR k.expires_at > now())
          AND (k.overlap_ends_at IS NULL OR k.overlap_ends_at > now())
          AND a.id = tenant.id AND a.status = 'active'
          AND d.account_id = tenant.id AND d.name = %s AND d.status = 'verified'
        OFFSET 0
    ) AS domain
)"""

# An expired answer is overwritten; one that still counts leaves `fresh` empty.
_FRESH = """
fresh AS (
    INSERT INTO sending_idempotentrequest AS stored
        (id, account_id, endpoint, key_digest, fingerprint, answer, expires_at)
    SELECT %s, live.account_id, %s, %s, %s, %s, %s FROM live
    ON CONFLICT (account_id, endpoint, key_digest) DO UPDATE
        SET fingerprint = excluded.fingerprint, answer = excluded.answer,
            expires_at = excluded.expires_at
        WHERE stored.expires_at <= now()
    RETURNING account_id
)"""

_ROWS = """
message AS (
    INSERT INTO sending_message
        (id, account_id, key_id, domain_id, environment, via, request_id, message_id, sender,
         sender_address, "to", cc, bcc, reply_to, subject, tags, content, size, created_at)
    SELECT %s, live.account_id, %s, live.domain_id, %s, %s, %s, %s, %s,
           %s, %s, %s, %s, %s, %s, %s, %s, %s, %s
    FROM live{fresh}
    RETURNING id, account_id, created_at
),
recipients AS (
    INSERT INTO sending_recipient
        (id, account_id, message_id, kind, address, domain, state, attempts, in_doubt_count,
         due_at, enhanced_code, reply, mx_host, tls_version, tls_cipher)
    SELECT one.id, message.account_id, message.id, one.kind, one.address, one.domain,
           CASE WHEN stopped.id IS NULL THEN 'queued' ELSE 'suppressed' END,
           0, 0, message.created_at, '', '', '', '', ''
    FROM message
    CROSS JOIN unnest(%s::uuid[], %s::text[], %s::text[], %s::text[], %s::text[])
        AS one (id, kind, address, domain, mailbox)
    LEFT JOIN LATERAL (
        SELECT s.id FROM contacts_suppression s
        WHERE s.account_id = message.account_id AND s.email = one.mailbox
          AND s.removed_at IS NULL AND (s.expires_at IS NULL OR s.expires_at > now())
          AND (NOT s.marketing_only OR %s)
        LIMIT 1
    ) AS stopped ON true
),"""

_END = "SELECT (SELECT count(*) FROM live), (SELECT count(*) FROM message)"

ONCE = f"WITH {_LIVE}, {_ROWS.format(fresh='')} {entries.insert_ctes('message')} {_END}"
IDEMPOTENT = (
    f"WITH {_LIVE}, {_FRESH}, {_ROWS.format(fresh=', fresh')} "
    f"{entries.insert_ctes('message')} {_END}"
)

REPLAY = """
WITH tenant AS MATERIALIZED (SELECT set_config('app.account_id', %s, true)::uuid AS id)
SELECT stored.fingerprint, stored.answer FROM tenant CROSS JOIN LATERAL (
    SELECT i.fingerprint, i.answer FROM sending_idempotentrequest i
    WHERE i.account_id = tenant.id AND i.endpoint = %s AND i.key_digest = %s
      AND i.expires_at > now()
    OFFSET 0
) AS stored
"""

STATE_OF_DOMAIN = """
WITH tenant AS MATERIALIZED (SELECT set_config('app.account_id', %s, true)::uuid AS id)
SELECT domain.status FROM tenant CROSS JOIN LATERAL (
    SELECT d.status::text FROM domains_domain d
    WHERE d.account_id = tenant.id AND d.name = %s OFFSET 0
) AS domain
"""


def accept_email(
    submission: Submission,
    *,
    key: KeyRecord,
    actor: Actor,
    via: str,
    idempotency: Idempotency | None = None,
) -> Accepted:
    """Store one e-mail for delivery. Raises Refused; then nothing was stored."""
    _pass_key_rules(submission, key)
    if idempotency is not None:
        replayed = _replay(key, idempotency)
        if replayed is not None:
            return Accepted(replayed, is_replay=True, verdict=None)
    verdict = _pass_rate_limit(key)
    _pass_validation(submission)
    email_id, now = new_id(), datetime.now(UTC)
    live, stored = _store(submission, email_id, now, key, actor, via, idempotency)
    if not live:
        raise _why_not_live(submission, key)
    if not stored:
        assert idempotency is not None
        return Accepted(_answer_of_the_winner(key, idempotency), is_replay=True, verdict=verdict)
    bell.ring(DELIVER_TASK, queue="send")
    return Accepted(email_id, is_replay=False, verdict=verdict)


def limit_of(key: KeyRecord) -> Limit:
    """The key's own rate, or the default of the settings."""
    if key.rate_requests is None or key.rate_per_seconds is None:
        return Limit(settings.KEY_RATE_REQUESTS, 1, settings.KEY_RATE_BURST)
    return Limit(key.rate_requests, key.rate_per_seconds, key.rate_requests)


def _pass_key_rules(submission: Submission, key: KeyRecord) -> None:
    if submission.sender is not None:
        _refuse(policy.may_send_from(key, submission.sender.domain))
    _refuse(policy.may_send_to(key, submission.recipients))


def _refuse(refusal: Refusal | None) -> None:
    if refusal is not None:
        raise Refused(refusal.error, reason=refusal.reason)


def _pass_rate_limit(key: KeyRecord) -> Verdict:
    verdict = ratelimit.take(f"key:{key.id}", limit_of(key))
    if not verdict.allowed:
        raise Refused(RateLimited(headers=verdict.headers()))
    return verdict


def _pass_validation(submission: Submission) -> None:
    try:
        submission.raise_problems()
    except ApiError as error:
        raise Refused(error) from None


def _replay(key: KeyRecord, idempotency: Idempotency) -> UUID | None:
    row = hot.fetch_one(REPLAY, [str(key.account_id), idempotency.endpoint, idempotency.digest])
    if row is None:
        return None
    fingerprint, answer = row
    if bytes(fingerprint) != idempotency.fingerprint:
        raise Refused(OtherRequestUnderKey())
    return UUID(orjson.loads(answer)["id"])


def _answer_of_the_winner(key: KeyRecord, idempotency: Idempotency) -> UUID:
    """A twin of this request committed while ours waited for it."""
    email_id = _replay(key, idempotency)
    if email_id is None:
        raise Refused(Unavailable("The same request was under way; send it again."))
    return email_id


def _store(
    submission: Submission,
    email_id: UUID,
    now: datetime,
    key: KeyRecord,
    actor: Actor,
    via: str,
    idempotency: Idempotency | None,
) -> tuple[int, int]:
    assert submission.sender is not None
    params: list[Any] = [str(key.account_id), key.id, submission.sender.domain]
    if idempotency is not None:
        params += _idempotency_params(idempotency, email_id, now)
    params += _message_params(submission, email_id, now, key, actor, via)
    params += [*_recipient_params(submission.recipients), submission.marketing]
    params += _audit_params(submission, email_id, actor, now)
    row = hot.fetch_one(IDEMPOTENT if idempotency else ONCE, params)
    assert row is not None
    return row[0], row[1]


def _idempotency_params(idempotency: Idempotency, email_id: UUID, now: datetime) -> list[Any]:
    return [
        new_id(),
        idempotency.endpoint,
        idempotency.digest,
        idempotency.fingerprint,
        Jsonb({"id": str(email_id)}),
        now + timedelta(hours=settings.IDEMPOTENCY_HOURS),
    ]


def _message_params(
    submission: Submission, email_id: UUID, now: datetime, key: KeyRecord, actor: Actor, via: str
) -> list[Any]:
    assert submission.sender is not None
    sealed = submission.sealed_part()
    if len(sealed) > settings.MESSAGE_MAX_BYTES * 4 // 3:
        raise Refused(
            PayloadTooLarge(f"The message is larger than {settings.MESSAGE_MAX_BYTES} bytes.")
        )
    content = crypto.encrypt(
        sealed,
        account_id=key.account_id,
        table="sending_message",
        column="content",
        row_id=str(email_id),
    )
    return [
        email_id,
        key.id,
        key.environment,
        via,
        actor.origin.request_id,
        message_id_for(email_id, submission.sender),
        str(submission.sender),
        submission.sender.address,
        [str(mailbox) for mailbox in submission.to],
        *(
            [str(mailbox) for mailbox in mailboxes] or None
            for mailboxes in (submission.cc, submission.bcc, submission.reply_to)
        ),
        submission.subject,
        Jsonb(list(submission.tags)),
        content,
        len(sealed),
        now,
    ]


def _recipient_params(recipients: dict[str, str]) -> list[Sequence[Any]]:
    addresses = list(recipients)
    return [
        [new_id() for _ in addresses],
        [recipients[address] for address in addresses],
        addresses,
        [address.rpartition("@")[2] for address in addresses],
        [key_of(address) for address in addresses],
    ]


def _audit_params(submission: Submission, email_id: UUID, actor: Actor, now: datetime) -> list[Any]:
    assert submission.sender is not None
    entry = entries.build(
        by=actor,
        event=Event.SUBMITTED,
        target=Target("email", str(email_id)),
        changes={"from": submission.sender.address, "recipients": len(submission.recipients)},
        at=now,
    )
    return entry.params()


def _why_not_live(submission: Submission, key: KeyRecord) -> Refused:
    """The statement stored nothing: the domain is not verified, or the key died just now."""
    assert submission.sender is not None
    domain = submission.sender.domain
    row = hot.fetch_one(STATE_OF_DOMAIN, [str(key.account_id), domain])
    if row is not None and row[0] == "verified":
        return Refused(InvalidApiKey())
    message = (
        f"The domain {domain} is not verified. Add it and its DNS records under Domains, "
        "then send again."
    )
    errors = [FieldError("from", "domain_not_verified", message)]
    return Refused(DomainNotVerified(message, errors=errors), reason="domain_not_verified")
