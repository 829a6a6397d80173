"""How a key was used: gathered from the log's leaves, right within a minute, kept for good."""

from concurrent.futures import ThreadPoolExecutor
from datetime import date
from typing import Any

import orjson
import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone

from accounts.models import Notice
from apikeys import gathering, usage
from apikeys.models import ApiKey, DayOfUse, SeenNetwork
from auditlog import actions as audit
from auditlog.models import Entry
from queensmtp.actors import Actor
from queensmtp.tenancy import tenant
from tests.apikeys.test_keys_api import call
from tests.factories.auditlog import seal
from tests.factories.cast import Cast, make_cast
from tests.factories.keys import bearer, make_key
from tests.factories.webhooks import make_endpoint
from tests.roles import as_role
from webhooks.models import Delivery


def gather(*, at_once: int = 5_000) -> int:
    """Seal and gather as the workers do."""
    seal()
    with as_role("worker"):
        return gathering.gather_all(at_once=at_once)


def use(client: Client, token: str, address: str = "127.0.0.1", agent: str = "shop/1") -> int:
    headers = bearer(token) | {"user-agent": agent}
    return int(client.get("/v1/keys", headers=headers, REMOTE_ADDR=address).status_code)


def days_of(cast: Cast, key: ApiKey) -> dict[date, dict[str, int]]:
    with tenant(cast.hive.pk):
        return usage.by_day(key.pk, since=date(2020, 1, 1), until=date(2100, 1, 1))


def told(cast: Cast) -> list[Any]:
    with tenant(cast.hive.pk):
        return [orjson.loads(bytes(one.body))["data"] for one in Delivery.objects.order_by("id")]


def test_requests_are_counted_by_day_and_outcome(client: Client, cast: Cast) -> None:
    key, token = make_key(cast.hive, allowed_cidrs=("127.0.0.1/32",))
    other, other_token = make_key(cast.hive)
    for _ in range(3):
        use(client, token)
    use(client, token, "198.51.100.1")
    use(client, other_token)

    gather()

    today = timezone.now().date()
    assert days_of(cast, key) == {today: {"allowed": 3, "refused": 1}}
    assert days_of(cast, other) == {today: {"allowed": 1}}


def test_gathering_twice_counts_nothing_twice(client: Client, cast: Cast) -> None:
    key, token = make_key(cast.hive)
    use(client, token)
    assert gather() > 0
    assert gather() == 0
    use(client, token)
    # Leaf by leaf.
    gather(at_once=1)

    assert days_of(cast, key) == {timezone.now().date(): {"allowed": 2}}


def test_guesses_at_a_key_are_no_requests_of_it(client: Client, cast: Cast) -> None:
    key, _ = make_key(cast.hive)
    with tenant(cast.hive.pk):
        record_guesses(cast, key)
    gather()

    assert days_of(cast, key) == {}


def record_guesses(cast: Cast, key: ApiKey) -> None:
    audit.record(
        by=Actor(
            type="system",
            id="authentication",
            label="authentication",
            account_id=cast.hive.pk,
            key_id=key.pk,
        ),
        event="api_key.wrong_secret_presented",
        outcome="refused",
        count=50,
    )


def test_the_answer_names_time_address_and_client(client: Client, cast: Cast) -> None:
    key, token = make_key(cast.hive)
    _, reader = make_key(cast.hive)
    before = timezone.now()
    use(client, token, "198.51.100.7", "shop/2")

    shown = call(client, "GET", f"/{key.pk}", reader).json()

    assert shown["last_used_at"] >= before.isoformat()
    assert (shown["last_used_ip"], shown["last_used_user_agent"]) == ("198.51.100.7", "shop/2")


def test_what_the_log_no_longer_holds_is_still_known(client: Client, cast: Cast) -> None:
    key, token = make_key(cast.hive)
    use(client, token, "198.51.100.7", "shop/2")
    gather()
    with tenant(cast.hive.pk):
        kept = usage._fetched(usage.LAST_USE_KEPT, [cast.hive.pk, [key.pk]])
        from_log = usage.last_uses(cast.hive.pk, [key.pk])

    assert kept == from_log
    assert kept[key.pk].ip == "198.51.100.7"


def test_the_first_network_is_no_news_and_the_second_is(client: Client, cast: Cast) -> None:
    make_endpoint(cast.hive, "https://hooks.hive.example/", events=["api_key.new_network"])
    key, token = make_key(cast.hive)
    for address in ("198.51.100.7", "198.51.100.250"):
        use(client, token, address)
    gather()
    assert told(cast) == []

    use(client, token, "203.0.113.9", "thief/1")
    use(client, token, "203.0.113.10")
    gather()
    gather()

    [data] = told(cast)
    assert (data["id"], data["network"], data["ip"]) == (
        str(key.pk),
        "203.0.113.0/24",
        "203.0.113.9",
    )
    assert data["user_agent"] == "thief/1"
    with tenant(cast.hive.pk):
        [entry] = Entry.objects.filter(event="api_key.new_network_seen")
        [notice] = Notice.objects.filter(kind="api_key.new_network")
    assert (entry.target_id, entry.ip) == (str(key.pk), "203.0.113.9")
    assert entry.changes["network"] == "203.0.113.0/24"
    assert "203.0.113.9" in notice.text and token not in notice.text


def test_a_48_of_ipv6_is_one_network(client: Client, cast: Cast) -> None:
    key, token = make_key(cast.hive)
    for address in ("2001:db8:1:1::1", "2001:db8:1:ffff::1", "2001:db8:2::1"):
        use(client, token, address)
    gather()

    with tenant(cast.hive.pk):
        seen = set(SeenNetwork.objects.filter(key_id=key.pk).values_list("network", flat=True))
        assert seen == {"2001:db8:1::/48", "2001:db8:2::/48"}
        assert Entry.objects.filter(event="api_key.new_network_seen").count() == 1


def test_a_refused_use_opens_no_network(client: Client, cast: Cast) -> None:
    key, token = make_key(cast.hive, allowed_cidrs=("198.51.100.0/24",))
    use(client, token, "198.51.100.7")
    use(client, token, "203.0.113.9")
    gather()

    with tenant(cast.hive.pk):
        assert SeenNetwork.objects.filter(key_id=key.pk).count() == 1
        assert not Entry.objects.filter(event="api_key.new_network_seen").exists()


def test_what_is_gathered_for_the_first_time_long_after_is_no_alarm(
    client: Client, cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, token = make_key(cast.hive)
    use(client, token, "198.51.100.7")
    use(client, token, "203.0.113.9")
    later = gathering.GATHER.replace("now()", "now() + interval '2 days'")
    monkeypatch.setattr(gathering, "GATHER", later)
    gather()

    with tenant(cast.hive.pk):
        assert not Entry.objects.filter(event="api_key.new_network_seen").exists()


def test_the_usage_of_a_key_is_shown_day_by_day(client: Client, cast: Cast) -> None:
    key, token = make_key(cast.hive)
    _, reader = make_key(cast.hive)
    use(client, token)
    gather()

    today = timezone.now().date()
    response = call(client, "GET", f"/{key.pk}/usage", reader)

    assert response.status_code == 200, response.content
    body = response.json()
    assert (body["object"], body["key_id"]) == ("key_usage", str(key.pk))
    assert len(body["data"]) == 30
    assert body["data"][-1] == {
        "date": today.isoformat(),
        "allowed": 1,
        "refused": 0,
        "failed": 0,
    }
    day = today.isoformat()
    narrowed = call(client, "GET", f"/{key.pk}/usage?from={day}&to={day}", reader).json()
    assert narrowed["data"] == body["data"][-1:]


@pytest.mark.parametrize(
    "query",
    ["from=yesterday", "from=2026-01-02&to=2026-01-01", "from=1900-01-01&to=2026-01-01", "x=1"],
)
def test_refuses_days_that_are_none(client: Client, cast: Cast, query: str) -> None:
    key, token = make_key(cast.hive)
    assert call(client, "GET", f"/{key.pk}/usage?{query}", token).status_code == 422


def test_usage_needs_the_scope_and_the_tenant(client: Client, cast: Cast) -> None:
    key, _ = make_key(cast.hive)
    _, sender = make_key(cast.hive, scopes=("email:send",))
    _, charlies = make_key(cast.wasp)

    assert call(client, "GET", f"/{key.pk}/usage", sender).status_code == 403
    assert call(client, "GET", f"/{key.pk}/usage", charlies).status_code == 404


@pytest.mark.django_db(transaction=True)
def test_two_gatherers_have_one_winner() -> None:
    cast = make_cast()
    key, token = make_key(cast.hive)
    use(Client(), token)
    seal()
    with ThreadPoolExecutor(2) as threads:
        done = list(threads.map(_gather_in_a_thread, range(2)))

    assert sum(done) > 0
    assert days_of(cast, key) == {timezone.now().date(): {"allowed": 1}}


def _gather_in_a_thread(_: int) -> int:
    try:
        with as_role("worker"):
            return gathering.gather_all()
    finally:
        connection.close()


def test_rows_are_the_tenants_own(client: Client, cast: Cast) -> None:
    _, token = make_key(cast.hive)
    use(client, token)
    gather()
    with tenant(cast.wasp.pk):
        assert not DayOfUse.objects.exists()
