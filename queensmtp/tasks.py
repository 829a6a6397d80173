"""Periodic work of the platform itself."""

from celery import shared_task

from queensmtp import partitions


@shared_task
def make_partitions() -> int:
    """Partitions are made ahead; an id outside all of them would be an error."""
    return partitions.make_ahead()
