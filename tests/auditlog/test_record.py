import pytest
from django.db import DatabaseError, ProgrammingError, connection, transaction

from auditlog import actions, entries, merkle, recording
from auditlog.models import Entry, Pending
from queensmtp import tenancy
from queensmtp.actors import Actor, Target
from queensmtp.tenancy import PLATFORM_ACCOUNT_ID, tenant
from tests.factories.auditlog import CHARLIES, HIVE, alice, key_actor

pytestmark = pytest.mark.django_db

TARGET = Target(type="key", id="0199", label="Newsletter")


def test_an_entry_is_kept_with_its_pending_leaf() -> None:
    by = key_actor()
    with tenant(HIVE):
        entry_id = actions.record(by=by, event="api_key.created", target=TARGET, changes={"a": 1})
        entry = Entry.objects.get(id=entry_id)
        pending = Pending.objects.get(entry_id=entry_id)
    assert (entry.event, entry.outcome, entry.actor_label) == (
        "api_key.created",
        "allowed",
        "Newsletter",
    )
    assert (entry.key_id, entry.ip, entry.changes) == (by.key_id, "203.0.113.7", {"a": 1})
    assert entry.committed_hash() == bytes(entry.private_hash)
    assert merkle_leaf(entry) == bytes(pending.leaf_hash)


@pytest.mark.parametrize(
    "ip", ["203.0.113.7", "2001:db8::1", "::203.0.113.7", "64:ff9b::1.2.3.4", "fe80::1", None]
)
def test_what_the_database_gives_back_has_the_same_hashes(ip: str | None) -> None:
    changes = {"é\u2028\x7f": ["\U0001f600", -1, 2**53 - 1, {"z": None, "a": "\x01"}], "": ""}
    by = key_actor(ip=ip, labels={"\u20ac": "ß", "\U0001f600": "1"})
    with tenant(HIVE):
        entry_id = actions.record(by=by, event="api_key.created", changes=changes)
        entry = Entry.objects.get(id=entry_id)
        pending = Pending.objects.get(entry_id=entry_id)
    assert entry.committed_hash() == bytes(entry.private_hash)
    assert merkle_leaf(entry) == bytes(pending.leaf_hash)


def test_an_action_that_is_rolled_back_leaves_no_entry() -> None:
    with pytest.raises(ZeroDivisionError), tenant(HIVE):
        actions.record(by=alice(), event="api_key.created")
        raise ZeroDivisionError
    with tenant(HIVE):
        assert not Entry.objects.exists()
        assert not Pending.objects.exists()


def test_an_audit_write_that_fails_takes_the_action_with_it() -> None:
    by = Actor(type="robot", id="1", label="", account_id=HIVE)  # type: ignore[arg-type]  # The database refuses it.
    with pytest.raises(DatabaseError), tenant(HIVE):
        actions.record(by=alice(), event="the.action")
        actions.record(by=by, event="api_key.created")
    with tenant(HIVE):
        assert not Entry.objects.exists()


def test_an_entry_stands_or_falls_with_the_statement_that_holds_it() -> None:
    entry = entries.build(by=alice(), event="message.accepted")
    ctes = entries.insert_ctes("accepted")
    with tenant(HIVE), connection.cursor() as cursor:
        cursor.execute(f"WITH accepted AS (SELECT 1 WHERE false), {ctes} SELECT 1", entry.params())
        assert not Entry.objects.exists() and not Pending.objects.exists()
        cursor.execute(f"WITH accepted AS (SELECT 1), {ctes} SELECT 1", entry.params())
        assert Entry.objects.get().id == Pending.objects.get().entry_id == entry.id


def test_what_belongs_to_no_tenant_is_the_platforms() -> None:
    nobody = Actor(type="user", id="", label="x@example.com", account_id=None)
    with tenant(HIVE):
        entry_id = actions.record(by=nobody, event="user.sign_in_failed", outcome="failed")
        assert not Entry.objects.filter(id=entry_id).exists()
        assert tenancy.current_account_id() == HIVE
    with tenant(PLATFORM_ACCOUNT_ID):
        assert Entry.objects.filter(id=entry_id).exists()


def test_charlie_sees_nothing_of_hive() -> None:
    with tenant(HIVE):
        actions.record(by=alice(), event="api_key.created")
    with tenant(CHARLIES):
        assert not Entry.objects.exists()
        assert not Pending.objects.exists()


def test_without_a_tenant_nothing_is_seen() -> None:
    with tenant(HIVE):
        actions.record(by=alice(), event="api_key.created")
    assert not Entry.objects.exists()


def test_an_entry_of_another_tenant_cannot_be_written() -> None:
    entry = entries.build(by=alice(CHARLIES), event="api_key.created")
    refused = pytest.raises(ProgrammingError, match="row-level security")
    with refused, tenant(HIVE), connection.cursor() as cursor:
        cursor.execute(actions.RECORD, entry.params())


def test_it_is_noticed_by_who_watches() -> None:
    with recording.watched() as events, tenant(HIVE):
        actions.record(by=alice(), event="api_key.created")
    assert events == ["api_key.created"]


def test_an_entry_alone_inside_a_transaction_joins_it() -> None:
    with transaction.atomic():
        actions.record_alone(by=key_actor(), event="message.read")
    with tenant(HIVE):
        assert Entry.objects.get().event == "message.read"


def merkle_leaf(entry: Entry) -> bytes:
    return merkle.leaf_hash(entry.leaf_data())
