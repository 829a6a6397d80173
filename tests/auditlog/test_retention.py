"""Contents go when their time is over, or with a person; every proof stays."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from django.db import DatabaseError, connection, transaction
from django.utils import timezone

from auditlog import (
    actions,
    checkpoints,
    clock,
    entries,
    erasing,
    filters,
    log_keys,
    merkle,
    postings,
    proofs,
    pruning,
    retention,
    search,
    verification,
)
from auditlog.models import Entry, Leaf, Posting
from auditlog.retained import Erasure, Retention, RetentionClock, commitment
from auditlog.retention import Step
from queensmtp import hot
from queensmtp.actors import Target
from queensmtp.errors import ValidationFailed
from queensmtp.pagination import Cursor
from queensmtp.tenancy import tenant
from tests.factories.auditlog import CHARLIES, HIVE, alice, index, key_actor, record_many, seal
from tests.roles import as_role

pytestmark = pytest.mark.django_db

NOW = timezone.now()


@pytest.fixture(autouse=True)
def _old_partition() -> None:
    with as_role("owner"), connection.cursor() as cursor:
        cursor.execute(
            "DO $$ BEGIN EXECUTE format('CREATE TABLE auditlog_entry_old PARTITION OF"
            " auditlog_entry FOR VALUES FROM (%L) TO (%L)', '00000000-0000-0000-0000-000000000000',"
            " partition_bound(date_trunc('week', now() AT TIME ZONE 'UTC') - interval '7 days'));"
            " END $$"
        )
    keep(HIVE, 90)


def keep(account_id: UUID, days: int) -> None:
    with tenant(account_id):
        retention.begin(account_id=account_id, plan_days=days)


def record_at(age: timedelta, *, account_id: UUID = HIVE, label: str = "") -> UUID:
    """An entry as it would have been written then, with the id of that time."""
    at = NOW - age
    built = entries.build(
        by=alice(account_id), event="domain.created", target=Target("domain", "d", label), at=at
    )
    old = replace(built, id=UUID(int=int(at.timestamp() * 1000) << 80 | built.id.int % (1 << 80)))
    with tenant(account_id):
        hot.fetch_one(actions.RECORD, old.params())
    return old.id


def prune(now: datetime = NOW) -> int:
    """Prune as the worker does, with a clock that was looked at often enough."""
    with as_role("worker"):
        RetentionClock.objects.update_or_create(
            id=1, defaults={"last_seen_at": now - timedelta(hours=1), "confirmations": 100}
        )
        return pruning.prune_due(now=now)


def kept(account_id: UUID = HIVE) -> set[UUID]:
    with tenant(account_id):
        return set(Entry.objects.values_list("id", flat=True))


@dataclass(frozen=True)
class Given:
    """What somebody was given before anything went: a signed head, and the proof of one entry."""

    note: str
    leaf: Leaf
    proof: proofs.InclusionProof

    def still_holds(self) -> bool:
        """Whether it verifies by itself, and today's head continues what it was signed for."""
        assert self.proof.leaf_data is not None
        signed = checkpoints.verify(
            self.note, origin=actions.origin(HIVE), public_keys=log_keys.public_keys()
        )
        with tenant(HIVE):
            newest = proofs.latest_checkpoint(HIVE)
            path = proofs.consistency_proof(HIVE, first=signed.size, second=newest.size)
        is_included = merkle.verify_inclusion(
            leaf=merkle.leaf_hash(self.proof.leaf_data),
            index=self.proof.leaf_index,
            size=signed.size,
            proof=self.proof.hashes,
            root=signed.root,
        )
        return is_included and merkle.verify_consistency(
            first=signed.size,
            second=newest.size,
            proof=path.hashes,
            first_root=signed.root,
            second_root=bytes(newest.root),
        )


def give(entry_id: UUID) -> Given:
    with tenant(HIVE):
        leaf = Leaf.objects.get(entry_id=entry_id)
        note = proofs.latest_checkpoint(HIVE).note
        return Given(note, leaf, proofs.inclusion_proof(HIVE, leaf=leaf))


def test_contents_go_after_their_days_and_the_root_does_not_move() -> None:
    old, young = record_at(timedelta(days=91)), record_at(timedelta(days=89))
    seal()
    given = give(old)
    assert prune() == 1
    assert prune() == 0
    assert old not in kept() and young in kept()
    seal()
    with tenant(HIVE):
        after = proofs.inclusion_proof(HIVE, leaf=given.leaf, size=given.proof.size)
        assert verification.verify(HIVE) == []
    assert after.leaf_data is None
    assert (after.hashes, after.leaf_hash) == (given.proof.hashes, given.proof.leaf_hash)
    assert given.still_holds()


def test_that_something_went_is_in_the_log() -> None:
    record_at(timedelta(days=91))
    seal()
    prune()
    with tenant(HIVE):
        entry = Entry.objects.get(event="audit_entry.pruned")
        assert (entry.actor_type, entry.changes["entries"]) == ("system", 1)
        assert Retention.objects.get().pruned_before == NOW - timedelta(days=90) - pruning.SKEW


def test_what_is_not_sealed_stays() -> None:
    old = record_at(timedelta(days=91))
    assert prune() == 0
    assert old in kept()


def test_enterprise_keeps_a_year_and_so_does_an_account_that_never_said() -> None:
    keep(CHARLIES, 365)
    stranger = UUID(int=7)
    ids = {
        account: [record_at(timedelta(days=days), account_id=account) for days in (91, 364, 366)]
        for account in (CHARLIES, stranger)
    }
    seal()
    assert prune() == 2
    for account, (young, middle, old) in ids.items():
        assert {young, middle} <= kept(account)
        assert old not in kept(account)


def test_the_database_deletes_nothing_before_its_time_whatever_the_worker_says() -> None:
    record_at(timedelta(days=91))
    record_many(1)
    seal()
    with as_role("worker"), connection.cursor() as cursor:
        too_early = timezone.now() - timedelta(days=89)
        with pytest.raises(DatabaseError, match="90 days"), transaction.atomic():
            cursor.execute("SELECT auditlog_prune(%s, %s, 10)", [HIVE, too_early])
    # A worker whose clock is ahead by a year asks, and Postgres's own clock answers.
    with pytest.raises(DatabaseError, match="90 days"), transaction.atomic():
        prune(NOW + timedelta(days=365))
    assert len(kept()) == 2


def test_a_worker_whose_clock_is_somewhat_ahead_prunes_all_the_same() -> None:
    record_at(timedelta(days=91))
    seal()
    assert prune(NOW + timedelta(minutes=50)) == 1


def test_a_request_may_call_neither_function() -> None:
    with connection.cursor() as cursor:
        for call in ("auditlog_prune(%s, now(), 1)", "auditlog_erase(%s, '{}')"):
            with pytest.raises(DatabaseError, match="permission denied"), transaction.atomic():
                cursor.execute(f"SELECT {call}", [HIVE])


def test_retention_itself_changes_nothing_but_personal_fields() -> None:
    record_many(1)
    seal()
    for change in ("event = 'x.y'", "count = 7", "salt = NULL", "target_label = ''"):
        with as_role("retention"), pytest.raises(DatabaseError, match="only grows"):
            run(f"UPDATE auditlog_entry SET {change}")
    with as_role("retention"), pytest.raises(DatabaseError, match="permission denied"):
        run("DELETE FROM auditlog_leaf")


def run(statement: str) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)


# --- Partitions --------------------------------------------------------------------------------


def partitions() -> set[str]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT inhrelid::regclass::text FROM pg_inherits"
            " WHERE inhparent = 'auditlog_entry'::regclass"
        )
        return {name for (name,) in cursor.fetchall()}


@pytest.fixture
def weeks() -> tuple[str, str, str]:
    """Weeks of some 400, 150 and 80 days ago, in place of the one long partition."""
    with as_role("owner"), connection.cursor() as cursor:
        cursor.execute("DROP TABLE auditlog_entry_old")
        for days in (400, 150, 80):
            make_week(f"auditlog_entry_{days}_days", days)
    return "auditlog_entry_400_days", "auditlog_entry_150_days", "auditlog_entry_80_days"


def make_week(name: str, days: int) -> None:
    """Around a day so long ago; closed to everybody, as partitions are."""
    ends = (days + 4, days - 3)
    bounds = (f"partition_bound(now()::timestamp - interval '{end} days')" for end in ends)
    run(
        f"DO $$ BEGIN EXECUTE format('CREATE TABLE {name} PARTITION OF auditlog_entry FOR VALUES"
        f" FROM (%L) TO (%L)', {', '.join(bounds)}); END $$"
    )
    run(f"ALTER TABLE {name} ENABLE ROW LEVEL SECURITY")
    run(f"ALTER TABLE {name} FORCE ROW LEVEL SECURITY")


def drop(partition: str) -> None:
    with as_role("worker"):
        run(f"SELECT auditlog_drop_partition('{partition}')")


def test_a_week_goes_when_nothing_of_it_is_left(weeks: tuple[str, str, str]) -> None:
    keep(CHARLIES, 365)
    record_at(timedelta(days=400))
    record_at(timedelta(days=400), account_id=CHARLIES)
    record_at(timedelta(days=150))
    theirs = record_at(timedelta(days=150), account_id=CHARLIES)
    seal()
    first, second, young = weeks
    assert prune() == 3
    assert partitions() >= {second, young} and first not in partitions()
    assert theirs in kept(CHARLIES)
    for account_id in (HIVE, CHARLIES):
        with tenant(account_id):
            assert verification.verify(account_id) == []
            leaf = Leaf.objects.order_by("leaf_index")[0]
            assert proofs.inclusion_proof(account_id, leaf=leaf).leaf_data is None
    with tenant(UUID(int=0)):
        assert Entry.objects.get(event="audit_partition.dropped").target_id == first
    with as_role("worker"):
        assert pruning.drop_emptied_partitions() == 0


def test_the_database_drops_no_week_that_holds_an_entry(weeks: tuple[str, str, str]) -> None:
    """Whoever asks: an entry that waits to be sealed is one too."""
    record_at(timedelta(days=150))
    with pytest.raises(DatabaseError, match="holds entries"):
        drop(weeks[1])
    assert weeks[1] in partitions()
    assert len(kept()) == 1
    with connection.cursor() as cursor:
        cursor.execute("SELECT relforcerowsecurity FROM pg_class WHERE relname = %s", [weeks[1]])
        assert cursor.fetchone() == (True,)


@pytest.mark.parametrize(
    "name", ["auditlog_entry", "auditlog_leaf", "auditlog_checkpoint", "accounts_account", "x;y"]
)
def test_nothing_but_an_old_week_is_ever_dropped(name: str, weeks: tuple[str, str, str]) -> None:
    for one in (name, weeks[2]):
        with pytest.raises(DatabaseError, match="no partition of entries"):
            drop(one)
    assert weeks[2] in partitions()


def test_a_request_drops_no_week(weeks: tuple[str, str, str]) -> None:
    with pytest.raises(DatabaseError, match="permission denied"):
        run(f"SELECT auditlog_drop_partition('{weeks[0]}')")


# --- The clock ---------------------------------------------------------------------------------


def looks(*moments: datetime) -> list[bool]:
    with as_role("worker"):
        return [clock.confirm(now=moment) for moment in moments]


def hours(first: datetime, count: int) -> Iterator[datetime]:
    return (first + timedelta(hours=number) for number in range(count))


def test_nothing_goes_before_the_clock_made_sense_often_enough(settings: Any) -> None:
    settings.AUDIT_PRUNE_CONFIRMATIONS = 3
    assert looks(*hours(NOW, 5)) == [False, False, False, True, True]


@pytest.mark.parametrize("jump", [timedelta(days=365), timedelta(hours=4), -timedelta(hours=1)])
def test_a_jump_begins_the_count_anew(settings: Any, jump: timedelta) -> None:
    settings.AUDIT_PRUNE_CONFIRMATIONS = 3
    looks(*hours(NOW, 5))
    later = NOW + timedelta(hours=4) + jump
    assert looks(*hours(later, 4)) == [False, False, False, True]


def test_looking_twice_counts_once(settings: Any) -> None:
    settings.AUDIT_PRUNE_CONFIRMATIONS = 3
    assert looks(NOW, *(NOW + timedelta(minutes=minute) for minute in range(40))) == [False] * 41


def test_a_forward_jump_prunes_nothing() -> None:
    old = record_at(timedelta(days=80))
    seal()
    looks(NOW - timedelta(hours=1))
    with as_role("worker"):
        assert pruning.prune_due(now=NOW + timedelta(days=365)) == 0
    assert old in kept()


# --- Days --------------------------------------------------------------------------------------


def test_days_are_raised_with_an_entry_and_never_lowered() -> None:
    with tenant(HIVE):
        retention.choose_days(by=alice(), days=200)
        assert retention.days_of(HIVE) == 200
        entry = Entry.objects.get(event="audit_retention.raised")
        assert entry.changes == {"days": {"before": 90, "after": 200}}
        for days in (200, 90, 30, 4000):
            with pytest.raises(ValidationFailed):
                retention.choose_days(by=alice(), days=days)
        with pytest.raises(DatabaseError, match="only raised"), transaction.atomic():
            Retention.objects.update(chosen_days=100)


def test_days_that_were_chosen_hold() -> None:
    old = record_at(timedelta(days=150))
    seal()
    with tenant(HIVE):
        retention.choose_days(by=alice(), days=200)
    assert prune() == 0
    assert old in kept()


# --- Days of the plan --------------------------------------------------------------------------


def follow(days: int, account_id: UUID = HIVE) -> Step:
    """Carry over the days of the plan as the worker does."""
    with as_role("worker"), tenant(account_id):
        return retention.follow_plan(account_id=account_id, days=days)


def let_a_month_pass() -> None:
    """Back-date what was announced, which only a superuser past the triggers can."""
    with connection.cursor() as cursor:
        cursor.execute("SET ROLE NONE; SET session_replication_role = replica")
        cursor.execute("UPDATE auditlog_retention SET falls_at = falls_at - interval '30 days'")
        cursor.execute("SET session_replication_role = DEFAULT; SET ROLE app")


def trust_the_clock() -> None:
    with as_role("worker"):
        RetentionClock.objects.create(id=1, last_seen_at=NOW, confirmations=100)


def told() -> list[tuple[str, Any]]:
    with tenant(HIVE):
        found = Entry.objects.filter(event__startswith="audit_retention.").order_by("id")
        return [(entry.event.partition(".")[2], entry.changes) for entry in found]


def test_a_plan_that_gives_more_holds_at_once_and_over_days_that_were_chosen() -> None:
    with tenant(HIVE):
        retention.choose_days(by=alice(), days=200)
    assert [follow(365), follow(365)] == [Step.RAISED, Step.NOTHING]
    with tenant(HIVE):
        assert retention.days_of(HIVE) == 365
        with pytest.raises(ValidationFailed):
            retention.choose_days(by=alice(), days=300)
        retention.choose_days(by=alice(), days=400)
        assert retention.days_of(HIVE) == 400
    assert told()[1] == ("raised", {"plan_days": {"before": 90, "after": 365}})


def test_a_plan_that_gives_less_holds_after_a_month() -> None:
    trust_the_clock()
    follow(365)
    old = record_at(timedelta(days=150))
    seal()
    assert [follow(90), follow(90)] == [Step.ANNOUNCED, Step.NOTHING]
    assert prune() == 0
    let_a_month_pass()
    assert [follow(90), follow(90)] == [Step.LOWERED, Step.NOTHING]
    assert [event for event, _ in told()] == ["raised", "fall_announced", "lowered"]
    assert prune() == 1
    assert old not in kept()
    with tenant(HIVE):
        assert verification.verify(HIVE) == []


def test_days_that_were_chosen_outlast_a_plan_that_falls() -> None:
    trust_the_clock()
    follow(365)
    with tenant(HIVE):
        retention.choose_days(by=alice(), days=400)
    follow(90)
    let_a_month_pass()
    assert follow(90) is Step.LOWERED
    with tenant(HIVE):
        assert retention.days_of(HIVE) == 400


def test_while_a_fall_is_announced_anything_above_what_will_be_left_may_be_chosen() -> None:
    trust_the_clock()
    follow(365)
    follow(90)
    with tenant(HIVE):
        with pytest.raises(ValidationFailed, match="over 90"):
            retention.choose_days(by=alice(), days=90)
        retention.choose_days(by=alice(), days=200)
        assert retention.days_of(HIVE) == 365
    let_a_month_pass()
    assert follow(90) is Step.LOWERED
    with tenant(HIVE):
        assert retention.days_of(HIVE) == 200


def test_a_plan_that_rises_again_in_time_loses_nothing() -> None:
    trust_the_clock()
    follow(365)
    record_at(timedelta(days=150))
    seal()
    follow(90)
    let_a_month_pass()
    assert [follow(365), follow(365)] == [Step.WITHDRAWN, Step.NOTHING]
    # The next fall is announced anew, and takes its own month.
    assert [follow(90), follow(90)] == [Step.ANNOUNCED, Step.NOTHING]
    assert follow(365) is Step.WITHDRAWN
    assert prune() == 0
    assert [event for event, _ in told()] == ["raised", *["fall_announced", "fall_withdrawn"] * 2]


def test_a_plan_back_and_forth_leaves_every_proof_valid() -> None:
    """What went under the lower plan stays gone; root, proofs and receipts stand."""
    trust_the_clock()
    old, young = record_at(timedelta(days=150)), record_at(timedelta(days=10))
    seal()
    given = give(old)
    assert prune() == 1
    assert follow(365) is Step.RAISED
    middle = record_at(timedelta(days=120))
    seal()
    assert prune() == 0
    follow(90)
    let_a_month_pass()
    follow(90)
    assert prune() == 1
    follow(365)
    seal()
    assert not {old, middle} & kept() and young in kept()
    with tenant(HIVE):
        assert verification.verify(HIVE) == []
    assert given.still_holds()


def test_days_do_not_fall_by_a_clock_that_jumped() -> None:
    follow(365)
    follow(90)
    let_a_month_pass()
    assert follow(90) is Step.NOTHING
    trust_the_clock()
    assert follow(90) is Step.LOWERED


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ("plan_days = 90", "announced"),
        ("falls_to = 90, falls_at = now() + interval '29 days'", "30 days"),
        ("falls_to = 90, falls_at = NULL", "check constraint"),
        ("falls_to = 20, falls_at = now() + interval '31 days'", "check constraint"),
        ("pruned_before = now() - interval '2 days'", "stays pruned"),
        ("pruned_before = NULL", "stays pruned"),
        ("chosen_days = 100", "only raised"),
        ("chosen_days = NULL", "permission denied|only raised"),
    ],
)
def test_the_database_lowers_nothing_unannounced(change: str, why: str) -> None:
    follow(365)
    with tenant(HIVE):
        retention.choose_days(by=alice(), days=400)
    with as_role("worker"):
        retention.remember_pruned(account_id=HIVE, before=NOW)
    # The owner stands for whoever is granted too much: the trigger binds it as well.
    with as_role("owner"):
        run("ALTER TABLE auditlog_retention NO FORCE ROW LEVEL SECURITY")
        with pytest.raises(DatabaseError, match=why):
            run(f"UPDATE auditlog_retention SET {change}")


def test_a_request_cannot_touch_what_the_plan_gives() -> None:
    for change in ("plan_days = 400", "falls_to = NULL", "pruned_before = now()"):
        with tenant(HIVE), pytest.raises(DatabaseError, match="permission denied"):
            run(f"UPDATE auditlog_retention SET {change}")


def test_a_log_that_never_said_falls_no_faster_than_any_other() -> None:
    record_at(timedelta(days=100), account_id=CHARLIES)
    seal()
    with tenant(CHARLIES), pytest.raises(DatabaseError, match="365 days"), transaction.atomic():
        retention.begin(account_id=CHARLIES, plan_days=90)
    assert [follow(90, CHARLIES), follow(90, CHARLIES)] == [Step.ANNOUNCED, Step.NOTHING]
    with tenant(CHARLIES):
        assert retention.days_of(CHARLIES) == 365


def test_the_first_row_of_a_pruned_log_says_how_far_it_was_pruned() -> None:
    """Logs were pruned before each had a row: what rightly went is no finding."""
    record_at(timedelta(days=400), account_id=CHARLIES)
    seal()
    assert prune() == 1
    seal()
    forget_the_row(CHARLIES)
    follow(365, CHARLIES)
    with tenant(CHARLIES):
        assert Retention.objects.get().pruned_before == NOW - timedelta(days=365) - pruning.SKEW
        assert verification.verify(CHARLIES) == []


def test_pruning_itself_leaves_a_row() -> None:
    stranger = UUID(int=0)
    record_at(timedelta(days=400), account_id=stranger)
    seal()
    assert prune() == 1
    with tenant(stranger):
        assert Retention.objects.get().pruned_before == NOW - timedelta(days=365) - pruning.SKEW
        assert verification.verify(stranger) == []


def forget_the_row(account_id: UUID) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET ROLE NONE")
        cursor.execute("DELETE FROM auditlog_retention WHERE account_id = %s", [account_id])
        cursor.execute("SET ROLE app")


# --- Erasure -----------------------------------------------------------------------------------


def erase(**query: str) -> Erasure:
    with tenant(HIVE):
        erasure = erasing.request(
            by=key_actor(ip=None), query={name: [value] for name, value in query.items()}
        )
    with as_role("worker"):
        erasing.erase_due()
        assert erasing.erase_due() == 0
    with tenant(HIVE):
        return Erasure.objects.get(pk=erasure.pk)


def test_a_persons_data_goes_and_event_time_and_proof_stay(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(postings, "WIDTH", 4)
    mine = [record_at(timedelta(days=1), label="dana@customer.example") for _ in range(3)]
    others = [record_at(timedelta(days=1), label="erin@customer.example") for _ in range(3)]
    seal()
    index()
    with tenant(HIVE):
        assert Posting.objects.filter(token="t:dana@customer.example").exists()
    erasure = erase(q="dana@customer.example")
    assert (erasure.entry_count, erasure.filters) == (3, {})
    with tenant(HIVE):
        for entry in Entry.objects.filter(id__in=mine):
            assert entry.is_erased and entry.event == "domain.created"
            assert (entry.target_label, entry.actor_label, entry.ip) == ("", "", None)
            leaf = proofs.leaf_of_entry(HIVE, entry.id)
            assert merkle.leaf_hash(entry.leaf_data()) == bytes(leaf.hash)
        assert not any(entry.is_erased for entry in Entry.objects.filter(id__in=others))
        assert not Posting.objects.filter(token="t:dana@customer.example").exists()
        assert verification.verify(HIVE) == []
        found = search.find(HIVE, filters.read({"q": ["dana@customer.example"]}), Cursor())
        assert found.rows == []
        said = Entry.objects.filter(event__startswith="audit_erasure.").order_by("id")
        asked, done = (entry.changes for entry in said)
        assert asked == {"filters": ["q"]}
        assert (done["entries"], done["leaves_sha256"]) == (3, commitment(bytes(erasure.leaves)))


def test_an_erasure_waits_until_what_was_recorded_before_it_is_sealed() -> None:
    """What waits to be sealed a second ago may be about the same person."""
    record_at(timedelta(days=1), label="dana@customer.example")
    seal()
    record_at(timedelta(minutes=1), label="dana@customer.example")
    with tenant(HIVE):
        erasing.request(by=alice(), query={"q": ["dana@customer.example"]})
    with as_role("worker"):
        assert erasing.erase_due() == 0
    seal()
    with as_role("worker"):
        assert erasing.erase_due() == 2


def test_erasing_goes_through_every_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(erasing, "LOOKED_AT_ONCE", 2)
    for _ in range(5):
        record_at(timedelta(days=1), label="dana@customer.example")
    seal()
    assert erase(q="dana@customer.example").entry_count == 5


@pytest.mark.parametrize("query", [{}, {"outcome": ["allowed"]}, {"from": ["2026-01-01"]}])
def test_nobody_erases_without_naming_someone(query: dict[str, list[str]]) -> None:
    with tenant(HIVE), pytest.raises(ValidationFailed, match="whose data"):
        erasing.request(by=alice(), query=query)


def test_another_accounts_entries_stay() -> None:
    theirs = record_at(timedelta(days=1), account_id=CHARLIES, label="dana@customer.example")
    seal()
    assert erase(q="dana@customer.example").entry_count == 0
    with tenant(CHARLIES):
        assert not Entry.objects.get(id=theirs).is_erased
