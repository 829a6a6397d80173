"""The catalogue is the one source, and every test of the suite is held against it."""

from datetime import UTC, datetime
from typing import Any

import jsonschema
import pytest

from queensmtp.ids import new_id
from queensmtp.tenancy import tenant
from tests.factories.cast import Cast
from tests.factories.webhooks import make_endpoint
from webhooks import actions
from webhooks.catalogue import CATALOGUE
from webhooks.payloads import WebhookEvent


def tell(cast: Cast, type: str, data: dict[str, Any]) -> None:
    with tenant(cast.hive.pk):
        event = WebhookEvent(new_id(), type, datetime.now(UTC), data)
        actions.enqueue(account_id=cast.hive.pk, events=[event])


@pytest.mark.parametrize("type", list(CATALOGUE))
def test_what_the_catalogue_shows_may_be_told(cast: Cast, type: str) -> None:
    make_endpoint(cast.hive, "https://hook.example/", events=[type])
    tell(cast, type, dict(CATALOGUE[type].data))


def test_an_event_that_lacks_a_field_fails_the_suite(cast: Cast) -> None:
    make_endpoint(cast.hive, "https://hook.example/", events=["suppression.added"])
    told = dict(CATALOGUE["suppression.added"].data)
    del told["email"]
    with pytest.raises(jsonschema.ValidationError, match="'email' is a required property"):
        tell(cast, "suppression.added", told)
