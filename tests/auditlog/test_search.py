"""Search over whole segments and what lies beyond them, compared with looking at every row."""

import random
from itertools import combinations
from typing import Any
from uuid import UUID

import pytest
from django.db import connection

from auditlog import filters, indexing, postings, search
from auditlog.models import Entry, Indexed, Leaf, Pending, Posting, Segment
from queensmtp.errors import ValidationFailed
from queensmtp.pagination import Cursor
from queensmtp.tenancy import tenant
from tests.factories.auditlog import CHARLIES, HIVE, index, seal
from tests.roles import as_role

pytestmark = pytest.mark.django_db

# Every field follows from the number. The leaves are what the sealer takes: any hash will do.
LOG = """
WITH made AS (
    INSERT INTO auditlog_entry SELECT
        (lpad(to_hex((extract(epoch FROM now()) * 1000)::bigint + n), 12, '0')
            || '7000' || lpad(to_hex(n), 16, '0'))::uuid,
        %(account)s, to_timestamp(((extract(epoch FROM now()) * 1000)::bigint + n) / 1000.0), 1,
        (ARRAY['api_key.created', 'api_key.revoked', 'email.submitted', 'email.read'])[1 + n %% 4],
        CASE WHEN n %% 11 = 0 THEN 'refused' ELSE 'allowed' END,
        CASE WHEN n %% 50 = 0 THEN 'user' ELSE 'key' END, 'a' || n %% 5,
        CASE WHEN n %% 50 <> 0 THEN lpad(to_hex(n %% 7), 32, '0')::uuid END, 'r' || n,
        (ARRAY['key', 'domain'])[1 + n %% 2], 't' || n,
        CASE WHEN n %% 3 = 0 THEN '{"unit": "retail"}' ELSE '{}' END::jsonb,
        1, sha256('x'), NULL, '', CASE WHEN n %% 10 = 0 THEN 'Shop ' || n %% 60 ELSE '' END,
        ('10.' || n %% 3 || '.' || n %% 500 %% 256 || '.' || n %% 250)::inet,
        '', '', '{}', n %% 4 = 3 AND n %% 11 <> 0
    FROM generate_series(%(first)s::int, %(past)s::int - 1, %(step)s) AS n RETURNING id, account_id
)
INSERT INTO auditlog_pending SELECT id, account_id, sha256(uuid_send(id)) FROM made
"""
WIDTH, SIZE = 512, 1_300
REST = 100

ONE_EACH: list[dict[str, list[str]]] = [
    {"event": ["api_key.*"]},
    {"event": ["email.read", "api_key.revoked"]},
    {"key_id": ["00000000-0000-0000-0000-000000000003"]},
    {"actor": ["a2"]},
    {"actor": ["user"]},
    {"outcome": ["refused"]},
    {"outcome": ["failed"]},
    {"ip": ["10.1.0.0/16"]},
    {"ip": ["10.2.7.0/24"]},
    {"ip": ["10.0.16.0/20"]},
    {"ip": ["10.1.4.0/27"]},
    {"ip": ["10.0.3.3"]},
    {"ip": ["0.0.0.0/0"]},
    {"ip": ["::/0"]},
    {"label": ["unit:retail"]},
    {"q": ["shop 30"]},
    {"target": ["domain"]},
    {"reads": ["true"]},
]


@pytest.fixture
def log(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two whole segments, small ones, and a rest, some of it unsealed. Every seventh entry was
    sealed late, so that leaf order and id order differ by far more than they do in life."""
    monkeypatch.setattr(postings, "WIDTH", WIDTH)
    add(0, SIZE - 2 * REST)
    with as_role("worker"):
        late = [one for one in Pending.objects.all() if one.entry_id.int % 7 == 0]
        Pending.objects.filter(pk__in=[one.pk for one in late]).delete()
        seal()
        Pending.objects.bulk_create(late)
    seal()
    index()
    add(SIZE - 2 * REST, SIZE - REST)
    seal()
    add(SIZE - REST, SIZE)


def add(first: int, past: int, *, account: UUID = HIVE) -> None:
    with as_role("worker"), connection.cursor() as cursor:
        cursor.execute(LOG, {"account": account, "first": first, "past": past, "step": 1})


def looked_at(read: filters.Filters) -> list[UUID]:
    """Every row that fits, newest first, found without any index of ours."""
    rows = Entry.objects.of_account(HIVE).matching(read).order_by("-id")
    if not read.words:
        return list(rows.values_list("id", flat=True))
    return [row.id for row in rows.only("target_label") if row.has_words(read.words)]


def found(query: dict[str, list[str]], **cursor: Any) -> list[UUID]:
    with tenant(HIVE):
        page = search.find(HIVE, filters.read(query), Cursor(**cursor))
    return [row.id for row in page.rows]


def test_there_are_whole_segments_and_a_rest(log: None) -> None:
    with tenant(HIVE):
        assert Segment.objects.count() == 2
        assert Indexed.objects.get().leaf_count == 2 * WIDTH
        assert Leaf.objects.count() == SIZE - REST
    # The segments overlap: it would not do to go through them one by one and stop.
    with tenant(HIVE):
        older, newer = Segment.objects.order_by("number")
        assert older.highest > newer.lowest


def test_filters_and_pairs_of_them_find_what_looking_at_each_row_finds(log: None) -> None:
    pairs = [
        {**one, **two} for one, two in combinations(ONE_EACH, 2) if not one.keys() & two.keys()
    ]
    assert len(pairs) > 100
    for query in [*ONE_EACH, *random.Random(7).sample(pairs, 45)]:
        with tenant(HIVE):
            expected = looked_at(filters.read(query))
        assert found(query, limit=20) == expected[:20], query
        if len(expected) > 30:
            middle = random.Random(len(expected)).randrange(1, len(expected))
            at = expected[middle]
            assert found(query, limit=9, after=at) == expected[middle + 1 : middle + 10], query
            assert found(query, limit=9, before=at) == expected[max(0, middle - 9) : middle], query


def test_pages_meet_from_end_to_end(log: None) -> None:
    query = {"outcome": ["refused"], "label": ["unit:retail"]}
    with tenant(HIVE):
        expected = looked_at(filters.read(query))
        shown: list[UUID] = []
        page = search.find(HIVE, filters.read(query), Cursor(limit=10))
        while page.has_more:
            shown += [row.id for row in page.rows]
            page = search.find(HIVE, filters.read(query), Cursor(limit=10, after=shown[-1]))
        shown += [row.id for row in page.rows]
    assert len(expected) > 30
    assert shown == expected


def test_a_time_range_leaves_segments_alone(log: None) -> None:
    with tenant(HIVE):
        moments = list(Entry.objects.order_by("id").values_list("created_at", flat=True))
        read = filters.read(
            {
                "from": [moments[500].isoformat().replace("+00:00", "Z")],
                "to": [moments[700].isoformat().replace("+00:00", "Z")],
                "event": ["api_key.*"],
            }
        )
        expected = looked_at(read)
        assert 0 < len(expected) <= 200
        page = search.find(HIVE, read, Cursor(limit=10))
        assert [row.id for row in page.rows] == expected[:10]


def test_a_cursor_that_the_filters_do_not_find_is_refused(log: None) -> None:
    other = found({"outcome": ["allowed"]}, limit=1)[0]
    with pytest.raises(ValidationFailed):
        found({"outcome": ["refused"]}, after=other)
    with pytest.raises(ValidationFailed):
        found({"q": ["shop"], "outcome": ["allowed"]}, after=other)


def test_a_search_reads_postings_by_their_key_and_few_rows(log: None) -> None:
    """Filters that have nothing in common must not be looked for row by row."""
    read = filters.read({"event": ["email.read"], "target": ["key"], "reads": ["true"]})
    with tenant(HIVE), connection.cursor() as cursor:
        cursor.execute("SET LOCAL ROLE owner")
        cursor.execute("ANALYZE auditlog_posting")
        cursor.execute("SET LOCAL ROLE app")
        plan = Posting.objects.filter(
            account_id=HIVE, token__in=["e:email.read", "y:key"], segment__gte=0, segment__lte=9
        ).explain()
        assert "auditlog_posting_pkey" in plan, plan
        assert search.find(HIVE, read, Cursor()).rows == []


def test_indexing_twice_changes_nothing_more(log: None) -> None:
    with as_role("worker"):
        before = list(Posting.objects.order_by("pk").values_list())
        assert indexing.index_all() == 0
        indexing.index_again(HIVE, 0)
        assert list(Posting.objects.order_by("pk").values_list()) == before


def test_charlie_finds_nothing_of_it(log: None) -> None:
    with tenant(CHARLIES):
        assert Posting.objects.count() == 0
        page = search.find(HIVE, filters.read({"outcome": ["refused"]}), Cursor())
        assert page.rows == []


@pytest.mark.parametrize("places", [[], [0], [4095], [1, 7, 4000], list(range(4096))])
def test_places_survive_packing(places: list[int]) -> None:
    data = postings.packed(places)
    assert len(data) <= 513
    assert sorted(postings.places_of(postings.unpacked(data))) == places
