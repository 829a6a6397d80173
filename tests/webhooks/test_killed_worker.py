"""kill -9 of the worker at each step: the same id and bytes, at least once, nothing lost (W11)."""

import os
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import pytest
from django.db import connection

from deploy.local.checkout import ROOT
from queensmtp.tenancy import tenant
from tests.factories.cast import Cast
from tests.factories.webhooks import deliver, enqueue, make_endpoint, make_event, secret_of
from tests.http_receiver import HttpReceiver, silence
from tests.roles import as_role
from webhooks import outbox, signing
from webhooks.models import Delivery

pytestmark = pytest.mark.django_db(transaction=True)


def run_worker(step: str) -> subprocess.CompletedProcess[str]:
    """A real worker process on the tests' database."""
    url = urlsplit(os.environ["DATABASE_WORKER_URL"])
    database = url._replace(path=f"/{connection.settings_dict['NAME']}").geturl()
    env = {
        **os.environ,
        "QUEENSMTP_PROCESS": "worker",
        "DATABASE_WORKER_URL": database,
        "OUTBOUND_ALLOW_LOOPBACK": "true",
        "WEBHOOK_TIMEOUT_SECONDS": "3",
    }
    command = [sys.executable, "-m", "tests.webhooks.killed_worker", step]
    return subprocess.run(
        command, cwd=ROOT, env=env, check=False, timeout=60, stdout=subprocess.PIPE, text=True
    )


@pytest.mark.parametrize(
    ("step", "arrived_before", "arrives_in_all"),
    [("claimed", 0, 1), ("on_the_wire", 1, 2), ("answered", 1, 2), ("recorded", 1, 1)],
)
def test_a_killed_worker_loses_nothing(
    cast: Cast, step: str, arrived_before: int, arrives_in_all: int
) -> None:
    with HttpReceiver() as receiver:
        endpoint = make_endpoint(cast.hive, receiver.url)
        event = make_event()
        enqueue(cast.hive, event)
        assert run_worker(step).returncode == -signal.SIGKILL
        assert len(receiver.wait_for(arrived_before)) == arrived_before

        lease_over = datetime.now(UTC) + timedelta(seconds=outbox.LEASE_SECONDS + 1)
        deliver(now=lease_over)
        assert deliver(now=lease_over) == 0

    assert len(receiver.requests) == arrives_in_all
    assert {one.headers["webhook-id"] for one in receiver.requests} == {str(event.id)}
    assert len({one.body for one in receiver.requests}) == 1
    for one in receiver.requests:
        signing.verify(secrets=[secret_of(endpoint)], headers=one.headers, body=one.body)
    with tenant(cast.hive.pk), as_role("worker"):
        assert Delivery.objects.get().state == "delivered"


def test_a_round_ends_while_a_receiver_hangs_and_its_outcome_is_recorded_all_the_same(
    cast: Cast,
) -> None:
    with HttpReceiver(silence()) as receiver:
        make_endpoint(cast.hive, receiver.url)
        enqueue(cast.hive)
        ran = run_worker("round_ends")

    assert ran.returncode == 0
    assert float(ran.stdout) < 2.5
    with tenant(cast.hive.pk):
        row = Delivery.objects.get()
    assert (row.state, row.last_reason, row.attempt_count) == ("pending", "timeout", 1)
