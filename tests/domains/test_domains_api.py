"""/v1/domains: wire contract 3."""

import json
from typing import Any

import pytest
from django.http import HttpResponse
from django.test import Client

from auditlog.models import Entry
from domains import actions
from domains.models import DkimKey, Domain
from queensmtp import crypto
from queensmtp.tenancy import tenant
from tests.factories.cast import Cast, make_domain, show_in_dns
from tests.factories.keys import bearer, make_key
from tests.factories.webhooks import make_endpoint
from webhooks.models import Delivery

PATH = "/v1/domains"
FIELDS = {
    *("id", "name", "status", "created_at", "region", "capabilities"),
    *("open_tracking", "click_tracking", "tracking_subdomain", "tls"),
}


@pytest.fixture
def token(cast: Cast) -> str:
    return make_key(cast.hive)[1]


def call(method: str, path: str, token: str, body: Any = None) -> HttpResponse:
    return Client().generic(  # type: ignore[return-value]
        method,
        path,
        data=b"" if body is None else json.dumps(body),
        content_type="application/json",
        headers=bearer(token),
        secure=True,
    )


def answer(method: str, path: str, token: str, body: Any = None, *, status: int = 200) -> Any:
    response = call(method, path, token, body)
    assert response.status_code == status, response.content
    return response.json()  # type: ignore[attr-defined]


def test_it_is_created_read_changed_verified_and_removed(cast: Cast, token: str) -> None:
    kinds = ["domain.created", "domain.updated", "domain.deleted"]
    make_endpoint(cast.hive, "https://hook.example/", events=kinds)
    asked = {
        "name": "Hive.EXAMPLE",
        "region": "eu-west-1",
        "custom_return_path": "bounce",
        "capabilities": {"sending": "enabled", "receiving": "disabled"},
        "open_tracking": True,
        "tls": "enforced",
        "tracking_subdomain": "links",
        "unknown_field": 1,
    }
    created = answer("POST", PATH, token, asked, status=201)
    assert created.keys() == FIELDS | {"records"}
    assert (created["name"], created["status"]) == ("hive.example", "not_started")
    assert (created["region"], created["tls"]) == ("eu-west-1", "enforced")
    kinds_of_records = [(one["record"], one["type"]) for one in created["records"]]
    assert kinds_of_records == [
        ("Verification", "TXT"),
        ("DKIM", "TXT"),
        ("DKIM", "TXT"),
        ("SPF", "MX"),
        ("SPF", "TXT"),
        ("Tracking", "CNAME"),
    ]
    mx = created["records"][3]
    assert (mx["name"], mx["priority"], mx["ttl"]) == ("bounce", 10, "Auto")
    path = f"{PATH}/{created['id']}"

    found = answer("GET", path, token)
    assert (found["object"], found["status"]) == ("domain", "not_started")
    assert [one["record"] for one in found["advice"]] == ["DMARC", "MTA-STS", "TLS-RPT"]
    (listed,) = answer("GET", PATH, token)["data"]
    assert listed.keys() == FIELDS

    body = {"id": created["id"], "click_tracking": True, "tls": None}
    assert answer("PATCH", path, token, body) == {"object": "domain", "id": created["id"]}
    assert answer("GET", path, token)["click_tracking"] is True
    assert answer("POST", f"{path}/verify", token) == {"object": "domain", "id": created["id"]}
    gone = answer("DELETE", path, token, {})
    assert gone == {"object": "domain", "id": created["id"], "deleted": True}
    answer("GET", path, token, status=404)
    assert answer("GET", PATH, token)["data"] == []

    with tenant(cast.hive.pk):
        events = list(
            Entry.objects.filter(target_id=created["id"])
            .order_by("pk")
            .values_list("event", flat=True)
        )
        assert Delivery.objects.count() == 3
    changes = [one for one in events if one != "domain.read"]
    assert changes == [
        "domain.created",
        "domain.updated",
        "domain.check_requested",
        "domain.removed",
    ]


def test_a_removed_domain_keeps_no_private_key_and_its_name_is_free(cast: Cast, token: str) -> None:
    domain = make_domain(cast.hive, "hive.example")
    answer("DELETE", f"{PATH}/{domain.pk}", token)
    with tenant(cast.hive.pk):
        assert {bytes(key.private_key) for key in DkimKey.objects.all()} == {b""}
    answer("POST", PATH, token, {"name": "hive.example"}, status=201)


def test_another_account_is_told_nothing_of_a_name_that_is_taken(cast: Cast, token: str) -> None:
    make_domain(cast.wasp, "wasp.example")
    created = answer("POST", PATH, token, {"name": "wasp.example"}, status=201)
    assert (created["status"], "note" in created) == ("not_started", False)


def test_ones_own_domain_is_not_added_twice(cast: Cast, token: str) -> None:
    make_domain(cast.hive, "hive.example")
    refused = answer("POST", PATH, token, {"name": "HIVE.example"}, status=422)
    assert refused["errors"][0]["code"] == "exists"


def test_an_account_has_so_many_domains_and_no_more(cast: Cast, token: str, settings: Any) -> None:
    settings.DOMAINS_MAX = 1
    make_domain(cast.hive, "hive.example")
    refused = answer("POST", PATH, token, {"name": "b.example"}, status=422)
    assert refused["errors"][0]["code"] == "too_many"


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        ({}, 422, "name"),
        ({"name": None}, 422, "name"),
        ({"name": 7}, 422, "name"),
        ({"name": "a.example", "region": "moon"}, 422, "region"),
        ({"name": "a.example", "tls": "never"}, 422, "tls"),
        ({"name": "a.example", "open_tracking": "yes"}, 422, "open_tracking"),
        ({"name": "a.example", "custom_return_path": "a.b"}, 422, "custom_return_path"),
        ({"name": "a.example", "tracking_subdomain": "send"}, 422, "tracking_subdomain"),
        ({"name": "a.example", "capabilities": {"receiving": "enabled"}}, 422, "capabilities"),
        ({"name": "a.example", "capabilities": []}, 422, "capabilities"),
    ],
)
def test_what_is_wrong_is_named(token: str, body: Any, status: int, field: str) -> None:
    refused = answer("POST", PATH, token, body, status=status)
    assert refused["errors"][0]["field"].startswith(field)


@pytest.mark.parametrize(
    "name",
    [
        *("", "localhost", "127.0.0.1", "[127.0.0.1]", "[IPv6:::1]", "::1", "x@hive.example"),
        *("com", "co.uk", "github.io", "hive.example.", "hive.example..", "-a.example"),
        *("hive。example", "ｈive.example", "ⓗive.example", "hi\u00adve.example"),
        *("hi\u200bve.example", "hi ve.example", "a" * 64 + ".example", "_dmarc.hive.example"),
        *("hive.test", "hive.local", "x.onion", "1.0.0.127.in-addr.arpa"),
    ],
)
def test_a_name_that_is_none_is_refused(token: str, name: str) -> None:
    refused = answer("POST", PATH, token, {"name": name}, status=422)
    # Nobody wrote an @ here.
    assert "@" not in refused["message"]


@pytest.mark.parametrize(
    ("name", "normal", "is_lookalike"),
    [
        ("GOOD.example", "good.example", False),
        ("bücher.example", "xn--bcher-kva.example", False),
        ("XN--BCHER-KVA.example", "xn--bcher-kva.example", False),
        ("straße.example", "xn--strae-oqa.example", False),
        ("goоd.example", "xn--god-ted.example", True),
        ("аррӏе.example", "xn--80ak6aa92e.example", True),
        ("почта.example", "xn--80a1acny.example", False),
    ],
)
def test_a_name_has_one_normal_form(token: str, name: str, normal: str, is_lookalike: bool) -> None:
    created = answer("POST", PATH, token, {"name": name}, status=201)
    assert created["name"] == normal
    found = answer("GET", f"{PATH}/{created['id']}", token)
    assert found["is_lookalike"] is is_lookalike


def test_it_refuses_without_scope_and_charlie_gets_404(cast: Cast) -> None:
    domain = make_domain(cast.hive, "hive.example")
    _, reader = make_key(cast.hive, scopes=("domains:read",))
    _, sender = make_key(cast.hive, scopes=("email:send",))
    _, charlies = make_key(cast.wasp)
    one = f"{PATH}/{domain.pk}"
    calls = [("GET", one), ("PATCH", one), ("POST", f"{one}/verify"), ("DELETE", one)]
    for method, path in calls:
        assert call(method, path, sender, {}).status_code == 403
        assert call(method, path, charlies, {}).status_code == 404
        assert (call(method, path, reader, {}).status_code == 403) == (method != "GET")
    assert call("POST", PATH, reader, {"name": "a.example"}).status_code == 403
    assert call("GET", PATH, sender).status_code == 403
    assert answer("GET", PATH, charlies)["data"] == []


def test_a_verified_domain_says_what_was_found(cast: Cast, token: str) -> None:
    domain = show_in_dns(make_domain(cast.hive, "hive.example", verified=False))
    found = answer("GET", f"{PATH}/{domain.pk}", token)
    assert found["status"] == "verified"
    assert {one["status"] for one in found["records"]} == {"verified"}
    assert found["records"][0]["found"] == [found["records"][0]["value"]]
    assert found["next_check_at"]


def test_a_private_key_copied_to_another_tenant_does_not_open(cast: Cast) -> None:
    mine, theirs = make_domain(cast.hive, "hive.example"), make_domain(cast.wasp, "wasp.example")
    with tenant(cast.hive.pk):
        stolen = bytes(DkimKey.objects.filter(domain=mine).first().private_key)  # type: ignore[union-attr]
    with tenant(cast.wasp.pk):
        key = DkimKey.objects.filter(domain=theirs).first()
        assert key is not None
        key.private_key = stolen
        key.save()
        with pytest.raises(crypto.CannotDecrypt):
            actions.load_key(key, domain_name=theirs.name)


def test_nothing_is_kept_when_the_audit_entry_cannot_be_written(
    cast: Cast, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(**_: Any) -> None:
        raise RuntimeError("the disk is full")

    monkeypatch.setattr("domains.actions.audit.record", fail)
    client = Client(raise_request_exception=False)
    body = {"name": "hive.example"}
    client.post(PATH, body, content_type="application/json", headers=bearer(token), secure=True)
    with tenant(cast.hive.pk):
        assert not Domain.objects.exists()
