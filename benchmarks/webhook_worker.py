"""One webhook worker of `benchmarks.webhooks`: waits for a line, delivers until it is told to stop
by SIGTERM, and tells its CPU seconds."""

import resource
import signal
import sys
import time

import django

django.setup()

from webhooks import rounds  # noqa: E402


def main() -> None:
    stopped = []
    signal.signal(signal.SIGTERM, lambda *_: stopped.append(True))
    rounds.ROUND_SECONDS = 1.0
    rounds.deliver_due()
    print("ready", flush=True)
    sys.stdin.readline()
    before = cpu_seconds()
    while not stopped:
        if not rounds.deliver_due():
            time.sleep(0.01)
    print(cpu_seconds() - before, flush=True)


def cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
