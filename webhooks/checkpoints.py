"""Tells endpoints of published checkpoints: `audit.checkpoint`.

The log stands below the webhooks and knows nothing of them, so they come and look. Where they
have come to is kept in the transaction that writes the deliveries: each is told of once.
"""

from django.db import transaction
from django.utils import timezone

from auditlog import publication, serializers
from auditlog.entries import rfc3339
from auditlog.models import Checkpoint
from queensmtp.ids import new_id
from webhooks import actions
from webhooks.models import Endpoint
from webhooks.payloads import WebhookEvent

EVENT = "audit.checkpoint"
READER = "webhooks"
AT_ONCE = 1_000


@transaction.atomic
def tell_of_checkpoints() -> int:
    """Write deliveries of what was published since the last time; return how many checkpoints."""
    reader = publication.find_reader(READER)
    if reader is None:
        return 0
    published = list(Checkpoint.objects.after(reader.number)[:AT_ONCE])
    if not published:
        return 0
    listening = Endpoint.objects.told(timezone.now()).filter(events__contains=[EVENT])
    accounts = set(listening.values_list("account_id", flat=True))
    for checkpoint in published:
        if checkpoint.account_id in accounts:
            actions.enqueue(account_id=checkpoint.account_id, events=[_event(checkpoint)])
    publication.read_up_to(reader, published[-1].number)
    return len(published)


def _event(checkpoint: Checkpoint) -> WebhookEvent:
    told = {
        **serializers.checkpoint_body(checkpoint),
        "published_at": rfc3339(checkpoint.published_at),
    }
    return WebhookEvent(new_id(), EVENT, checkpoint.published_at, told)
