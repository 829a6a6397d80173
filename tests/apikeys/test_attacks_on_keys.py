"""What a hostile caller, or somebody with the database alone, tries with keys."""

from typing import Any

import pytest
from django.test import Client

from apikeys import actions
from apikeys.errors import KeyRowChanged
from apikeys.models import ApiKey
from queensmtp.actors import system_actor
from queensmtp.scopes import ALL
from queensmtp.tenancy import tenant
from tests.apikeys.test_keys_api import BODY, call
from tests.console import post, sign_in, text
from tests.factories.cast import Cast
from tests.factories.keys import make_key


@pytest.fixture
def token(cast: Cast) -> str:
    return make_key(cast.hive)[1]


@pytest.mark.parametrize(
    "expires_at",
    [
        "9999-12-31T23:59:59-12:00",  # in UTC beyond Python's calendar: no reader could load it
        "9999-12-31T23:59:59Z",  # beyond it in some viewer's zone
        "0001-01-01T00:00:00+14:00",
    ],
)
def test_no_expiry_leaves_the_calendar(client: Client, token: str, expires_at: str) -> None:
    response = call(client, "POST", "", token, BODY | {"expires_at": expires_at})

    assert response.status_code == 422, response.content
    assert {one["field"] for one in response.json()["errors"]} == {"expires_at"}
    assert call(client, "GET", "", token).status_code == 200


@pytest.mark.parametrize("day", ["0001-01-01", "9999-12-31"])
def test_no_date_in_the_form_leaves_the_calendar(cast: Cast, day: str) -> None:
    cast.alice.user.time_zone = "Asia/Tokyo"
    form = {"name": "Shop", "environment": "production", "preset": "send"}
    form |= {"expires": "date", "expires_on": day, "step": "review"}

    response = post(sign_in(cast.alice.user), "/console/keys/new", form)

    assert response.status_code == 200
    assert "Give a" in text(response)


@pytest.mark.parametrize("recipient", ["a\0b@hive.example", "a\x1bb@hive.example"])
def test_no_recipient_holds_a_control_character(client: Client, token: str, recipient: str) -> None:
    response = call(client, "POST", "", token, BODY | {"allowed_recipients": [recipient]})

    assert response.status_code == 422, response.content


@pytest.mark.parametrize(
    "change",
    [
        {"scopes": [f"scope:{number}" for number in range(20_000)]},
        {"domains": [f"bad domain {number}" for number in range(20_000)]},
        {f"unknown_{number}": 1 for number in range(20_000)},
    ],
    ids=["scopes", "domains", "fields"],
)
def test_a_request_full_of_faults_is_answered_briefly(
    client: Client, token: str, change: dict[str, Any]
) -> None:
    response = call(client, "POST", "", token, BODY | change)

    assert response.status_code == 422
    assert len(response.content) < 100_000


def widen(cast: Cast, key: ApiKey) -> ApiKey:
    """Give a stored key every scope, as somebody with the database and no pepper would."""
    with tenant(cast.hive.pk):
        ApiKey.objects.filter(pk=key.pk).update(scopes=sorted(ALL))
        return ApiKey.objects.get(pk=key.pk)


def test_no_edit_seals_a_row_that_somebody_else_changed(cast: Cast) -> None:
    key, _ = make_key(cast.hive, scopes=("email:send",))
    changed, by = widen(cast, key), system_actor(cast.hive.pk, "tests")

    with tenant(cast.hive.pk), pytest.raises(KeyRowChanged):
        actions.update(by=by, key=changed, changes={"notes": "harmless"})
    with tenant(cast.hive.pk), pytest.raises(KeyRowChanged):
        actions.rotate(by=by, key=changed, overlap_seconds=60)


def test_a_row_that_somebody_else_changed_can_be_revoked(
    client: Client, cast: Cast, token: str
) -> None:
    key, changed_token = make_key(cast.hive, scopes=("email:send",))
    widen(cast, key)

    assert call(client, "DELETE", f"/{key.pk}", token).status_code == 200
    assert call(client, "GET", "", changed_token).status_code == 401


def test_a_key_whose_pepper_is_gone_can_be_revoked(client: Client, cast: Cast, token: str) -> None:
    key, _ = make_key(cast.hive)
    with tenant(cast.hive.pk):
        ApiKey.objects.filter(pk=key.pk).update(pepper_version=99)

    assert call(client, "DELETE", f"/{key.pk}", token).status_code == 200
