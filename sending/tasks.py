from celery import shared_task
from django.utils import timezone

from queensmtp import bell
from sending import actions, content_retention, destinations, quota_warnings, scheduling
from sending.accept import DELIVER_TASK
from sending.quota_counters import WARN_TASK


@shared_task(name=DELIVER_TASK)
def deliver_due() -> int:
    bell.heard(DELIVER_TASK)
    return actions.deliver_due()


@shared_task(name="sending.tasks.cancel_of_ended_keys")
def cancel_of_ended_keys() -> int:
    return scheduling.cancel_of_ended_keys(now=timezone.now())


@shared_task(name=WARN_TASK)
def warn_of_quotas() -> int:
    bell.heard(WARN_TASK)
    return quota_warnings.warn_due()


@shared_task(name="sending.tasks.forget_quotas")
def forget_quotas() -> int:
    return quota_warnings.forget(now=timezone.now())


@shared_task(name="sending.tasks.drop_contents")
def drop_contents() -> int:
    return content_retention.drop_due(now=timezone.now())


@shared_task(name="sending.tasks.forget_idempotency")
def forget_idempotency() -> int:
    return actions.forget_idempotency(now=timezone.now())


@shared_task(name="sending.tasks.forget_destinations")
def forget_destinations() -> int:
    return destinations.forget(now=timezone.now())
