import json
from base64 import b64decode
from datetime import UTC, datetime
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditlog import entries, merkle
from queensmtp.actors import Actor, Origin, Target
from queensmtp.ids import new_id
from queensmtp.tenancy import PLATFORM_ACCOUNT_ID
from tests.factories.auditlog import HIVE, alice, key_actor

TARGET = Target(type="key", id="0199", label="Newsletter")


def test_a_stranger_can_compute_the_leaf_from_the_documented_fields() -> None:
    by = key_actor(ip="203.0.113.7")
    at = datetime(2026, 11, 21, 21, 35, 7, 120, tzinfo=UTC)
    entry = entries.build(
        by=by, event="api_key.rotated", target=TARGET, changes={"name": "b"}, count=2, at=at
    )
    personal = {
        "actor_label": "Newsletter",
        "target_label": "Newsletter",
        "ip": "203.0.113.7",
        "user_agent": "curl/8.5.0",
        "client_request_id": "theirs",
        "changes": {"name": "b"},
    }
    committed = sha256(entry.salt + sorted_json(personal)).digest()
    leaf = json.loads(entries.leaf_data(entry, entry.private_hash))
    assert b64decode(leaf.pop("private_hash")) == committed
    assert leaf == {
        "version": 1,
        "id": str(entry.id),
        "account_id": str(HIVE),
        "created_at": "2026-11-21T21:35:07.000120Z",
        "event": "api_key.rotated",
        "outcome": "allowed",
        "actor": {"type": "key", "id": str(by.key_id)},
        "key_id": str(by.key_id),
        "request_id": by.origin.request_id,
        "target": {"type": "key", "id": "0199"},
        "labels": {"unit": "retail"},
        "count": 2,
    }
    assert entry.leaf_hash == merkle.leaf_hash(entries.leaf_data(entry, committed))


def test_the_leaf_holds_nothing_personal() -> None:
    entry = entries.build(by=alice(), event="user.signed_in", target=TARGET, changes={"a": "Hive"})
    leaf = entries.leaf_data(entry, entry.private_hash).decode()
    for personal in ("Alice", "203.0.113.7", "curl", "theirs", "Newsletter", "Hive"):
        assert personal not in leaf


def test_equal_personal_fields_are_hidden_by_different_salts() -> None:
    one, two = (entries.build(by=alice(), event="user.signed_in") for _ in range(2))
    assert one.salt != two.salt
    assert one.private_hash != two.private_hash


def test_what_belongs_to_no_tenant_belongs_to_the_platform() -> None:
    stranger = Actor(type="user", id="", label="nobody", account_id=None)
    entry = entries.build(by=stranger, event="user.sign_in_failed", outcome="failed")
    assert entry.account_id == PLATFORM_ACCOUNT_ID


@pytest.mark.parametrize(
    ("event", "outcome", "is_read"),
    [
        ("message.read", "allowed", True),
        ("message.listed", "allowed", True),
        ("message.read", "refused", False),
        ("message_body.viewed", "allowed", False),
        ("api_key.created", "allowed", False),
    ],
)
def test_only_an_answered_plain_read_is_ordinary(event: str, outcome: str, is_read: bool) -> None:
    assert entries.build(by=alice(), event=event, outcome=outcome).ordinary_read is is_read


def test_an_unknown_outcome_is_a_bug() -> None:
    with pytest.raises(ValueError, match="is not one of"):
        entries.build(by=alice(), event="api_key.created", outcome="maybe")


@pytest.mark.parametrize(
    ("given_ip", "kept"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("2001:DB8:0:0::1", "2001:db8::1"),
        ("fe80::1%eth0", "fe80::1"),
        ("not an address", None),
        (None, None),
    ],
)
def test_an_address_has_one_spelling(given_ip: str | None, kept: str | None) -> None:
    assert entries.build(by=alice(ip=given_ip), event="user.signed_in").ip == kept


@given(
    st.text(st.characters()), st.dictionaries(st.text(), st.floats() | st.integers() | st.text())
)
def test_no_hostile_text_keeps_an_entry_from_being_made(
    text: str, changes: dict[str, object]
) -> None:
    by = Actor(
        type="key",
        id=text,
        label=text,
        account_id=HIVE,
        origin=Origin(ip=text, user_agent=text, request_id=text, client_request_id=text),
        labels={text: text},
    )
    target = Target(type="key", id=text, label=text)
    entry = entries.build(by=by, event="api_key.created", target=target, changes=changes)
    kept = json.dumps([entry.actor_label, entry.changes, dict(entry.labels)], ensure_ascii=False)
    assert "\x00" not in kept and "\\u0000" not in json.dumps(entry.changes)
    assert len(kept.encode()) > 0
    assert len(entry.leaf_hash) == 32


def test_changes_are_kept_as_plain_json() -> None:
    moment = datetime(2026, 11, 21, tzinfo=UTC)
    identifier = new_id()
    changes = {
        "scopes": {"before": frozenset({"b", "a"}), "after": ("c",)},
        "expires_at": moment,
        "id": identifier,
        "rate": 1.5,
        "large": 2**60,
        "wide": False,
        "none": None,
    }
    assert entries.build(by=alice(), event="api_key.updated", changes=changes).changes == {
        "scopes": {"before": ["a", "b"], "after": ["c"]},
        "expires_at": "2026-11-21T00:00:00.000000Z",
        "id": str(identifier),
        "rate": "1.5",
        "large": str(2**60),
        "wide": False,
        "none": None,
    }


def test_the_statement_is_constant_and_takes_the_parameters() -> None:
    entry = entries.build(by=alice(), event="api_key.created")
    text = entries.insert_ctes("accepted")
    assert text is entries.insert_ctes("accepted")
    assert text.count("%s") == len(entry.params())


def sorted_json(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
