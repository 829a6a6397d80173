"""A key is changed in the console as by PATCH: what the form shows is what it has."""

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from apikeys import actions
from apikeys.models import ApiKey
from auditlog.models import Entry
from queensmtp.tenancy import tenant
from tests.console import get, post, sign_in, text
from tests.factories.cast import Cast
from tests.factories.keys import make_key

FORM = {"name": "Till", "preset": "send", "expires": "as_it_is", "labels": "client: acme"}


@pytest.fixture
def alice(cast: Cast) -> Client:
    return sign_in(cast.alice.user)


def stored(key: ApiKey) -> ApiKey:
    with tenant(key.account_id):
        return ApiKey.objects.get(pk=key.pk)


def test_the_form_shows_what_the_key_has(alice: Client, cast: Cast) -> None:
    key, _ = make_key(
        cast.hive,
        scopes=("email:send",),
        domains=("hive.example",),
        allowed_recipients=("@wasp.example",),
        rate_requests=7,
        rate_per_seconds=60,
    )
    page = text(get(alice, f"/console/keys/{key.pk}/edit"))
    assert 'value="Test key"' in page
    assert 'value="send" required id="id_preset_0" checked' in page
    assert "hive.example</textarea>" in page
    assert "@wasp.example</textarea>" in page
    assert 'value="7"' in page


def test_a_change_is_saved_and_recorded(alice: Client, cast: Cast) -> None:
    expires_at = timezone.now() + timedelta(days=3)
    key, _ = make_key(cast.hive, allowed_cidrs=("203.0.113.0/24",), expires_at=expires_at)
    answer = post(alice, f"/console/keys/{key.pk}/edit", FORM)
    assert answer.status_code == 302
    after = stored(key)
    assert (after.name, after.scopes, after.labels) == ("Till", ["email:send"], {"client": "acme"})
    # What the form does not hold stays.
    assert after.allowed_cidrs == ["203.0.113.0/24"]
    assert after.expires_at == expires_at
    with tenant(cast.hive.pk):
        entry = Entry.objects.get(event="api_key.updated")
    assert entry.changes["name"] == {"before": "Test key", "after": "Till"}
    assert "allowed_cidrs" not in entry.changes


def test_a_daily_quota_is_set_and_taken_away(alice: Client, cast: Cast) -> None:
    key, _ = make_key(cast.hive)
    post(alice, f"/console/keys/{key.pk}/edit", {**FORM, "daily_quota": "1234"})
    assert stored(key).daily_quota == 1234
    assert "Mail to 1,234 recipients" in text(get(alice, f"/console/keys/{key.pk}"))
    assert 'value="1234"' in text(get(alice, f"/console/keys/{key.pk}/edit"))
    assert "greater than or equal to 1" in text(
        post(alice, f"/console/keys/{key.pk}/edit", {**FORM, "daily_quota": "0"})
    )
    post(alice, f"/console/keys/{key.pk}/edit", {**FORM, "daily_quota": ""})
    assert stored(key).daily_quota is None


def test_an_expiry_is_moved(alice: Client, cast: Cast) -> None:
    key, _ = make_key(cast.hive)
    post(alice, f"/console/keys/{key.pk}/edit", {**FORM, "expires": "7"})
    expires_at = stored(key).expires_at
    assert expires_at is not None
    assert timedelta(days=6) < expires_at - timezone.now() <= timedelta(days=7)
    post(alice, f"/console/keys/{key.pk}/edit", {**FORM, "expires": "never"})
    assert stored(key).expires_at is None


def test_a_schedule_is_kept_set_and_ended(alice: Client, cast: Cast) -> None:
    expires_at = timezone.now() + timedelta(days=3)
    key, _ = make_key(cast.hive, expires_at=expires_at, rotate_every_seconds=30 * 86_400)
    path = f"/console/keys/{key.pk}/edit"
    assert 'name="rotate_every_days" value="30"' in text(get(alice, path))
    post(alice, path, FORM)
    assert (stored(key).rotate_every_seconds, stored(key).expires_at) == (30 * 86_400, expires_at)
    post(alice, path, {**FORM, "expires": "schedule", "rotate_every_days": "7"})
    moved = stored(key).expires_at
    assert stored(key).rotate_every_seconds == 7 * 86_400
    assert moved is not None and moved > timezone.now() + timedelta(days=6)
    post(alice, path, {**FORM, "expires": "never"})
    assert (stored(key).rotate_every_seconds, stored(key).expires_at) == (None, None)


def test_learning_is_not_ended_by_an_edit(alice: Client, cast: Cast) -> None:
    until = timezone.now() + timedelta(days=3)
    key, _ = make_key(cast.hive, learning_until=until)
    post(alice, f"/console/keys/{key.pk}/edit", FORM)
    assert stored(key).learning_until == until


def test_a_dead_key_is_not_changed(alice: Client, cast: Cast) -> None:
    key, _ = make_key(cast.hive)
    with tenant(cast.hive.pk):
        actions.revoke(by=cast.alice.actor, key=key)
    assert "expired or revoked" in text(post(alice, f"/console/keys/{key.pk}/edit", FORM))
    assert stored(key).name == "Test key"


def test_what_is_wrong_changes_nothing(alice: Client, cast: Cast) -> None:
    key, _ = make_key(cast.hive)
    page = text(post(alice, f"/console/keys/{key.pk}/edit", {**FORM, "domains": "no domain"}))
    assert "is not what belongs here" in page
    assert stored(key).name == "Test key"
