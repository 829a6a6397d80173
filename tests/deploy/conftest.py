import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local.checkout import ROOT, Checkout
from deploy.local.servers import leave_no_socket_folder


@pytest.fixture
def checkout() -> Iterator[Checkout]:
    """A data folder of its own, where the servers' user can reach it, and nothing left of it."""
    var = Path(tempfile.mkdtemp(prefix="queensmtp-test-"))
    var.chmod(0o755)
    checkout = Checkout(root=ROOT, var=var)
    yield checkout
    leave_no_socket_folder(checkout, {})
    shutil.rmtree(var)


@pytest.fixture
def environ(checkout: Checkout) -> dict[str, str]:
    """What a newcomer's shell holds, with this test's folder and ports."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return {**kept, "QUEENSMTP_VAR": str(checkout.var), "QUEENSMTP_PORT_BASE": "31000"}
