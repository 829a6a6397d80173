from celery import shared_task

from queensmtp import bell
from webhooks import rounds


@shared_task(name="webhooks.tasks.deliver_due")
def deliver_due() -> int:
    bell.heard("webhooks.tasks.deliver_due")
    return rounds.deliver_due()
