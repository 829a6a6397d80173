"""One send worker of `benchmarks.send`: waits for a line, delivers until nothing waits, tells its
CPU seconds."""

import resource
import sys
import time

import django

django.setup()

from sending import actions  # noqa: E402
from sending.models import Recipient  # noqa: E402


def main() -> None:
    actions.deliver_due()  # Loads what the first delivery of a process has to load.
    print("ready", flush=True)
    sys.stdin.readline()
    before = cpu_seconds()
    while Recipient.objects.claimable().exists():
        actions.deliver_due()
        time.sleep(0.01)
    print(cpu_seconds() - before, flush=True)


def cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
