"""python -m deploy.local up | run COMMAND… | tools PYTEST-ARGUMENTS…"""

import os
import sys
from contextlib import suppress

from deploy.local import browser, foreign_clients, tls_client
from deploy.local.checkout import this_checkout
from deploy.local.errors import LocalError
from deploy.local.run_command import run
from deploy.local.up import up


def main(arguments: list[str]) -> int:
    checkout = this_checkout(os.environ)
    try:
        match arguments:
            case ["up"]:
                up(checkout, os.environ, say=say)
            case ["run", *command] if command:
                return run(checkout, os.environ, command, say=say)
            case ["tools", *pytest_arguments]:
                browser.ensure(checkout.root, pytest_arguments)
                foreign_clients.ensure(checkout.root, pytest_arguments)
                tls_client.ensure(checkout.root, pytest_arguments)
            case _:
                print(__doc__, file=sys.stderr)
                return 2
    except LocalError as error:
        print(f"make: {error}", file=sys.stderr)
        return 1
    return 0


def say(line: str) -> None:
    """A terminal that was closed must not keep us from stopping in order."""
    with suppress(OSError):
        print(line, flush=True)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
