from celery import shared_task
from django.utils import timezone

from accounts import export_notices, log_alarms, log_settings_notices, notices, plan_days
from queensmtp import bell


@shared_task(name=notices.SEND_TASK)
def send_notices() -> int:
    bell.heard(notices.SEND_TASK)
    return notices.send_due()


@shared_task
def tell_of_exports() -> int:
    return export_notices.tell_finished(now=timezone.now())


@shared_task
def carry_plan_days() -> int:
    return plan_days.carry_over()


@shared_task
def tell_of_log_alarms() -> int:
    return log_alarms.tell_raised(now=timezone.now())


@shared_task
def tell_of_log_settings() -> int:
    return log_settings_notices.tell_changed(now=timezone.now())
