"""The audit log's pages: filters in the address, and an entry with its proof."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone

from apikeys import actions as keys
from auditlog import actions, alarms
from auditlog.models import Dispute, Entry
from queensmtp.tenancy import tenant
from tests.console import get, sign_in, text
from tests.factories.cast import Cast
from tests.factories.keys import make_key
from tests.roles import as_role

LOG = "/console/audit-log"


@pytest.fixture
def alice(cast: Cast) -> Client:
    return sign_in(cast.alice.user)


def test_the_filters_are_those_of_the_api(cast: Cast, alice: Client) -> None:
    key, _ = make_key(cast.hive)
    with tenant(cast.hive.pk):
        keys.revoke(by=cast.alice.actor, key=key)

    def shows(**query: str) -> set[str]:
        page = text(get(alice, LOG, **query))
        events = ("api_key.created", "api_key.revoked", "user.signed_in")
        return {one for one in events if f'<span class="mono quiet">{one}</span>' in page}

    assert shows() == {"api_key.created", "api_key.revoked", "user.signed_in"}
    assert shows(event="api_key.*") == {"api_key.created", "api_key.revoked"}
    assert shows(event="api_key.revoked") == {"api_key.revoked"}
    assert shows(ip="127.0.0.0/8") == {"api_key.revoked", "user.signed_in"}
    assert shows(ip="203.0.113.9") == set()
    assert shows(**{"from": "2200-01-01"}) == set()
    assert shows(outcome="refused", event="", key_id="") == set()


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ({"ip": "10.0.0.1/8"}, "host bits"),
        ({"from": "yesterday"}, "Give a day"),
        ({"key_id": "nonsense"}, "a UUID"),
        ({"evnet": "api_key.created"}, "There is no such filter"),
    ],
)
def test_a_filter_that_cannot_be_read_shows_nothing(
    alice: Client, query: dict[str, str], message: str
) -> None:
    page = text(get(alice, LOG, **query))
    assert 'role="alert"' in page
    assert message in page
    assert "user.signed_in</span>" not in page


def test_an_entry_shows_before_and_after(cast: Cast, alice: Client) -> None:
    key, _ = make_key(cast.hive)
    with tenant(cast.hive.pk):
        keys.update(by=cast.alice.actor, key=key, changes={"name": "Shop"})
        entry = Entry.objects.get(event="api_key.updated")
    page = text(get(alice, f"{LOG}/{entry.id}"))
    assert "Test key</del>" in page
    assert "Shop</ins>" in page
    assert "not sealed yet" in page


def test_a_sealed_entry_is_verified_on_its_page(cast: Cast, alice: Client) -> None:
    entry = first_entry(cast)
    seal()
    page = text(get(alice, f"{LOG}/{entry.id}"))
    assert "verified just now" in page
    assert f"localhost/{cast.hive.pk}" in page


def test_a_changed_entry_does_not_verify(cast: Cast, alice: Client) -> None:
    entry = first_entry(cast)
    seal()
    with as_role("owner"), connection.cursor() as cursor:
        # A thief with the owner's rights takes the walls away first.
        cursor.execute("ALTER TABLE auditlog_entry NO FORCE ROW LEVEL SECURITY")
        cursor.execute("ALTER TABLE auditlog_entry DISABLE TRIGGER USER")
        cursor.execute(
            "UPDATE auditlog_entry SET event = 'account.closed' WHERE id = %s", [entry.id]
        )
    page = text(get(alice, f"{LOG}/{entry.id}"))
    assert "does not verify" in page
    assert "does not match the signed tree" in page


def test_charlie_finds_nothing(cast: Cast) -> None:
    entry = first_entry(cast)
    charlie = sign_in(cast.charlie.user)
    assert get(charlie, f"{LOG}/{entry.id}").status_code == 404
    assert str(entry.id) not in text(get(charlie, LOG))


def first_entry(cast: Cast) -> Entry:
    with tenant(cast.hive.pk):
        return Entry.objects.get(event="account.created")


def seal() -> None:
    with as_role("worker"):
        actions.seal_all(now=timezone.now())


def test_a_receipt_is_downloaded_as_soon_as_a_checkpoint_covers_it(
    cast: Cast, alice: Client
) -> None:
    with tenant(cast.hive.pk):
        entry = Entry.objects.earliest("id")
    path = f"{LOG}/{entry.id}/receipt"
    waiting = get(alice, path)
    assert (waiting.status_code, "is being made" in text(waiting)) == (202, True)
    with as_role("worker"):
        actions.seal_all(now=timezone.now())
    page = text(get(alice, f"{LOG}/{entry.id}"))
    assert f'href="{path}"' in page
    receipt = get(alice, path)
    assert receipt.status_code == 200
    assert receipt.content.startswith(b"c2sp.org/tlog-proof@v1\n")
    assert receipt.headers["Content-Disposition"] == f"attachment; filename={entry.id}.tlog-proof"


def test_a_log_that_is_signed_no_more_says_so_and_why(cast: Cast, alice: Client) -> None:
    reason = "the witness saw 8 leaves, and 5 are left"
    with as_role("worker"):
        actions.raise_alarm(account_id=cast.hive.pk, reason=reason, found_by="witness")
    # It waits for its next seal, like any other log.
    assert reason not in text(get(alice, LOG))
    with as_role("worker"):
        Dispute.objects.create(account_id=cast.hive.pk, reason=reason, found_at=timezone.now())
    page = text(get(alice, LOG))
    assert "Nothing more of this log is signed" in page and reason in page
    assert reason not in text(get(sign_in(cast.charlie.user), LOG))


def test_a_log_that_the_sealer_sets_aside_says_so_after_a_minute(
    cast: Cast, alice: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    with as_role("worker"):
        actions.raise_alarm(account_id=cast.hive.pk, reason="it was put back", found_by="sealer")
    monkeypatch.setattr(alarms, "LONGEST_WAIT", timedelta(0))
    assert "it was put back" in text(get(alice, LOG))
