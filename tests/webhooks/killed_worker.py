"""A webhook worker that kills itself with SIGKILL at a named step of its first delivery.

python -m tests.webhooks.killed_worker claimed
"""

import os
import signal
import sys
import time
from collections.abc import Callable
from typing import Any

import django

django.setup()

from webhooks import deliveries, outbox, rounds  # noqa: E402


def die(*_: Any, **__: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def after(work: Callable[..., Any], *, seconds: float = 0.0) -> Callable[..., Any]:
    def worked_then_died(*arguments: Any, **named: Any) -> None:
        # An idle look at the outbox is not the step.
        if work(*arguments, **named):
            time.sleep(seconds)
            die()

    return worked_then_died


STEPS: dict[str, Callable[[], None]] = {
    "claimed": lambda: setattr(outbox, "claim", after(outbox.claim)),
    "on_the_wire": lambda: setattr(deliveries, "start", after(deliveries.start, seconds=0.5)),
    "answered": lambda: setattr(outbox, "record", die),
    # Kills nothing: the round ends while the receiver has not answered yet.
    "round_ends": lambda: setattr(rounds, "ROUND_SECONDS", 0.5),
    "recorded": lambda: setattr(outbox, "record", after(outbox.record)),
}

if __name__ == "__main__":
    STEPS[sys.argv[1]]()
    started = time.monotonic()
    rounds.deliver_due()
    print(time.monotonic() - started)
