import json
import time
from datetime import UTC, datetime, timedelta

import pytest
import standardwebhooks
import svix.webhooks
from pytest_django.fixtures import Settings

from queensmtp import outbound
from queensmtp.tenancy import tenant
from tests import http_receiver
from tests.certificates import Authority
from tests.factories.cast import Cast
from tests.factories.webhooks import deliver, enqueue, make_endpoint, make_event, secret_of
from tests.http_receiver import HttpReceiver, answer
from tests.roles import as_role
from webhooks import outbox, signing, windows
from webhooks.models import Attempt, Delivery, Endpoint
from webhooks.outbox import Report
from webhooks.schedule import DELIVERED


def now() -> datetime:
    return datetime.now(UTC)


def only_delivery(cast: Cast) -> Delivery:
    with tenant(cast.hive.pk):
        return Delivery.objects.get()


def attempts_of(cast: Cast) -> list[Attempt]:
    with tenant(cast.hive.pk):
        return list(Attempt.objects.order_by("id"))


def fresh(endpoint: Endpoint) -> Endpoint:
    with tenant(endpoint.account_id):
        return Endpoint.objects.get(pk=endpoint.pk)


def test_a_delivery_arrives_and_every_library_verifies_it(cast: Cast) -> None:
    event = make_event(email_id="e1", to=["a@b.example"], subject="Grüße")
    with HttpReceiver() as receiver:
        endpoint = make_endpoint(cast.hive, receiver.url)
        enqueue(cast.hive, event)
        assert deliver() == 1

    [received] = receiver.requests
    secret = secret_of(endpoint)
    signing.verify(secrets=[secret], headers=received.headers, body=received.body)
    payload = standardwebhooks.Webhook(secret).verify(received.body, dict(received.headers))
    svix.webhooks.Webhook(secret).verify(received.body, dict(received.headers))
    assert payload == json.loads(received.body)
    assert payload["type"] == "email.delivered"
    assert payload["data"]["subject"] == "Grüße"
    assert received.headers["webhook-id"] == received.headers["svix-id"] == str(event.id)
    assert received.headers["content-type"] == "application/json"


def test_the_outcome_and_the_attempt_are_kept(cast: Cast) -> None:
    with HttpReceiver(answer(202, b"thank\0you")) as receiver:
        make_endpoint(cast.hive, receiver.url)
        enqueue(cast.hive)
        deliver()

    row = only_delivery(cast)
    assert (row.state, row.attempt_count, row.last_status) == ("delivered", 1, 202)
    assert row.finished_at is not None
    [attempt] = attempts_of(cast)
    assert (attempt.delivery_id, attempt.number, attempt.status) == (row.pk, 1, 202)
    assert attempt.response == "thank\ufffdyou"
    assert attempt.latency_milliseconds is not None


def test_doing_it_twice_delivers_once(cast: Cast) -> None:
    with HttpReceiver() as receiver:
        make_endpoint(cast.hive, receiver.url)
        enqueue(cast.hive)
        assert [deliver(), deliver()] == [1, 0]

    assert len(receiver.requests) == 1


def test_deliveries_of_all_tenants_go_out_together(cast: Cast) -> None:
    with HttpReceiver() as receiver:
        endpoints = [make_endpoint(account, receiver.url) for account in (cast.hive, cast.wasp)]
        for account in (cast.hive, cast.wasp):
            enqueue(account, *[make_event() for _ in range(40)])
        assert deliver() == 80

    secrets = [secret_of(endpoint) for endpoint in endpoints]
    assert secrets[0] != secrets[1]
    by_secret = [
        sum(_verifies(received, secret) for received in receiver.requests) for secret in secrets
    ]
    assert by_secret == [40, 40]


def _verifies(received: http_receiver.Received, secret: str) -> bool:
    try:
        signing.verify(secrets=[secret], headers=received.headers, body=received.body)
    except signing.VerificationError:
        return False
    return True


def test_a_retry_has_the_same_id_and_bytes_and_a_fresh_timestamp(cast: Cast) -> None:
    with HttpReceiver(answer(500), answer(200)) as receiver:
        make_endpoint(cast.hive, receiver.url)
        enqueue(cast.hive)
        deliver()
        first = only_delivery(cast)
        time.sleep(1.1)
        deliver(now=now() + timedelta(seconds=6))

    one, two = receiver.requests
    assert (first.state, first.last_reason) == ("pending", "http_500")
    assert one.body == two.body
    assert one.headers["webhook-id"] == two.headers["webhook-id"]
    assert int(two.headers["webhook-timestamp"]) > int(one.headers["webhook-timestamp"])
    assert one.headers["x-queensmtp-signature"] != two.headers["x-queensmtp-signature"]
    assert only_delivery(cast).state == "delivered"
    assert [attempt.number for attempt in attempts_of(cast)] == [1, 2]


def test_it_is_tried_eight_times_over_the_schedule_and_then_listed_as_failed(
    cast: Cast, settings: Settings
) -> None:
    with HttpReceiver(answer(503)) as receiver:
        make_endpoint(cast.hive, receiver.url)
        enqueue(cast.hive)
        clock = now()
        assert deliver(now=clock) == 1
        for pause in settings.WEBHOOK_RETRY_SECONDS:
            assert deliver(now=clock + timedelta(seconds=0.89 * pause)) == 0
            clock += timedelta(seconds=1.11 * pause)
            assert deliver(now=clock) == 1

    row = only_delivery(cast)
    assert (row.state, row.attempt_count) == ("failed", 8)
    assert len(receiver.requests) == 8
    assert deliver(now=clock + timedelta(days=30)) == 0


def test_retry_after_is_honoured(cast: Cast) -> None:
    clock = now()
    with HttpReceiver(answer(429, headers={"Retry-After": "600"})) as receiver:
        make_endpoint(cast.hive, receiver.url)
        enqueue(cast.hive)
        deliver(now=clock + timedelta(seconds=1))

    assert only_delivery(cast).due_at == clock + timedelta(seconds=601)
    assert len(receiver.requests) == 1


def test_410_disables_the_endpoint_and_gives_up_what_waits(cast: Cast) -> None:
    with HttpReceiver(answer(410)) as receiver:
        endpoint = make_endpoint(cast.hive, receiver.url)
        enqueue(cast.hive)
        deliver()
        enqueue(cast.hive)
        deliver()

    found = fresh(endpoint)
    assert (found.status, found.disabled_reason) == ("disabled", "gone")
    assert only_delivery(cast).state == "failed"
    assert len(receiver.requests) == 1


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        (http_receiver.silence(), "timeout"),
        (http_receiver.slow_body, "timeout"),
        (http_receiver.reset, "unreachable"),
        (http_receiver.endless_headers, "protocol"),
    ],
)
def test_a_hostile_receiver_is_a_failed_attempt(
    cast: Cast, settings: Settings, script: http_receiver.Script, reason: str
) -> None:
    settings.WEBHOOK_TIMEOUT_SECONDS = 1
    with HttpReceiver(script) as receiver:
        make_endpoint(cast.hive, receiver.url)
        enqueue(cast.hive)
        assert deliver() == 1

    row = only_delivery(cast)
    assert (row.state, row.last_status, row.last_reason) == ("pending", None, reason)


def test_a_tenant_cannot_tell_a_closed_port_from_an_internal_address(
    cast: Cast, settings: Settings
) -> None:
    with HttpReceiver() as receiver:
        url = receiver.url
    make_endpoint(cast.hive, url)
    enqueue(cast.hive)
    deliver()
    closed = attempts_of(cast)[-1].reason

    settings.OUTBOUND_ALLOW_LOOPBACK = False
    outbound.close()
    deliver(now=now() + timedelta(seconds=10))

    assert closed == "unreachable"
    assert attempts_of(cast)[-1].reason == "unreachable"


def test_an_unreachable_endpoint_rests_and_others_are_not_delayed(
    cast: Cast, settings: Settings
) -> None:
    settings.WEBHOOK_TIMEOUT_SECONDS = 4
    with HttpReceiver(http_receiver.silence()) as hanging, HttpReceiver() as healthy:
        resting = make_endpoint(cast.hive, hanging.url)
        make_endpoint(cast.wasp, healthy.url)
        enqueue(cast.hive, *[make_event() for _ in range(100)])
        enqueue(cast.wasp, *[make_event() for _ in range(100)])
        started = time.time()
        deliver(now=now())

    assert len(healthy.requests) == 100
    assert max(received.at for received in healthy.requests) - started < 3.5
    # One claim's worth hung; then the endpoint was left alone.
    assert len(hanging.requests) <= windows.FIRST_ROOM
    found = fresh(resting)
    assert found.failing_since is not None
    assert found.resting_until is not None


def test_a_failing_endpoint_is_probed_with_one_delivery_and_healed_by_a_success(
    cast: Cast,
) -> None:
    with HttpReceiver(http_receiver.reset, answer(200)) as receiver:
        endpoint = make_endpoint(cast.hive, receiver.url)
        enqueue(cast.hive)
        deliver(now=now())
        enqueue(cast.hive, *[make_event() for _ in range(10)])
        assert deliver(now=now()) == 0
        with as_role("worker"):
            probe = outbox.claim(limit=100, now=now() + timedelta(seconds=30))
        assert len(probe) == 1
        assert deliver(now=now() + timedelta(minutes=10)) == 11

    assert fresh(endpoint).failing_since is None
    assert fresh(endpoint).resting_until is None


def test_an_endpoint_pointed_inside_after_its_creation_is_never_dialled(
    cast: Cast, settings: Settings
) -> None:
    with HttpReceiver() as receiver:
        make_endpoint(cast.hive, receiver.url)
        enqueue(cast.hive)
        settings.OUTBOUND_ALLOW_LOOPBACK = False
        outbound.close()
        deliver()

    assert receiver.connection_count == 0
    assert only_delivery(cast).state == "failed"


def test_credentials_of_the_url_arrive_as_basic_authorization(cast: Cast) -> None:
    with HttpReceiver() as receiver:
        endpoint = make_endpoint(cast.hive, receiver.url.replace("://", "://user:p%40ss@"))
        enqueue(cast.hive)
        deliver()

    assert receiver.requests[0].headers["authorization"] == "Basic dXNlcjpwQHNz"
    assert "p%40ss" not in endpoint.url
    assert endpoint.credentials is not None
    assert b"p%40ss" not in bytes(endpoint.credentials)


def test_it_delivers_over_tls_to_a_receiver_of_the_operators_authority(
    cast: Cast, settings: Settings, tmp_path_factory: pytest.TempPathFactory
) -> None:
    authority = Authority(tmp_path_factory.mktemp("authority"))
    settings.OUTBOUND_CA_FILE = str(authority.ca_file)
    with HttpReceiver(certificate=authority.issue("127.0.0.1")) as receiver:
        make_endpoint(cast.hive, receiver.url)
        enqueue(cast.hive)
        deliver()

    assert receiver.url.startswith("https://")
    assert only_delivery(cast).state == "delivered"


# Leases and fences


def test_a_claimed_delivery_is_no_one_elses_until_its_lease_ends(cast: Cast) -> None:
    make_endpoint(cast.hive, "https://hook.example/")
    enqueue(cast.hive)
    start = now()
    with as_role("worker"):
        assert len(outbox.claim(limit=10, now=start, lease_seconds=60)) == 1
        assert outbox.claim(limit=10, now=start + timedelta(seconds=59)) == []
        assert len(outbox.claim(limit=10, now=start + timedelta(seconds=61))) == 1


def test_a_worker_whose_lease_ran_out_cannot_report(cast: Cast) -> None:
    make_endpoint(cast.hive, "https://hook.example/")
    enqueue(cast.hive)
    start = now()
    with as_role("worker"):
        [late] = outbox.claim(limit=10, now=start, lease_seconds=60)
        [newer] = outbox.claim(limit=10, now=start + timedelta(seconds=61))
        assert outbox.record([_delivered(late)], now=start) == 0
        assert only_delivery(cast).state == "sending"
        assert outbox.record([_delivered(newer)], now=start) == 1
        assert outbox.record([_delivered(newer)], now=start) == 0

    assert only_delivery(cast).state == "delivered"
    assert len(attempts_of(cast)) == 1


def _delivered(claimed: outbox.Claimed) -> Report:
    return Report(
        claimed=claimed,
        verdict=DELIVERED,
        sent_at=now(),
        status=200,
        reason="",
        latency_milliseconds=1,
        response="",
    )


def test_a_worker_that_died_in_mid_flight_costs_a_repeat_with_the_same_id(cast: Cast) -> None:
    with HttpReceiver() as receiver:
        make_endpoint(cast.hive, receiver.url)
        event = make_event()
        enqueue(cast.hive, event)
        with as_role("worker"):
            [lost] = outbox.claim(limit=10, now=now())
        assert deliver() == 0
        assert deliver(now=now() + timedelta(seconds=outbox.LEASE_SECONDS + 1)) == 1

    [received] = receiver.requests
    assert received.body == lost.body
    assert received.headers["webhook-id"] == str(event.id)


def test_a_claim_never_takes_more_than_its_limit(cast: Cast) -> None:
    for account in (cast.hive, cast.wasp):
        for is_ordered in (False, False, True):
            make_endpoint(account, "https://hook.example/", is_ordered=is_ordered)
        enqueue(account, *[make_event() for _ in range(10)])
    with as_role("worker"):
        taken = [len(outbox.claim(limit=7, now=now())) for _ in range(20)]

    assert max(taken) == 7
    # One each of the two ordered endpoints, and ten of each other.
    assert sum(taken) == 42


def test_one_claim_takes_a_bounded_number_of_each_endpoint(cast: Cast) -> None:
    flood = make_endpoint(cast.hive, "https://flood.example/")
    small = make_endpoint(cast.wasp, "https://small.example/")
    enqueue(cast.hive, *[make_event() for _ in range(200)])
    enqueue(cast.wasp)
    with as_role("worker"):
        claimed = [one.endpoint_id for one in outbox.claim(limit=200, now=now())]

    assert claimed.count(flood.pk) == windows.FIRST_ROOM
    assert claimed.count(small.pk) == 1


def test_the_app_may_not_report_outcomes(cast: Cast) -> None:
    from django.db import ProgrammingError, transaction

    make_endpoint(cast.hive, "https://hook.example/")
    enqueue(cast.hive)
    with (
        tenant(cast.hive.pk),
        pytest.raises(ProgrammingError, match="permission denied"),
        transaction.atomic(),
    ):
        Delivery.objects.update(last_status=200)
