from celery import shared_task
from django.utils import timezone

from auditlog import actions, erasing, exporting, indexing, pruning, streaming, witnessing
from queensmtp import bell


@shared_task
def seal() -> int:
    bell.heard("auditlog.tasks.seal")
    witnessing.confirm_once(now=timezone.now())
    return actions.seal_all(now=timezone.now())


@shared_task
def cosign_due() -> int:
    return witnessing.cosign_due(now=timezone.now())


@shared_task
def index_segments() -> int:
    return indexing.index_all()


@shared_task
def export_due() -> int:
    bell.heard(exporting.TASK)
    return exporting.export_due()


@shared_task
def expire_exports() -> int:
    return exporting.expire(now=timezone.now())


@shared_task
def prune_due() -> int:
    return pruning.prune_due(now=timezone.now())


@shared_task
def erase_due() -> int:
    bell.heard(erasing.TASK)
    return erasing.erase_due()


@shared_task
def push_streams() -> int:
    return streaming.push_due()
