from celery import shared_task

from apikeys import wrong_secrets


@shared_task(name="apikeys.tasks.record_wrong_secrets")
def record_wrong_secrets() -> int:
    return wrong_secrets.record_passed()
