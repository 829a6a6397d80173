from concurrent.futures import ThreadPoolExecutor

import orjson
import pytest
from django.db import connection
from django.utils import timezone

from auditlog import publication
from auditlog.models import Checkpoint
from queensmtp.tenancy import tenant
from tests.factories.auditlog import record_many, seal
from tests.factories.cast import Cast
from tests.factories.webhooks import make_endpoint
from tests.roles import as_role
from webhooks import checkpoints
from webhooks.models import Delivery

pytestmark = pytest.mark.django_db


def publish(cast: Cast) -> None:
    for account in (cast.hive, cast.wasp):
        record_many(1, account.pk)
    seal()
    with as_role("worker"):
        publication.publish_due(now=timezone.now())


def tell() -> int:
    with as_role("worker"):
        return checkpoints.tell_of_checkpoints()


def test_an_endpoint_that_asked_hears_of_its_own_checkpoints_once(cast: Cast) -> None:
    make_endpoint(cast.hive, "https://hook.example/", events=["audit.checkpoint"])
    make_endpoint(cast.wasp, "https://hook.example/", events=["email.delivered"])
    publish(cast)
    assert tell() >= 2
    assert tell() == 0
    with tenant(cast.hive.pk):
        (delivery,) = Delivery.objects.filter(event_type="audit.checkpoint")
        checkpoint = Checkpoint.objects.get()
    data = orjson.loads(bytes(delivery.body))["data"]
    assert (data["object"], data["size"], data["note"]) == (
        "checkpoint",
        checkpoint.size,
        checkpoint.note,
    )
    assert data["origin"] == f"localhost/{cast.hive.pk}"
    with tenant(cast.wasp.pk):
        assert not Delivery.objects.exists()


def test_a_crash_before_the_commit_tells_again_and_after_it_never(cast: Cast) -> None:
    make_endpoint(cast.hive, "https://hook.example/", events=["audit.checkpoint"])
    publish(cast)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(publication, "read_up_to", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            tell()
    with tenant(cast.hive.pk):
        assert not Delivery.objects.exists()
    tell()
    with tenant(cast.hive.pk):
        assert Delivery.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_two_workers_one_winner(cast: Cast) -> None:
    make_endpoint(cast.hive, "https://hook.example/", events=["audit.checkpoint"])
    publish(cast)

    def run(_: int) -> int:
        try:
            return tell()
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(run, range(2)))
    with tenant(cast.hive.pk):
        assert Delivery.objects.count() == 1
