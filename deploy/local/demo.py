"""The demo account and its first message, in one process: starting Python twice takes seconds.

Run by `make up` as `python -m deploy.local.demo --demo-env PATH --wait-for PORT…`.
"""

import argparse
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

import django
from django.core.management import call_command
from django.core.management.base import CommandError

from deploy.local.ports import Port, answers
from deploy.local.up import MESSAGE_DID_NOT_ARRIVE

LONGEST_START_SECONDS = 60.0


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--demo-env", required=True)
    parser.add_argument("--wait-for", type=int, nargs="*", default=[])
    given = parser.parse_args()
    django.setup()
    with timed("the demo account is there"):
        try:
            call_command("seed_demo", "--demo-env", given.demo_env)
        except CommandError as error:
            print(error, file=sys.stderr)
            return 1
    with timed("every process answers"):
        wait_for(given.wait_for)
    try:
        call_command("first_send", "--demo-env", given.demo_env)
    except CommandError as error:
        print(error, file=sys.stderr)
        return MESSAGE_DID_NOT_ARRIVE
    except Exception:  # noqa: BLE001 - whatever fails here, the platform stays up to be looked at.
        traceback.print_exc()
        return MESSAGE_DID_NOT_ARRIVE
    return 0


def wait_for(numbers: list[int]) -> None:
    deadline = time.monotonic() + LONGEST_START_SECONDS
    waiting = list(numbers)
    while waiting and time.monotonic() < deadline:
        waiting = [number for number in waiting if not answers(Port("", number))]
        time.sleep(0.02)
    if waiting:
        print(f"nothing answers yet on port {', '.join(map(str, waiting))}", flush=True)


@contextmanager
def timed(what: str) -> Iterator[None]:
    began = time.monotonic()
    yield
    print(f"{what:<34}{time.monotonic() - began:5.1f} s", flush=True)


if __name__ == "__main__":
    raise SystemExit(main())
