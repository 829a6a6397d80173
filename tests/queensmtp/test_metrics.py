"""/metrics"""

from datetime import timedelta
from typing import Any

import pytest
from django.db import DatabaseError, connection, transaction
from django.test import Client
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families

from domains.measures import CheckOutcome
from domains.models import Domain, DomainStatus
from queensmtp import metrics, tasks
from queensmtp.tenancy import tenant
from sending import queue
from sending.models import Recipient
from tests.factories.cast import Cast, make_domain
from tests.factories.emails import make_email
from tests.factories.keys import make_key
from tests.factories.webhooks import make_endpoint
from tests.roles import as_role

pytestmark = pytest.mark.django_db

TOKEN = "a-token-of-the-operator-0123456789"
NAME = "hive.example"


@pytest.fixture(autouse=True)
def _token(settings: Any) -> None:
    settings.METRICS_TOKEN = TOKEN


def ask(client: Client, authorization: str | None = f"Bearer {TOKEN}") -> Any:
    headers = {"Authorization": authorization} if authorization is not None else {}
    return client.get("/metrics", headers=headers, secure=True)


def scrape(client: Client) -> dict[tuple[str, str], float]:
    """From the name of a sample and the value of its label to its value."""
    response = ask(client)
    assert response.status_code == 200
    families = text_string_to_metric_families(response.content.decode())
    samples = [sample for family in families for sample in family.samples]
    return {(one.name, "".join(one.labels.values())): one.value for one in samples}


def measure() -> None:
    with as_role("worker"):
        tasks.measure()


def test_the_operator_reads_what_prometheus_can_read(client: Client) -> None:
    measure()
    response = ask(client)

    assert response.status_code == 200
    assert response["Content-Type"].startswith("text/plain; version=")
    assert response["Cache-Control"] == "no-store"
    text = response.content.decode()
    families = {family.name for family in text_string_to_metric_families(text)}
    assert families == {metric.name for metric in metrics.METRICS}


@pytest.mark.parametrize(
    "authorization",
    [None, "", TOKEN, "Bearer", "Bearer ", f"Bearer {TOKEN}x", f"bearer {TOKEN}", "Bearer \u00e9"],
)
def test_nobody_else_reads_it(client: Client, authorization: str | None) -> None:
    response = ask(client, authorization)

    assert response.status_code == 401
    assert response["WWW-Authenticate"].startswith("Bearer")
    assert TOKEN.encode() not in response.content
    assert b"queensmtp_" not in response.content


def test_an_api_key_does_not_open_it(client: Client, cast: Cast) -> None:
    _, token = make_key(cast.hive)
    assert ask(client, f"Bearer {token}").status_code == 401


def test_without_a_token_in_the_settings_there_is_no_such_page(
    client: Client, settings: Any
) -> None:
    settings.METRICS_TOKEN = ""
    for authorization in (None, "Bearer ", f"Bearer {TOKEN}"):
        assert ask(client, authorization).status_code == 404


def test_it_is_only_read(client: Client) -> None:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    assert client.post("/metrics", headers=headers, secure=True).status_code in (403, 405)


def test_what_stands_is_told_of_all_accounts_together(client: Client, cast: Cast) -> None:
    measure()
    before = scrape(client)
    make_endpoint(cast.hive, "https://hook.example/", events=["domain.created"])
    make_domain(cast.hive, NAME)
    late = make_domain(cast.wasp, "charlie.example", verified=False)
    with tenant(late.account_id):
        Domain.objects.update(check_due_at=timezone.now() - timedelta(minutes=5))
    message = make_email(cast.hive, to=["ann@wasp.example", "bea@wasp.example"])
    with tenant(cast.hive.pk):
        mail = Recipient.objects.filter(message_id=message)
        mail.update(due_at=timezone.now() - timedelta(hours=1))
    measure()

    after = scrape(client)
    grown = {key: after[key] - before[key] for key in after}
    assert grown["queensmtp_domains", "not_started"] == 1
    assert grown["queensmtp_domain_checks_overdue", ""] == 1
    assert grown["queensmtp_recipients", "waiting"] == 2
    assert grown["queensmtp_webhook_deliveries_pending", ""] == 1
    assert grown["queensmtp_audit_entries_unsealed", ""] > 0
    assert 3600 <= after["queensmtp_oldest_due_seconds", ""] < 3700
    assert after["queensmtp_measured_timestamp_seconds", ""] >= timezone.now().timestamp() - 60


def test_what_a_worker_has_in_hand_is_leased_and_no_longer_waiting(
    client: Client, cast: Cast
) -> None:
    make_domain(cast.hive, NAME)
    make_email(cast.hive)
    measure()
    before = scrape(client)
    with as_role("worker"):
        assert len(queue.claim(limit=10, lease_seconds=120, now=timezone.now())) == 1
    measure()

    after, recipients = scrape(client), "queensmtp_recipients"
    assert after[recipients, "waiting"] - before[recipients, "waiting"] == -1
    assert after[recipients, "leased"] - before[recipients, "leased"] == 1
    assert after["queensmtp_oldest_due_seconds", ""] == 0


def test_measuring_twice_changes_nothing_but_the_time(client: Client, cast: Cast) -> None:
    make_domain(cast.hive, NAME)
    measure()
    before = scrape(client)
    measure()
    differing = {key[0] for key, value in scrape(client).items() if value != before[key]}
    assert differing <= {metrics.MEASURED_AT, "queensmtp_oldest_due_seconds"}


def test_no_label_holds_what_a_customer_chose(client: Client, cast: Cast) -> None:
    make_domain(cast.hive, NAME)
    make_email(cast.hive, to=["ann@wasp.example"])
    measure()
    with as_role("worker"), connection.cursor() as cursor:
        # Even if a worker wrote such a row, it is not in the closed list.
        rows = "('queensmtp_domains', 'hive.example', 1), ('hive.example', '', 1)"
        cursor.execute(f"INSERT INTO queensmtp_measure (name, label, value) VALUES {rows}")

    text = ask(client).content.decode()

    assert not [word for word in ("hive", "wasp", "ann@", str(cast.hive.pk)) if word in text]
    allowed = {one for metric in metrics.METRICS for one in metric.options} | {*metrics.BOUNDS}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            assert set(sample.labels.values()) <= allowed, sample
            assert set(sample.labels) <= {"outcome", "status", "state", "le"}, sample


def test_the_closed_list_knows_every_outcome_and_status() -> None:
    options = {metric.name: set(metric.options) for metric in metrics.METRICS}
    assert options["queensmtp_domain_checks"] == {one.value for one in CheckOutcome}
    assert options["queensmtp_domains"] == {one.value for one in DomainStatus}


def test_the_web_process_cannot_write_them() -> None:
    refused = pytest.raises(DatabaseError, match="permission denied")
    with refused, transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("UPDATE queensmtp_measure SET value = 0")


def test_a_gauge_that_was_never_measured_is_left_out_and_a_counter_begins_at_zero() -> None:
    text = metrics.text_of({}).decode()
    assert 'queensmtp_domain_checks_total{outcome="verified"} 0.0' in text
    assert "\nqueensmtp_recipients{" not in text
