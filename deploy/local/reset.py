"""`make reset`: remove all local data. Standard library only."""

import os
import shutil
import sys
from pathlib import Path

from deploy.local.checkout import Checkout, this_checkout
from deploy.local.errors import LocalError
from deploy.local.places import outside_folder, possible_socket_folders
from deploy.local.run_lock import find_holder


def main() -> int:
    try:
        for folder in reset(this_checkout(os.environ)):
            print(f"make: removed {folder}")
    except LocalError as error:
        print(f"make: {error}", file=sys.stderr)
        return 1
    return 0


def reset(checkout: Checkout) -> list[Path]:
    holder = find_holder(checkout.lock_file)
    if holder is not None:
        raise LocalError(f"pid {holder.pid} is running here; `make down` first")
    folders = [
        *(checkout.var, outside_folder(checkout)),
        *possible_socket_folders(checkout, os.environ),
    ]
    present = [folder for folder in folders if folder.exists()]
    for folder in present:
        try:
            shutil.rmtree(folder)
        except PermissionError as error:
            raise LocalError(f"{error.filename} belongs to another user: reset as root") from None
    return present


if __name__ == "__main__":
    raise SystemExit(main())
