import json

import pytest
from django.db import transaction

from queensmtp.tenancy import tenant
from tests.factories.cast import Cast
from tests.factories.webhooks import enqueue, make_endpoint, make_event
from tests.roles import as_role
from webhooks import actions
from webhooks.models import Delivery, Endpoint, EndpointStatus

URL = "https://hook.example/"


def deliveries_of(cast: Cast) -> list[Delivery]:
    with tenant(cast.hive.pk):
        return list(Delivery.objects.order_by("id"))


def test_each_endpoint_that_asked_gets_each_event(cast: Cast) -> None:
    one = make_endpoint(cast.hive, URL, events=["email.delivered", "email.bounced"])
    two = make_endpoint(cast.hive, URL, events=["email.delivered"])
    delivered, bounced, sent = map(make_event, ["email.delivered", "email.bounced", "email.sent"])

    enqueue(cast.hive, delivered, bounced, sent)

    assert {(row.endpoint_id, row.event_id) for row in deliveries_of(cast)} == {
        (one.pk, delivered.id),
        (two.pk, delivered.id),
        (one.pk, bounced.id),
    }


def test_a_delivery_holds_the_bytes_that_will_be_sent(cast: Cast) -> None:
    make_endpoint(cast.hive, URL)
    event = make_event(email_id="e1", to=["a@b.example"], subject="Grüße")

    enqueue(cast.hive, event)

    [row] = deliveries_of(cast)
    assert json.loads(bytes(row.body))["data"]["subject"] == "Grüße"
    assert (row.state, row.attempt_count, row.event_type) == ("pending", 0, "email.delivered")


def test_a_disabled_or_removed_endpoint_gets_nothing(cast: Cast) -> None:
    disabled = make_endpoint(cast.hive, URL)
    removed = make_endpoint(cast.hive, URL)
    with tenant(cast.hive.pk):
        actions.update_endpoint(
            by=cast.alice.actor, endpoint=disabled, status=EndpointStatus.DISABLED
        )
        actions.remove_endpoint(by=cast.alice.actor, endpoint=removed)

    enqueue(cast.hive)

    assert deliveries_of(cast) == []


def test_an_event_rolled_back_with_its_transaction_is_never_sent(cast: Cast) -> None:
    make_endpoint(cast.hive, URL)
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        enqueue(cast.hive)
        1 / 0  # noqa: B018

    assert deliveries_of(cast) == []


def test_a_worker_enqueues_only_for_the_account_it_names(cast: Cast) -> None:
    """The worker's policy is open, so the query itself must name the tenant."""
    make_endpoint(cast.wasp, URL)
    own = make_endpoint(cast.hive, URL)

    with as_role("worker"):
        actions.enqueue(account_id=cast.hive.pk, events=[make_event()])
        assert [row.endpoint_id for row in Delivery.objects.all()] == [own.pk]


def test_without_endpoints_it_costs_one_query(
    cast: Cast, django_assert_num_queries: object
) -> None:
    with tenant(cast.hive.pk), django_assert_num_queries(1):  # type: ignore[operator]
        actions.enqueue(account_id=cast.hive.pk, events=[make_event()] * 10)


def test_another_accounts_rows_are_invisible_to_the_app(cast: Cast) -> None:
    make_endpoint(cast.hive, URL)
    enqueue(cast.hive)

    with tenant(cast.wasp.pk):
        assert not Endpoint.objects.exists()
        assert not Delivery.objects.exists()
