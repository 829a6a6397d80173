from celery import shared_task

from accounts import notices
from queensmtp import bell


@shared_task(name=notices.SEND_TASK)
def send_notices() -> int:
    bell.heard(notices.SEND_TASK)
    return notices.send_due()
