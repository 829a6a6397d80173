"""The values of `sending.statements`, in the order of their placeholders."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import orjson
from django.conf import settings
from psycopg.types.json import Jsonb

from apikeys.policy import KeyRecord
from queensmtp import crypto
from queensmtp.actors import Actor
from queensmtp.addresses import Mailbox, key_of
from queensmtp.ids import new_id
from sending import gates
from sending.gates import Idempotency
from sending.states import State
from sending.submissions import Submission, message_id_for


@dataclass(frozen=True, slots=True)
class Draft:
    """A submission that passed every gate, under the id that it will have."""

    id: UUID
    submission: Submission
    sender: Mailbox
    # Bodies, headers and attachments, encrypted for the message's own row; and their size before.
    content: bytes
    size: int

    @classmethod
    def of(cls, submission: Submission, *, account_id: UUID) -> "Draft":
        """Raises Refused for what is too large."""
        assert submission.sender is not None
        gates.pass_size(submission)
        id, plain = new_id(), submission.sealed_part()
        content = crypto.encrypt(
            plain, account_id=account_id, table="sending_message", column="content", row_id=str(id)
        )
        return cls(id, submission, submission.sender, content, len(plain))

    @property
    def identity_key(self) -> str | None:
        """Of the sender identity that fills in a name, where the request names none."""
        return None if self.sender.name else self.sender.key

    @property
    def state(self) -> str:
        return State.SCHEDULED if self.submission.scheduled_at else State.QUEUED


def idempotency_params(idempotency: Idempotency, answer: Any, now: datetime) -> list[Any]:
    return [
        new_id(),
        idempotency.endpoint,
        idempotency.digest,
        idempotency.fingerprint,
        Jsonb(answer),
        now + timedelta(hours=settings.IDEMPOTENCY_HOURS),
    ]


def message_params(
    draft: Draft, *, key: KeyRecord, actor: Actor, via: str, now: datetime
) -> list[Any]:
    submission = draft.submission
    return [
        draft.id,
        key.id,
        key.environment,
        via,
        actor.origin.request_id,
        message_id_for(draft.id, draft.sender),
        draft.sender.address,
        _texts(submission.to),
        *(
            _texts(mailboxes) or None
            for mailboxes in (submission.cc, submission.bcc, submission.reply_to)
        ),
        submission.subject,
        Jsonb(list(submission.tags)),
        draft.content,
        draft.size,
        submission.scheduled_at,
        now,
        str(draft.sender),
        draft.identity_key,
    ]


def recipient_params(draft: Draft, *, now: datetime) -> list[Any]:
    recipients = draft.submission.recipients
    addresses = list(recipients)
    return [
        draft.state,
        draft.submission.scheduled_at or now,
        [new_id() for _ in addresses],
        [recipients[address] for address in addresses],
        addresses,
        [_domain_of(address) for address in addresses],
        [key_of(address) for address in addresses],
        draft.submission.marketing,
    ]


def many_message_params(
    drafts: Sequence[Draft], *, key: KeyRecord, actor: Actor, now: datetime
) -> list[Any]:
    rows = [_message_row(draft) for draft in drafts]
    shared = [key.id, key.environment, actor.origin.request_id, now]
    return [*shared, *map(list, zip(*rows, strict=True))]


def group_message_params(
    drafts: Sequence[Draft],
    *,
    key: KeyRecord,
    request_ids: list[str],
    vias: list[str],
    times: list[datetime],
) -> list[Any]:
    rows = [_message_row(draft) for draft in drafts]
    shared = [key.id, key.environment]
    return [*shared, request_ids, vias, times, *map(list, zip(*rows, strict=True))]


def many_idempotency_params(many: Sequence[tuple[Idempotency, Draft, datetime]]) -> list[Any]:
    """Of one endpoint. The answer names the message."""
    expiry = timedelta(hours=settings.IDEMPOTENCY_HOURS)
    rows = [
        (
            new_id(),
            idempotency.digest,
            idempotency.fingerprint,
            orjson.dumps({"id": str(draft.id)}).decode(),
            now + expiry,
            draft.sender.domain,
        )
        for idempotency, draft, now in many
    ]
    return [many[0][0].endpoint, *map(list, zip(*rows, strict=True))]


def many_recipient_params(drafts: Sequence[Draft], *, now: datetime) -> list[Any]:
    rows = [
        (
            new_id(),
            draft.id,
            kind,
            address,
            _domain_of(address),
            draft.state,
            draft.submission.scheduled_at or now,
            key_of(address),
            draft.submission.marketing,
        )
        for draft in drafts
        for address, kind in draft.submission.recipients.items()
    ]
    return list(map(list, zip(*rows, strict=True)))


def _message_row(draft: Draft) -> tuple[Any, ...]:
    submission = draft.submission
    return (
        draft.id,
        draft.sender.domain,
        message_id_for(draft.id, draft.sender),
        str(draft.sender),
        draft.sender.address,
        _array_literal(_texts(submission.to)),
        *(
            _array_literal(_texts(mailboxes)) if mailboxes else None
            for mailboxes in (submission.cc, submission.bcc, submission.reply_to)
        ),
        submission.subject,
        orjson.dumps(submission.tags).decode(),
        draft.content,
        draft.size,
        submission.scheduled_at,
        draft.identity_key,
    )


def _texts(mailboxes: Iterable[Mailbox]) -> list[str]:
    return [str(mailbox) for mailbox in mailboxes]


def _array_literal(texts: Iterable[str]) -> str:
    """A list as Postgres writes arrays."""
    quoted = (text.replace("\\", "\\\\").replace('"', '\\"') for text in texts)
    return "{" + ",".join(f'"{text}"' for text in quoted) + "}"


def _domain_of(address: str) -> str:
    return address.rpartition("@")[2]
