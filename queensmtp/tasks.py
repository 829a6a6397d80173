"""Periodic work of the platform itself."""

from celery import shared_task
from django.conf import settings
from django.utils.module_loading import import_string

from queensmtp import measures, partitions


@shared_task
def make_partitions() -> int:
    """Partitions are made ahead; an id outside all of them would be an error."""
    return partitions.make_ahead()


@shared_task
def measure() -> None:
    """Apps lie above the kernel, so the settings name what they measure."""
    measures.take(import_string(path) for path in settings.MEASUREMENTS)
