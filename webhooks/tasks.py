from celery import shared_task

from queensmtp import bell
from webhooks import checkpoints, rounds


@shared_task(name="webhooks.tasks.deliver_due")
def deliver_due() -> int:
    bell.heard("webhooks.tasks.deliver_due")
    return rounds.deliver_due()


@shared_task(name="webhooks.tasks.tell_of_checkpoints")
def tell_of_checkpoints() -> int:
    return checkpoints.tell_of_checkpoints()
