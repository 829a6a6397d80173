"""`make down`: stop the run of this checkout from another terminal. Standard library only."""

import os
import signal
import sys
import time

from deploy.local.checkout import Checkout, this_checkout
from deploy.local.errors import LocalError
from deploy.local.run_lock import find_holder

LONGEST_STOP_SECONDS = 60.0


def main() -> int:
    try:
        print(f"make: {down(this_checkout(os.environ))}")
    except LocalError as error:
        print(f"make: {error}", file=sys.stderr)
        return 1
    return 0


def down(checkout: Checkout) -> str:
    holder = find_holder(checkout.lock_file)
    if holder is None:
        return "nothing is running here"
    if not holder.pid:
        raise LocalError("a run is just starting; try again")
    os.kill(holder.pid, signal.SIGTERM)
    deadline = time.monotonic() + LONGEST_STOP_SECONDS
    while find_holder(checkout.lock_file) is not None:
        if time.monotonic() > deadline:
            raise LocalError(f"pid {holder.pid} does not stop; look at its terminal")
        time.sleep(0.05)
    return f"stopped `{holder.command}` (pid {holder.pid})"


if __name__ == "__main__":
    raise SystemExit(main())
