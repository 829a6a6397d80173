"""What changed after the key was read: the accept statement itself looks again."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from accounts.models import Account
from apikeys import actions as keys
from apikeys.actions import record_of
from apikeys.gate import actor_of
from apikeys.models import ApiKey
from auditlog.models import Entry
from domains.models import Domain
from queensmtp.errors import InvalidApiKey
from queensmtp.tenancy import tenant
from sending import accept, submissions
from sending.errors import DomainNotVerified
from sending.gates import Refused
from sending.models import Message, Recipient
from tests.factories.cast import ORIGIN, Cast, make_domain
from tests.factories.keys import make_key

BODY = {"from": "a@hive.example", "to": "ann@wasp.example", "subject": "Hello", "text": "Hi"}
# Before the transaction of the test, whose start is Postgres's now().
AN_HOUR_AGO = datetime.now(UTC) - timedelta(hours=1)


def revoke(cast: Cast, key: ApiKey) -> None:
    keys.revoke(by=cast.alice.actor, key=key)


def expire(cast: Cast, key: ApiKey) -> None:
    ApiKey.objects.filter(pk=key.pk).update(expires_at=AN_HOUR_AGO)


def end_overlap(cast: Cast, key: ApiKey) -> None:
    keys.rotate(by=cast.alice.actor, key=key, overlap_seconds=0)
    ApiKey.objects.filter(pk=key.pk).update(overlap_ends_at=AN_HOUR_AGO)


def close_account(cast: Cast, key: ApiKey) -> None:
    Account.objects.update(status="closed")


def lose_domain(cast: Cast, key: ApiKey) -> None:
    Domain.objects.update(status="pending", can_send=False)


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (revoke, InvalidApiKey),
        (expire, InvalidApiKey),
        (end_overlap, InvalidApiKey),
        (close_account, InvalidApiKey),
        (lose_domain, DomainNotVerified),
    ],
)
def test_what_ended_after_the_key_was_read_sends_nothing(
    cast: Cast, change: Callable[[Cast, ApiKey], None], error: type[Exception]
) -> None:
    make_domain(cast.hive, "hive.example")
    key, _ = make_key(cast.hive)
    record = record_of(key)
    with tenant(cast.hive.pk):
        change(cast, key)

    with pytest.raises(Refused) as refused, tenant(cast.hive.pk):
        accept.accept_email(
            submissions.read(BODY, recipients_maximum=50),
            key=record,
            actor=actor_of(record, origin=ORIGIN),
            via="api",
        )

    assert isinstance(refused.value.error, error)
    with tenant(cast.hive.pk):
        assert Message.objects.count() + Recipient.objects.count() == 0
        assert not Entry.objects.filter(event="email.submitted").exists()
