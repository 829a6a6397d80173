"""Rows of keys: an old one that was put back is found, and a new pepper takes over on use."""

import base64
import secrets
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from accounts.models import Notice
from apikeys import actions, comparison, peppers
from apikeys.models import ApiKey
from auditlog import erasing
from auditlog.models import Entry
from queensmtp.tenancy import tenant
from sending import submission_port
from sending.mailrooms import Client as SmtpClient
from sending.mailrooms import LoggedIn
from tests.apikeys.test_keys_api import call
from tests.factories.auditlog import seal
from tests.factories.cast import Cast
from tests.factories.keys import make_key
from tests.roles import as_role


def compare() -> int:
    """As the worker does."""
    with as_role("worker"):
        return comparison.compare_all(at_once=2)


def row_of(cast: Cast, key: ApiKey) -> dict[str, Any]:
    with tenant(cast.hive.pk):
        row = ApiKey.objects.get(pk=key.pk)
    return {field.attname: getattr(row, field.attname) for field in ApiKey._meta.fields}


def put_back(cast: Cast, row: dict[str, Any]) -> None:
    """Restore a whole row, as somebody with the database alone can."""
    columns = {name: value for name, value in row.items() if name != "id"}
    with tenant(cast.hive.pk):
        ApiKey.objects.filter(pk=row["id"]).update(**columns)


def events_of(cast: Cast, event: str) -> list[Entry]:
    with tenant(cast.hive.pk):
        return list(Entry.objects.filter(event=event))


def change(cast: Cast, key: ApiKey, how: str) -> None:
    by = cast.alice.actor
    with tenant(cast.hive.pk):
        if how == "revoked":
            actions.revoke(by=by, key=key)
        elif how == "narrowed":
            actions.update(by=by, key=key, changes={"scopes": ["email:read"]})
        elif how == "leaked":
            actions.revoke_leaked(by=by, key_id=key.pk, reason="leaked", facts={})
        else:
            _, _ = actions.rotate(by=by, key=key, overlap_seconds=60)
            actions.end_overlap(by=by, key=key)


@pytest.mark.parametrize("how", ["revoked", "narrowed", "leaked", "overlap ended"])
def test_an_old_row_that_was_put_back_raises_the_alarm_once(
    client: Client, cast: Cast, how: str
) -> None:
    key, token = make_key(cast.hive)
    old = row_of(cast, key)
    change(cast, key, how)
    assert compare() == 0

    put_back(cast, old)

    # The MAC is that of a genuine row: the key works again until somebody acts.
    assert call(client, "GET", "", token).status_code == 200
    assert [compare(), compare()] == [1, 1]
    [entry] = events_of(cast, "api_key.row_changed_outside")
    assert entry.target_id == str(key.pk)
    with tenant(cast.hive.pk):
        [notice] = Notice.objects.filter(kind="api_key.row_changed_outside")
    assert str(key.pk) in notice.text


def test_what_queensmtp_wrote_raises_none(cast: Cast) -> None:
    for how in ("revoked", "narrowed", "leaked", "overlap ended"):
        change(cast, make_key(cast.hive)[0], how)

    assert compare() == 0
    assert events_of(cast, "api_key.row_changed_outside") == []
    assert events_of(cast, "api_key.row_confirmed") == []


def test_who_is_erased_from_the_log_leaves_no_key_accused(cast: Cast) -> None:
    key, _ = make_key(cast.hive)
    old = row_of(cast, key)
    change(cast, key, "narrowed")
    seal()
    with tenant(cast.hive.pk):
        erasing.request(by=cast.alice.actor, query={"actor": [cast.alice.actor.id]})
    with as_role("worker"):
        assert erasing.erase_due() > 0
    assert compare() == 0
    assert not events_of(cast, "api_key.row_changed_outside")
    put_back(cast, old)
    assert compare() == 1


def test_the_alarm_ends_when_the_key_is_revoked(cast: Cast) -> None:
    key, _ = make_key(cast.hive)
    old = row_of(cast, key)
    change(cast, key, "narrowed")
    put_back(cast, old)
    assert compare() == 1

    change(cast, key, "revoked")

    assert compare() == 0


def test_an_old_entry_is_renewed_before_the_log_forgets_it(
    cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_key(cast.hive)
    monkeypatch.setattr(comparison, "CONFIRMED_EVERY", -timedelta(minutes=1))
    assert compare() == 0
    monkeypatch.undo()
    assert compare() == 0

    [entry] = events_of(cast, "api_key.row_confirmed")
    assert entry.changes["row_mac"]


def test_a_copied_row_of_another_tenant_is_dead(client: Client, cast: Cast) -> None:
    """K18: the digest of a key of Hive, written into a key of Wasp."""
    of_hive, token = make_key(cast.hive)
    of_wasp, _ = make_key(cast.wasp)
    stolen = row_of(cast, of_hive)
    with tenant(cast.hive.pk):
        ApiKey.objects.filter(pk=of_hive.pk).update(public_id="moved")
    copied = ("public_id", "digest", "pepper_version", "mac", "prefix", "last4", "scopes")
    with tenant(cast.wasp.pk):
        ApiKey.objects.filter(pk=of_wasp.pk).update(**{name: stolen[name] for name in copied})

    assert call(client, "GET", "", token).status_code == 401
    reply = submission_port.log_in("resend", token, SmtpClient("127.0.0.1", helo="there"))
    assert isinstance(reply, str) and reply.startswith("535 ")
    with tenant(cast.wasp.pk):
        reasons = {one.changes["reason"] for one in Entry.objects.filter(outcome="refused")}
    assert reasons == {"row_was_tampered_with"}


NEW_PEPPER = base64.b64encode(secrets.token_bytes(32)).decode()


@pytest.mark.parametrize("door", ["http", "smtp"])
def test_a_key_comes_under_the_newest_pepper_when_it_is_used(
    client: Client, cast: Cast, settings: Any, door: str
) -> None:
    key, token = make_key(cast.hive)
    before = row_of(cast, key)
    settings.KEY_PEPPERS = [(9, NEW_PEPPER), *settings.KEY_PEPPERS]

    for _ in range(2):
        if door == "http":
            assert call(client, "GET", "", token).status_code == 200
        else:
            there = SmtpClient("127.0.0.1", helo="there")
            assert isinstance(submission_port.log_in("resend", token, there), LoggedIn)

    after = row_of(cast, key)
    assert after["pepper_version"] == 9
    assert {name for name in after if after[name] != before[name]} == {
        "digest",
        "pepper_version",
        "mac",
    }
    assert len(events_of(cast, "api_key.digest_upgraded")) == 1
    assert compare() == 0
    settings.KEY_PEPPERS = [(9, NEW_PEPPER)]
    assert call(client, "GET", "", token).status_code == 200


def test_nobody_but_the_holder_upgrades_a_key(client: Client, cast: Cast, settings: Any) -> None:
    key, token = make_key(cast.hive, allowed_cidrs=("203.0.113.0/24",))
    dead, dead_token = make_key(cast.hive)
    change(cast, dead, "revoked")
    settings.KEY_PEPPERS = [(9, NEW_PEPPER), *settings.KEY_PEPPERS]

    assert call(client, "GET", "", token).status_code == 403
    assert call(client, "GET", "", dead_token).status_code == 401
    assert row_of(cast, key)["pepper_version"] != 9
    assert row_of(cast, dead)["pepper_version"] != 9


def test_a_change_in_between_is_not_overwritten(
    client: Client, cast: Cast, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The key is revoked between the reading of its row and the upgrade."""
    key, token = make_key(cast.hive)
    settings.KEY_PEPPERS = [(9, NEW_PEPPER), *settings.KEY_PEPPERS]
    upgrade = peppers.upgrade

    def revoked_first(record: Any, token: Any) -> Any:
        change(cast, key, "revoked")
        return upgrade(record, token)

    monkeypatch.setattr(peppers, "upgrade", revoked_first)
    call(client, "GET", "", token)

    assert row_of(cast, key)["revoked_at"] is not None
    assert row_of(cast, key)["pepper_version"] != 9
    assert call(client, "GET", "", token).status_code == 401
    assert events_of(cast, "api_key.digest_upgraded") == []
