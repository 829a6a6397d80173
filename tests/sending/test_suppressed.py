"""A suppressed address gets no mail: asked at accept, and again at delivery."""

import json
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from contacts import actions as contacts
from contacts.actions import Wanted
from contacts.models import Origin, Suppression
from domains.models import Domain
from queensmtp.tenancy import tenant
from sending import actions, statements
from sending.models import DeliveryEvent, Recipient
from tests.factories.cast import Cast, make_domain
from tests.factories.emails import make_email
from tests.roles import as_role
from tests.smtp_sink import SmtpSink
from webhooks import actions as webhooks
from webhooks.models import Delivery


@pytest.fixture(autouse=True)
def domain(cast: Cast) -> Domain:
    return make_domain(cast.hive, "hive.example")


def suppress(cast: Cast, email: str, origin: Origin = Origin.BOUNCE, **more: Any) -> Suppression:
    with tenant(cast.hive.pk):
        wanted = [Wanted(email, origin, **more)]
        return contacts.suppress(by=cast.alice.actor, wanted=wanted)[0]


def deliver_due() -> None:
    with as_role("worker"):
        actions.deliver_due()


def states(cast: Cast) -> dict[str, str]:
    with tenant(cast.hive.pk):
        return dict(Recipient.objects.values_list("address", "state"))


def events(cast: Cast) -> list[tuple[str, Any]]:
    with tenant(cast.hive.pk):
        return list(DeliveryEvent.objects.order_by("pk").values_list("type", "data"))


def test_the_accept_statement_finds_it_whatever_its_case(cast: Cast, sink: SmtpSink) -> None:
    suppress(cast, "ann@wasp.example")
    make_email(cast.hive, to=["Ann@Wasp.Example", "bea@wasp.example"])
    assert states(cast) == {"Ann@wasp.example": "suppressed", "bea@wasp.example": "queued"}
    deliver_due()
    assert [one.recipients for one in sink.messages] == [("bea@wasp.example",)]
    assert states(cast)["Ann@wasp.example"] == "suppressed"


def test_it_costs_no_further_round_trip(cast: Cast) -> None:
    suppress(cast, "ann@wasp.example")
    with CaptureQueriesContext(connection) as before:
        make_email(cast.hive, to="bea@wasp.example")
    with CaptureQueriesContext(connection) as after:
        make_email(cast.hive, to="ann@wasp.example")
    assert len(before) == len(after)


def test_of_another_account_it_stops_nothing(cast: Cast) -> None:
    with tenant(cast.wasp.pk):
        contacts.suppress(by=cast.charlie.actor, wanted=[Wanted("ann@wasp.example", Origin.MANUAL)])
    make_email(cast.hive)
    assert set(states(cast).values()) == {"queued"}


def test_one_that_was_taken_back_or_has_ended_stops_nothing(cast: Cast) -> None:
    taken_back = suppress(cast, "ann@wasp.example")
    ended = suppress(cast, "bea@wasp.example", expires_at=timezone.now() + timedelta(hours=1))
    with tenant(cast.hive.pk):
        contacts.remove(by=cast.alice.actor, suppressions=[taken_back])
        Suppression.objects.filter(pk=ended.pk).update(
            expires_at=timezone.now() - timedelta(hours=1)
        )
    make_email(cast.hive, to=["ann@wasp.example", "bea@wasp.example"])
    assert set(states(cast).values()) == {"queued"}


def test_who_unsubscribed_still_gets_what_is_no_marketing(cast: Cast, sink: SmtpSink) -> None:
    suppress(cast, "ann@wasp.example", Origin.UNSUBSCRIBE)
    make_email(cast.hive, subject="Your password")
    deliver_due()
    assert states(cast) == {"ann@wasp.example": "delivered"}


def test_it_is_told_once_by_event_and_webhook(cast: Cast, sink: SmtpSink) -> None:
    with tenant(cast.hive.pk):
        webhooks.create_endpoint(
            by=cast.alice.actor, url="https://hooks.example/in", events=["email.suppressed"]
        )
    suppress(cast, "ann@wasp.example", Origin.COMPLAINT)
    make_email(cast.hive)
    assert events(cast) == []
    for _ in range(2):
        deliver_due()
    ((kind, data),) = events(cast)
    assert (kind, data["state"], data["origin"]) == ("email.suppressed", "suppressed", "complaint")
    with tenant(cast.hive.pk):
        body = json.loads(bytes(Delivery.objects.get().body))
    assert body["data"]["to"] == ["ann@wasp.example"]
    assert body["data"]["suppressed"] == {
        "message": "The address is suppressed: its owner marked a message as spam.",
        "type": "OnAccountSuppressionList",
    }


def test_what_was_suppressed_since_is_not_delivered(cast: Cast, sink: SmtpSink) -> None:
    make_email(cast.hive)
    suppress(cast, "ann@wasp.example")
    for _ in range(2):
        deliver_due()
    assert sink.messages == []
    assert states(cast) == {"ann@wasp.example": "suppressed"}
    assert [kind for kind, _ in events(cast)] == ["email.suppressed"]


def test_the_look_up_goes_by_its_index_as_app(cast: Cast) -> None:
    """Under row-level security only leakproof operators reach an index."""
    with tenant(cast.hive.pk), connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute(
            "EXPLAIN SELECT s.id FROM contacts_suppression s WHERE s.account_id = %s"
            " AND s.email = %s AND s.removed_at IS NULL"
            " AND (s.expires_at IS NULL OR s.expires_at > now()) AND (NOT s.marketing_only OR %s)",
            [cast.hive.pk, "ann@wasp.example", False],
        )
        plan = "\n".join(row[0] for row in cursor.fetchall())
    conditions = [line for line in plan.splitlines() if "Index Cond" in line]
    assert "account_id" in conditions[0] and "email" in conditions[0], plan
    assert "contacts_suppression" in statements.ONCE
