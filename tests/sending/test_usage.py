"""GET /v1/usage and what the console shows of quotas."""

from typing import Any

import orjson
import pytest
from django.conf import LazySettings
from django.test import Client
from django.utils import timezone

from auditlog.models import Entry
from queensmtp.api_document import document
from queensmtp.tenancy import tenant
from sending.models import QuotaCounter
from tests.console import get, sign_in, text
from tests.factories.cast import Cast, make_domain
from tests.factories.keys import bearer, make_key

BODY = {
    "from": "a@hive.example",
    "to": ["ann@wasp.example", "bea@wasp.example"],
    "subject": "Hello",
    "text": "Hi",
}


@pytest.fixture
def hive(cast: Cast, settings: LazySettings) -> Cast:
    make_domain(cast.hive, "hive.example")
    settings.DAILY_QUOTAS = {"community": 5}
    return cast


def send(client: Client, token: str) -> Any:
    return client.post(
        "/v1/emails",
        data=orjson.dumps(BODY),
        content_type="application/json",
        headers=bearer(token),
    )


def read(client: Client, token: str) -> Any:
    return client.get("/v1/usage", headers=bearer(token))


def test_tells_what_is_used_and_when_it_starts_anew(client: Client, hive: Cast) -> None:
    _, token = make_key(hive.hive, rate_requests=20, rate_per_seconds=2)
    send(client, token)

    answer = read(client, token)

    assert "200" in document()["paths"]["/v1/usage"]["get"]["responses"]
    told = answer.json()
    assert told["object"] == "usage"
    assert (told["emails"]["daily"]["used"], told["emails"]["daily"]["limit"]) == (2, 5)
    # A month without a quota is counted all the same.
    assert (told["emails"]["monthly"]["used"], told["emails"]["monthly"]["limit"]) == (2, None)
    midnight = timezone.now().strftime("%Y-%m-%dT00:00:00+00:00")
    assert told["emails"]["daily"]["resets_at"] > midnight
    assert told["domains"]["used"] == 1
    assert told["rate_limit"] == {"limit": 20, "duration": "2s"}
    with tenant(hive.hive.pk):
        assert Entry.objects.filter(event="usage.read").count() == 1


def test_reading_opens_no_counter(client: Client, hive: Cast) -> None:
    _, token = make_key(hive.hive)
    assert read(client, token).json()["emails"]["daily"]["used"] == 0
    with tenant(hive.hive.pk):
        assert not QuotaCounter.objects.exists()


def test_it_refuses_without_the_scope(client: Client, hive: Cast) -> None:
    _, token = make_key(hive.hive, scopes=("email:send",))
    refused = read(client, token)
    assert (refused.status_code, refused.json()["name"]) == (403, "insufficient_scope")


def test_charlie_reads_his_own(client: Client, hive: Cast) -> None:
    send(client, make_key(hive.hive)[1])
    told = read(client, make_key(hive.wasp)[1]).json()
    assert told["emails"]["daily"]["used"] == told["domains"]["used"] == 0


def test_the_first_page_shows_quotas_of_the_account_and_of_keys(client: Client, hive: Cast) -> None:
    alice = sign_in(hive.alice.user)
    assert "0 of 5" in text(get(alice, "/console"))
    _, token = make_key(hive.hive, daily_quota=2)
    send(client, token)

    page = text(get(alice, "/console"))

    assert "2 of 5, 40&nbsp;%" in page
    assert "2 of 2" in page and "used up" in page


def test_without_quotas_the_first_page_says_nothing_of_them(
    hive: Cast, settings: LazySettings
) -> None:
    settings.DAILY_QUOTAS = {}
    assert "Quotas" not in text(get(sign_in(hive.alice.user), "/console"))
