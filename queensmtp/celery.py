"""Celery: it rings, Postgres remembers. Each worker also looks for work by itself."""

import os
import threading
from typing import Any

from celery import Celery
from celery.signals import celeryd_after_setup

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "queensmtp.settings")

app = Celery("queensmtp")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
app.autodiscover_tasks(["queensmtp"])


@celeryd_after_setup.connect
def start_sweeping(sender: str, instance: Any, **kwargs: Any) -> None:
    """Sweep the queues of this worker, from before the broker is reached and without it."""
    from django.conf import settings

    for queue in instance.app.amqp.queues.consume_from:
        for task, seconds in settings.SWEEPS.get(queue, []):
            threading.Thread(
                target=_sweep, args=(task, seconds), name=f"sweep {task}", daemon=True
            ).start()


def _sweep(task: str, seconds: float) -> None:
    from queensmtp.sweeping import sweep_forever

    sweep_forever(task, seconds)
