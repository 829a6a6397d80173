from datetime import UTC, datetime
from uuid import UUID

import pytest
from django.db import connection
from hypothesis import given
from hypothesis import strategies as st

from auditlog import actions, filters, search
from auditlog.filters import AddressRange, Filters, Label, Named
from auditlog.models import Entry
from queensmtp.actors import Actor, Target
from queensmtp.errors import ValidationFailed
from queensmtp.ids import new_id
from queensmtp.pagination import Cursor
from queensmtp.tenancy import tenant
from tests.factories.auditlog import HIVE, alice, key_actor, leave_waiting
from tests.roles import as_role

KEY_ID = new_id()


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("from", "2026-11-21", {"since": datetime(2026, 11, 21, tzinfo=UTC)}),
        ("to", "2026-11-21", {"until": datetime(2026, 11, 22, tzinfo=UTC)}),
        ("to", "2026-11-21T10:00:00Z", {"until": datetime(2026, 11, 21, 10, tzinfo=UTC)}),
        ("from", "2026-11-21T10:00+02:00", {"since": datetime(2026, 11, 21, 8, tzinfo=UTC)}),
        ("event", "api_key.created", {"events": ("api_key.created",)}),
        ("event", "api_key.*", {"events": ("api_key.*",)}),
        ("key_id", str(KEY_ID), {"key_id": KEY_ID}),
        ("actor", "system", {"actor": Named(type="system")}),
        ("actor", "user:42", {"actor": Named(type="user", id="42")}),
        ("actor", "42", {"actor": Named(id="42")}),
        ("target", "domain:42", {"target": Named(type="domain", id="42")}),
        ("ip", "203.0.113.7", {"ip": AddressRange("203.0.113.7", "203.0.113.7")}),
        ("ip", "203.0.113.0/24", {"ip": AddressRange("203.0.113.0", "203.0.113.255")}),
        ("ip", "2001:db8::/127", {"ip": AddressRange("2001:db8::", "2001:db8::1")}),
        ("ip", "::ffff:10.0.0.0/120", {"ip": AddressRange("10.0.0.0", "10.0.0.255")}),
        ("outcome", "refused", {"outcome": "refused"}),
        ("label", "unit:a:b", {"label": Label("unit", "a:b")}),
        ("request_id", "0199", {"request_id": "0199"}),
        ("q", "Ann  ANN b@c.example", {"words": ("t:ann", "t:b@c.example")}),
        ("reads", "true", {"reads": True}),
        ("reads", "false", {"reads": False}),
    ],
)
def test_a_filter_is_read(name: str, value: str, expected: dict[str, object]) -> None:
    assert filters.read({name: [value]}) == Filters(**expected)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("from", "yesterday"),
        ("from", "2026-13-01"),
        ("from", "2026-11-21T10:00:00"),
        ("from", "20261121"),
        ("to", "9999-12-31"),
        ("from", "0001-01-01"),
        ("from", "2026-11-21T25:00:00Z"),
        ("event", "created"),
        ("event", "*"),
        ("event", "api_key.%"),
        ("event", "API_KEY.created"),
        ("key_id", "0199"),
        ("ip", "203.0.113.7/24"),
        ("ip", "10.0.0.0/255.0.0.0"),
        ("ip", "10.0.0.0/0.255.255.255"),
        ("ip", "010.0.0.1"),
        ("ip", "fe80::1%eth0"),
        ("ip", "203.0.113"),
        ("ip", "\u0661.1.1.1"),
        ("outcome", "denied"),
        ("label", "unit"),
        ("label", ":x"),
        ("reads", "1"),
        ("request_id", ""),
        ("q", "  "),
        ("q", "a b c d e f g h i"),
        ("target", "x" * 300),
        ("actor", "\x00"),
        ("evnt", "api_key.created"),
    ],
)
def test_what_cannot_be_read_is_refused_by_name(name: str, value: str) -> None:
    with pytest.raises(ValidationFailed) as refused:
        filters.read({name: [value]})
    assert [error.field for error in refused.value.errors] == [name]


def test_everything_wrong_is_named_at_once() -> None:
    with pytest.raises(ValidationFailed) as refused:
        filters.read({"ip": ["x"], "key_id": ["y"], "event": ["api_key.created"], "color": ["z"]})
    assert [error.field for error in refused.value.errors] == ["ip", "key_id", "color"]


def test_only_events_repeat() -> None:
    several = filters.read({"event": ["api_key.created", "user.*", "api_key.created"]})
    assert several.events == ("api_key.created", "user.*")
    with pytest.raises(ValidationFailed):
        filters.read({"ip": ["10.0.0.1", "10.0.0.2"]})
    with pytest.raises(ValidationFailed):
        filters.read({"event": ["a.b"] * 51})


def test_cursors_are_left_to_the_pagination() -> None:
    assert filters.read({"limit": ["5"], "after": ["x"], "before": ["y"]}) == Filters()


@given(st.dictionaries(st.sampled_from(sorted(filters.NAMES)), st.lists(st.text(), max_size=3)))
def test_any_query_is_read_or_refused(query: dict[str, list[str]]) -> None:
    try:
        filters.read(query)
    except ValidationFailed as refused:
        assert refused.errors


@pytest.fixture
def ids(db: None) -> dict[str, UUID]:
    """Six entries of Hive, by name."""
    key = key_actor(key_id=KEY_ID, ip="203.0.113.200", labels={"unit": "retail"})
    system = Actor(type="system", id="sealer", label="sealer", account_id=HIVE)
    with tenant(HIVE):
        found = {
            "created": actions.record(
                by=alice(), event="api_key.created", target=Target("key", "k1", "Spring: Hive's")
            ),
            "sent": actions.record(by=key, event="message.accepted"),
            "read": actions.record(by=key, event="message.read"),
            "refused": actions.record(by=key, event="message.read", outcome="refused"),
            "v6": actions.record(by=alice(ip="2001:db8::1"), event="api_keys.listed"),
            "system": actions.record(
                by=system,
                event="domain.verified",
                target=Target("domain", "d1", "Post.Hive.example"),
            ),
        }
    return found


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({}, {"created", "sent", "refused", "system"}),
        ({"reads": "true"}, {"created", "sent", "read", "refused", "v6", "system"}),
        ({"event": "message.read"}, {"read", "refused"}),
        ({"event": "message.read", "reads": "false"}, {"refused"}),
        ({"event": "api_key.*"}, {"created"}),
        ({"key_id": str(KEY_ID)}, {"sent", "refused"}),
        ({"ip": "203.0.113.7"}, {"created"}),
        ({"ip": "203.0.113.128/25"}, {"sent", "refused"}),
        ({"ip": "::/0", "reads": "true"}, {"v6"}),
        ({"ip": "0.0.0.0/0", "reads": "true"}, {"created", "sent", "read", "refused"}),
        ({"outcome": "refused"}, {"refused"}),
        ({"actor": "user"}, {"created"}),
        ({"actor": "system:sealer"}, {"system"}),
        ({"actor": str(KEY_ID)}, {"sent", "refused"}),
        ({"target": "k1"}, {"created"}),
        ({"target": "key:k1"}, {"created"}),
        ({"target": "domain:k1"}, set()),
        ({"label": "unit:retail"}, {"sent", "refused"}),
        ({"label": "unit:other"}, set()),
        ({"q": "spring"}, {"created"}),
        ({"q": "HIVE"}, {"created", "system"}),
        ({"q": "post.hive.example"}, {"system"}),
        ({"q": "hive spring"}, {"created"}),
        ({"q": "hive unit:retail"}, set()),
        ({"q": "spr"}, set()),
        ({"actor": "key"}, {"sent", "refused"}),
        ({"actor": f"key:{KEY_ID}"}, {"sent", "refused"}),
        ({"actor": f"user:{KEY_ID}"}, set()),
        ({"actor": alice().id}, {"created"}),
        ({"target": "domain"}, set()),
        ({"target": "d1", "q": "hive", "actor": "system"}, {"system"}),
        ({"to": "2026-01-01"}, set()),
        ({"from": "2026-01-01", "to": "2999-01-01"}, {"created", "sent", "refused", "system"}),
    ],
)
def test_a_filter_finds_what_it_names(
    ids: dict[str, UUID], query: dict[str, str], expected: set[str]
) -> None:
    read = filters.read({name: [value] for name, value in query.items()})
    with tenant(HIVE):
        shown = search.find(HIVE, read, Cursor()).rows
    found = {entry.id for entry in shown}
    assert {name for name, entry_id in ids.items() if entry_id in found} == expected
    assert [entry.id for entry in shown] == sorted(found, reverse=True)


def test_a_time_range_is_exact_to_the_microsecond(ids: dict[str, UUID]) -> None:
    with tenant(HIVE):
        moments = list(Entry.objects.order_by("id").values_list("created_at", flat=True))
        found = Entry.objects.within(moments[1], moments[3])
        assert list(found.order_by("id").values_list("created_at", flat=True)) == moments[1:3]


def test_the_request_that_did_it_is_found(ids: dict[str, UUID]) -> None:
    with tenant(HIVE):
        entry = Entry.objects.get(id=ids["sent"])
        found = Entry.objects.matching(filters.read({"request_id": [entry.request_id]}))
        assert {each.id for each in found} == {ids["sent"], ids["refused"]}


MANY = """
INSERT INTO auditlog_entry SELECT
    (lpad(to_hex((extract(epoch FROM now()) * 1000)::bigint + n), 12, '0')
        || '7000' || lpad(to_hex(n), 16, '0'))::uuid,
    CASE WHEN n %% 20 = 0 THEN %s ELSE md5((n %% 20)::text)::uuid END, now(), 1,
    CASE WHEN n %% 50 = 0 THEN 'api_key.created' ELSE 'message.read' END,
    CASE WHEN n %% 500 = 0 THEN 'refused' ELSE 'allowed' END,
    CASE WHEN n %% 200 = 0 THEN 'user' ELSE 'key' END, 'u' || n %% 77,
    lpad(to_hex(n %% 97), 32, '0')::uuid, 'r' || n, 'domain', 'd' || n %% 777, '{}', 1,
    sha256('x'), NULL, '',
    '', '10.0.0.0'::inet + n, '', '', '{}', n %% 50 <> 0
FROM generate_series(1, 20000) n
"""


@pytest.mark.parametrize(
    ("query", "index"),
    [
        ({"reads": "true"}, "newest"),
        ({}, "no_reads"),
        ({"reads": "true", "key_id": "00000000-0000-0000-0000-000000000005"}, "by_key"),
        ({"target": "domain:d7"}, "by_target"),
        ({"target": "d7"}, "by_target"),
        ({"request_id": "r7"}, "by_request"),
    ],
)
def test_the_app_finds_it_through_an_index(db: None, query: dict[str, str], index: str) -> None:
    """Under row-level security only leakproof operators reach an index."""
    read = filters.read({name: [value] for name, value in query.items()})
    with as_role("worker"), connection.cursor() as cursor:
        cursor.execute(MANY, [HIVE])
    with tenant(HIVE), connection.cursor() as cursor:
        cursor.execute("SET LOCAL ROLE owner")
        cursor.execute("ANALYZE auditlog_entry")
        cursor.execute("SET LOCAL ROLE app")
        plan = Entry.objects.of_account(HIVE).matching(read).order_by("-id")[:20].explain()
        cursor.execute("SELECT DISTINCT tableoid::regclass::text FROM auditlog_entry")
        full = [name for (name,) in cursor.fetchall()]
    for partition in full:
        assert f"Seq Scan on {partition} " not in plan, plan
        assert f" {partition}_{INDEX_COLUMNS[index]} " in plan, plan


# Indexes of partitions have generated names, so the plan is known by its columns.
INDEX_COLUMNS = {
    "newest": "pkey",
    "no_reads": "account_id_id_idx",
    "by_key": "account_id_key_id_id_idx",
    "by_target": "account_id_target_id_id_idx",
    "by_request": "account_id_request_id_idx",
}


def test_events_sort_byte_by_byte_on_any_server(db: None) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT DISTINCT collation_name FROM information_schema.columns"
            " WHERE table_name LIKE 'auditlog\\_entry%%' AND column_name = 'event'"
        )
        assert cursor.fetchall() == [("C",)]


def test_the_queue_of_the_sealer_is_read_in_order(db: None) -> None:
    leave_waiting(10)
    with as_role("worker"), connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute("EXPLAIN SELECT entry_id FROM auditlog_pending ORDER BY entry_id LIMIT 5")
        assert "auditlog_pending_pkey" in "\n".join(line for (line,) in cursor.fetchall())
