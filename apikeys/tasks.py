from celery import shared_task

from apikeys import comparison, gathering, reminders, wrong_secrets


@shared_task(name="apikeys.tasks.record_wrong_secrets")
def record_wrong_secrets() -> int:
    return wrong_secrets.record_passed()


@shared_task(name="apikeys.tasks.gather_use")
def gather_use() -> int:
    return gathering.gather_all()


@shared_task(name="apikeys.tasks.remind_of_expiry")
def remind_of_expiry() -> int:
    return reminders.remind_due()


@shared_task(name="apikeys.tasks.compare_rows")
def compare_rows() -> int:
    return comparison.compare_all()
