from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import TypeVar
from uuid import UUID

import pytest
from django.db import connection

from auditlog.models import Entry
from queensmtp.tenancy import tenant
from tests.factories.cast import Cast
from tests.factories.webhooks import deliver, enqueue, make_endpoint, make_event
from tests.http_receiver import HttpReceiver, answer
from tests.roles import as_role
from webhooks import outbox, secret_actions
from webhooks.models import Endpoint, SigningSecret

pytestmark = pytest.mark.django_db(transaction=True)


Result = TypeVar("Result")


def in_two_threads(work: Callable[[], Result]) -> list[Result]:
    def run() -> Result:
        try:
            return work()
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as pool:
        return [future.result() for future in [pool.submit(run) for _ in range(2)]]


def claim_everything() -> list[UUID]:
    at, claimed = datetime.now(UTC), []
    with as_role("worker"):
        while batch := outbox.claim(limit=7, now=at):
            claimed += [one.id for one in batch]
    return claimed


def test_each_delivery_has_one_winner(cast: Cast) -> None:
    for account in (cast.hive, cast.wasp):
        make_endpoint(account, "https://hook.example/")
        enqueue(account, *[make_event() for _ in range(100)])

    one, two = in_two_threads(claim_everything)

    assert len(one) + len(two) == 200
    assert not set(one) & set(two)


def test_two_workers_deliver_each_event_once(cast: Cast) -> None:
    with HttpReceiver() as receiver:
        make_endpoint(cast.hive, receiver.url)
        make_endpoint(cast.wasp, receiver.url)
        enqueue(cast.hive, *[make_event() for _ in range(100)])
        enqueue(cast.wasp, *[make_event() for _ in range(100)])
        assert sum(in_two_threads(deliver)) == 200

    ids = [received.headers["webhook-id"] for received in receiver.requests]
    assert len(ids) == len(set(ids)) == 200


def test_two_workers_that_hear_410_disable_once(cast: Cast) -> None:
    with HttpReceiver(answer(410)) as receiver:
        endpoint = make_endpoint(cast.hive, receiver.url)
        enqueue(cast.hive, *[make_event() for _ in range(64)])
        in_two_threads(deliver)
        deliver(now=datetime.now(UTC) + timedelta(days=1))

    with tenant(cast.hive.pk):
        assert Endpoint.objects.get(pk=endpoint.pk).disabled_reason == "gone"
        assert Entry.objects.filter(event="webhook.disabled").count() == 1


def test_two_first_endpoints_at_once_share_one_secret(cast: Cast) -> None:
    in_two_threads(lambda: make_endpoint(cast.hive, "https://hook.example/"))

    with tenant(cast.hive.pk):
        assert Endpoint.objects.count() == 2
        assert SigningSecret.objects.count() == 1


def test_two_rotations_at_once_leave_one_current_secret(cast: Cast) -> None:
    make_endpoint(cast.hive, "https://hook.example/")

    def rotate() -> str:
        with tenant(cast.hive.pk):
            return secret_actions.rotate(by=cast.alice.actor, overlap_seconds=60)

    secrets = in_two_threads(rotate)

    with tenant(cast.hive.pk):
        current = secret_actions.reveal(by=cast.alice.actor)
        assert current in secrets
        assert SigningSecret.objects.current().count() == 1
        assert SigningSecret.objects.count() == 3
