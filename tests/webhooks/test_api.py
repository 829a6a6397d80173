from typing import Any
from uuid import UUID

import pytest

from accounts.models import Account
from auditlog.models import Entry
from queensmtp.ids import new_id
from queensmtp.tenancy import tenant
from tests.factories.cast import Cast
from tests.factories.webhooks import make_endpoint
from tests.webhooks.api_client import Api
from webhooks.models import Endpoint, SigningSecret
from webhooks.payloads import EVENT_TYPES

URL = "https://hook.example/in"


@pytest.fixture
def api(cast: Cast) -> Api:
    return Api(cast.hive)


@pytest.fixture
def endpoint(cast: Cast) -> Endpoint:
    return make_endpoint(cast.hive, URL, events=["email.delivered"])


def create(api: Api, **changes: Any) -> Any:
    return api.call("POST", body={"endpoint": URL, "events": ["email.sent"], **changes})


def events_of(account: Account) -> list[tuple[str, str]]:
    with tenant(account.pk):
        return list(
            Entry.objects.filter(event__startswith="webhook.")
            .order_by("id")
            .values_list("event", "outcome")
        )


# Create


def test_creating_answers_with_id_and_secret(api: Api, cast: Cast) -> None:
    answer = create(api, events=["email.bounced", "email.sent", "email.sent"])

    assert answer.status_code == 201
    body = answer.json()
    assert set(body) == {"object", "id", "signing_secret"}
    assert body["object"] == "webhook"
    assert body["signing_secret"].startswith("whsec_")
    assert answer["Cache-Control"] == "no-store"
    with tenant(cast.hive.pk):
        found = Endpoint.objects.get(pk=UUID(body["id"]))
    assert (found.url, found.status) == (URL, "enabled")
    assert found.events == ["email.sent", "email.bounced"]
    assert events_of(cast.hive) == [("webhook.created", "allowed")]


def test_every_type_of_the_catalogue_can_be_asked_for(api: Api) -> None:
    assert create(api, events=list(EVENT_TYPES)).status_code == 201


def test_the_endpoints_of_an_account_share_its_secret(api: Api, cast: Cast) -> None:
    secrets = {create(api).json()["signing_secret"] for _ in range(2)}
    others = create(Api(cast.wasp)).json()["signing_secret"]

    assert len(secrets) == 1
    assert others not in secrets


def test_the_secret_is_not_in_the_database_as_it_is(api: Api, cast: Cast) -> None:
    import base64

    secret = create(api).json()["signing_secret"]
    with tenant(cast.hive.pk):
        [row] = SigningSecret.objects.all()
    assert secret.encode() not in bytes(row.secret)
    assert base64.b64decode(secret.removeprefix("whsec_")) not in bytes(row.secret)


@pytest.mark.parametrize("missing", ["endpoint", "events"])
def test_a_missing_field_is_named(api: Api, missing: str) -> None:
    body = {"endpoint": URL, "events": ["email.sent"]}
    del body[missing]

    answer = api.call("POST", body=body)

    assert answer.status_code == 422
    assert answer.json()["name"] == "missing_required_field"
    assert answer.json()["message"] == f"Missing `{missing}` field."


@pytest.mark.parametrize(
    ("change", "field", "code"),
    [
        ({"events": []}, "events", "invalid_type"),
        ({"events": "email.sent"}, "events", "invalid_type"),
        ({"events": ["email.sent", "email.telepathy"]}, "events[1]", "unknown_event"),
        ({"events": [{}]}, "events[0]", "unknown_event"),
        ({"endpoint": 7}, "endpoint", "invalid_type"),
        ({"endpoint": "http://hook.example/"}, "endpoint", "invalid_url"),
        ({"endpoint": "https://hook.example:25/"}, "endpoint", "blocked_port"),
        ({"endpoint": "https://10.0.0.1/"}, "endpoint", "blocked_address"),
        ({"endpoint": "https://[::ffff:169.254.169.254]/"}, "endpoint", "blocked_address"),
        ({"endpoint": "https://2130706433/"}, "endpoint", "blocked_address"),
        ({"endpoint": "https://***@hook.example/"}, "endpoint", "invalid_url"),
    ],
)
def test_a_bad_value_is_refused_and_nothing_is_stored(
    api: Api, cast: Cast, change: dict[str, Any], field: str, code: str
) -> None:
    answer = create(api, **change)

    assert answer.status_code == 422
    [error] = answer.json()["errors"]
    assert (error["field"], error["code"]) == (field, code)
    with tenant(cast.hive.pk):
        assert not Endpoint.objects.exists()


def test_a_body_that_is_no_object_is_refused(api: Api) -> None:
    assert api.call("POST", body=["email.sent"]).status_code == 400


def test_fields_of_no_meaning_are_ignored_and_never_applied(api: Api, cast: Cast) -> None:
    answer = create(api, webhook_id="x", status="disabled", account_id=str(cast.wasp.pk))

    assert answer.status_code == 201
    with tenant(cast.hive.pk):
        assert Endpoint.objects.get().status == "enabled"


def test_there_is_an_end_to_the_number_of_endpoints(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("webhooks.actions.ENDPOINTS_MAX", 2)
    assert [create(api).status_code for _ in range(3)] == [201, 201, 409]


# Read


def test_reading_one_gives_all_fields_and_the_secret(api: Api, endpoint: Endpoint) -> None:
    body = api.call("GET", f"/{endpoint.pk}").json()

    assert body | {"signing_secret": "", "created_at": ""} == {
        "object": "webhook",
        "id": str(endpoint.pk),
        "created_at": "",
        "status": "enabled",
        "endpoint": URL,
        "events": ["email.delivered"],
        "ordered": False,
        "signing_secret": "",
    }
    assert body["signing_secret"].startswith("whsec_")


def test_the_secret_is_only_for_those_who_may_write(cast: Cast, endpoint: Endpoint) -> None:
    body = Api(cast.hive, "webhooks:read").call("GET", f"/{endpoint.pk}").json()

    assert body["signing_secret"] is None


def test_seeing_the_secret_is_an_audit_entry_of_its_own(
    api: Api, cast: Cast, endpoint: Endpoint
) -> None:
    api.call("GET", f"/{endpoint.pk}")
    assert events_of(cast.hive)[-1] == ("webhook.secret_revealed", "allowed")

    Api(cast.hive, "webhooks:read").call("GET", f"/{endpoint.pk}")
    assert events_of(cast.hive)[-1] == ("webhook.read", "allowed")


def test_the_list_is_newest_first_and_without_secrets(api: Api, cast: Cast) -> None:
    ids = [str(make_endpoint(cast.hive, URL).pk) for _ in range(3)]

    body = api.call("GET", "?limit=2").json()

    assert (body["object"], body["has_more"]) == ("list", True)
    assert [row["id"] for row in body["data"]] == ids[:0:-1]
    assert set(body["data"][0]) == {
        "id",
        "endpoint",
        "created_at",
        "status",
        "events",
        "ordered",
    }
    rest = api.call("GET", f"?after={ids[1]}").json()
    assert [row["id"] for row in rest["data"]] == ids[:1]
    assert api.call("GET", "?limit=0").status_code == 422


# Update, remove, rotate


def test_updating_changes_what_is_given(api: Api, cast: Cast, endpoint: Endpoint) -> None:
    answer = api.call(
        "PATCH",
        f"/{endpoint.pk}",
        {"endpoint": "https://other.example/", "status": "disabled", "webhook_id": "stray"},
    )

    assert answer.status_code == 200
    assert answer.json() == {"object": "webhook", "id": str(endpoint.pk)}
    body = api.call("GET", f"/{endpoint.pk}").json()
    assert (body["endpoint"], body["status"]) == ("https://other.example/", "disabled")
    assert body["events"] == ["email.delivered"]
    with tenant(cast.hive.pk):
        entry = Entry.objects.get(event="webhook.updated")
    assert entry.changes == {
        "endpoint": {"before": URL, "after": "https://other.example/"},
        "status": {"before": "enabled", "after": "disabled"},
    }


@pytest.mark.parametrize(
    "change",
    [{"status": "paused"}, {"events": []}, {"endpoint": "https://127.1/"}, {"endpoint": None}],
)
def test_a_bad_update_changes_nothing(api: Api, endpoint: Endpoint, change: dict[str, Any]) -> None:
    before = api.call("GET", f"/{endpoint.pk}").json()
    assert api.call("PATCH", f"/{endpoint.pk}", change).status_code == 422
    assert api.call("GET", f"/{endpoint.pk}").json() == before


def test_a_removed_endpoint_is_not_found(api: Api, cast: Cast, endpoint: Endpoint) -> None:
    answer = api.call("DELETE", f"/{endpoint.pk}")

    assert answer.json() == {"object": "webhook", "id": str(endpoint.pk), "deleted": True}
    assert api.call("GET", f"/{endpoint.pk}").status_code == 404
    assert api.call("DELETE", f"/{endpoint.pk}").status_code == 404
    assert api.call("GET").json()["data"] == []


def test_rotating_gives_the_endpoint_a_secret_of_its_own(
    api: Api, cast: Cast, endpoint: Endpoint
) -> None:
    sibling = make_endpoint(cast.hive, URL)
    before = api.call("GET", f"/{endpoint.pk}").json()["signing_secret"]

    answer = api.call("POST", f"/{endpoint.pk}/signing-secret/rotate")

    assert answer.status_code == 200
    rotated = answer.json()
    assert rotated["signing_secret"] != before
    assert rotated | {"signing_secret": ""} == {
        "object": "webhook",
        "id": str(endpoint.pk),
        "signing_secret": "",
    }
    shown = api.call("GET", f"/{endpoint.pk}").json()["signing_secret"]
    assert shown == rotated["signing_secret"]
    assert api.call("GET", f"/{sibling.pk}").json()["signing_secret"] == before


def test_credentials_in_the_url_are_masked_and_kept_when_the_mask_comes_back(
    api: Api, cast: Cast
) -> None:
    id = create(api, endpoint="https://user:secret@hook.example/in").json()["id"]
    assert api.call("GET", f"/{id}").json()["endpoint"] == "https://***@hook.example/in"

    kept = api.call("PATCH", f"/{id}", {"endpoint": "https://***@hook.example/elsewhere"})
    assert kept.status_code == 200
    assert api.call("GET", f"/{id}").json()["endpoint"] == "https://***@hook.example/elsewhere"

    stolen = api.call("PATCH", f"/{id}", {"endpoint": "https://***@thief.example/"})
    assert stolen.status_code == 422
    api.call("PATCH", f"/{id}", {"endpoint": "https://hook.example/in"})
    assert api.call("GET", f"/{id}").json()["endpoint"] == "https://hook.example/in"


# Scopes and tenants

CALLS = [
    ("GET", "", "webhooks:read"),
    ("POST", "", "webhooks:write"),
    ("GET", "/{id}", "webhooks:read"),
    ("PATCH", "/{id}", "webhooks:write"),
    ("DELETE", "/{id}", "webhooks:write"),
    ("POST", "/{id}/signing-secret/rotate", "webhooks:write"),
]


@pytest.mark.parametrize(("method", "path", "scope"), CALLS)
def test_it_refuses_without_the_scope(
    cast: Cast, endpoint: Endpoint, method: str, path: str, scope: str
) -> None:
    other = "webhooks:write" if scope == "webhooks:read" else "webhooks:read"
    api = Api(cast.hive, other, "email:send", "keys:write")

    answer = api.call(method, path.format(id=endpoint.pk), {})

    assert answer.status_code == 403
    assert answer.json()["name"] == "insufficient_scope"


@pytest.mark.parametrize(("method", "path", "scope"), [call for call in CALLS if call[1]])
def test_charlie_gets_404_as_for_what_never_was(
    cast: Cast, endpoint: Endpoint, method: str, path: str, scope: str
) -> None:
    charlie = Api(cast.wasp)
    body = {"endpoint": URL}

    theirs = charlie.call(method, path.format(id=endpoint.pk), body)
    nothing = charlie.call(method, path.format(id=new_id()), body)

    assert (theirs.status_code, nothing.status_code) == (404, 404)
    assert theirs.json() | {"request_id": ""} == nothing.json() | {"request_id": ""}
    assert Api(cast.hive).call("GET", f"/{endpoint.pk}").json()["endpoint"] == URL
