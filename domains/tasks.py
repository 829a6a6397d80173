from celery import shared_task

from domains import actions, checking
from queensmtp import bell


@shared_task(name="domains.tasks.check_due")
def check_due() -> int:
    bell.heard(actions.CHECK_TASK)
    done = 0
    while claimed := checking.check_due():
        done += claimed
    return done
