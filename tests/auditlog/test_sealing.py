from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.conf import LazySettings
from django.db import DatabaseError, connection
from django.utils import timezone
from pymerkle import InmemoryTree

from auditlog import actions, checkpoints, log_keys, publication, tasks
from auditlog.errors import HeadMoved, SigningKeyMissing
from auditlog.growth import Growth
from auditlog.merkle import Frontier
from auditlog.models import Checkpoint, Entry, Head, Leaf, Pending, Tile
from queensmtp.ids import new_id
from queensmtp.tenancy import tenant
from tests.factories.auditlog import CHARLIES, HIVE, leave_waiting, record_many, seal
from tests.roles import as_role

pytestmark = pytest.mark.django_db


@pytest.fixture
def _as_worker() -> Iterator[None]:
    with as_role("worker"):
        yield


def test_what_waits_becomes_leaves_in_the_order_of_their_ids() -> None:
    ids = record_many(5)
    report = seal()
    assert (report.entry_count, report.account_count, report.is_busy) == (5, 1, False)
    with tenant(HIVE):
        leaves = Leaf.objects.order_by("leaf_index")
        assert [(leaf.leaf_index, leaf.entry_id) for leaf in leaves] == list(enumerate(ids))
        assert not Pending.objects.exists()


def test_the_root_is_the_one_that_pymerkle_computes_from_the_entries() -> None:
    record_many(3)
    seal()
    record_many(30)
    seal()
    tree = InmemoryTree(algorithm="sha256")
    with tenant(HIVE):
        for leaf in Leaf.objects.order_by("leaf_index"):
            tree.append_entry(Entry.objects.get(id=leaf.entry_id).leaf_data())
        head = Head.objects.get()
        assert head.size == 33
        assert bytes(head.root) == tree.get_root(33)


def test_every_head_is_signed_under_its_accounts_origin() -> None:
    for account_id in (HIVE, CHARLIES):
        record_many(2, account_id)
    assert seal().account_count == 2
    for account_id in (HIVE, CHARLIES):
        with tenant(account_id):
            head = Head.objects.get()
        signed = checkpoints.verify(
            head.note, origin=f"localhost/{account_id}", public_keys=log_keys.public_keys()
        )
        assert (signed.size, signed.root) == (2, bytes(head.root))


def test_tiles_are_written_once_when_they_are_full() -> None:
    for count in (255, 1, 300):
        leave_waiting(count)
        seal()
    with tenant(HIVE):
        tiles = Tile.objects.order_by("number")
        assert [(tile.level, tile.number, len(tile.hashes)) for tile in tiles] == [
            (0, 0, 8192),
            (0, 1, 8192),
        ]
        hashes = [bytes(leaf.hash) for leaf in Leaf.objects.order_by("leaf_index")]
        assert b"".join(hashes[:512]) == b"".join(bytes(tile.hashes) for tile in tiles)
        assert bytes(tiles[0].root) == Frontier().extended(hashes[:256]).root


def test_a_tile_of_tiles_is_written_when_256_are_full(_as_worker: None) -> None:
    leave_waiting(65_500)
    actions.seal_all(now=timezone.now(), at_once=30_000)
    assert Tile.objects.filter(level=1).count() == 0
    leave_waiting(100)
    actions.seal_all(now=timezone.now())
    tile = Tile.objects.get(level=1)
    roots = [bytes(each.root) for each in Tile.objects.filter(level=0).order_by("number")]
    assert (tile.number, bytes(tile.hashes)) == (0, b"".join(roots))
    hashes = Leaf.objects.order_by("leaf_index").values_list("hash", flat=True)
    assert bytes(Head.objects.get().root) == Frontier().extended(map(bytes, hashes)).root


def test_sealing_again_changes_nothing_more() -> None:
    record_many(4)
    seal()
    with tenant(HIVE):
        before = Head.objects.values().get()
    assert seal().entry_count == 0
    with tenant(HIVE):
        assert Head.objects.values().get() == before
        assert Leaf.objects.count() == 4


def test_no_more_than_the_limit_is_taken_and_the_oldest_first() -> None:
    ids = record_many(5)
    assert seal(limit=3).entry_count == 3
    with tenant(HIVE):
        assert set(Pending.objects.values_list("entry_id", flat=True)) == set(ids[3:])


def test_the_task_seals_all_and_publishes(_as_worker: None) -> None:
    record_many(3)
    assert tasks.seal() == 3
    assert tasks.seal() == 0
    assert Checkpoint.objects.get().size == 3


def test_without_the_key_nothing_is_sealed(settings: LazySettings) -> None:
    record_many(1)
    settings.AUDIT_SIGNING_KEY = ""
    with pytest.raises(SigningKeyMissing, match="AUDIT_SIGNING_KEY_FILE"):
        seal()
    with tenant(HIVE):
        assert Pending.objects.count() == 1


def test_without_the_key_it_says_so_even_when_nothing_waits(settings: LazySettings) -> None:
    settings.AUDIT_SIGNING_KEY = ""
    with pytest.raises(SigningKeyMissing):
        seal()


def test_a_crash_at_any_step_leaves_everything_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    leave_waiting(300)
    for step in ("_grow", "_insert_leaves", "_insert_tiles", "_move_heads"):
        with monkeypatch.context() as patch:
            patch.setattr(actions, step, dies_after(getattr(actions, step)))
            with pytest.raises(KeyboardInterrupt):
                seal()
        with tenant(HIVE):
            kept = [model.objects.count() for model in (Pending, Leaf, Tile, Head)]
        assert kept == [300, 0, 0, 0]
    assert seal().entry_count == 300


def dies_after(step: object) -> object:
    def dying(*args: object) -> None:
        step(*args)  # type: ignore[operator]  # One of the sealer's own steps.
        raise KeyboardInterrupt

    return dying


def test_the_app_cannot_seal() -> None:
    record_many(1)
    with tenant(HIVE), pytest.raises(DatabaseError, match="permission denied"):
        actions.seal_pending(limit=10, now=timezone.now())


def test_a_head_that_moved_meanwhile_is_not_overwritten(_as_worker: None) -> None:
    record_many(2)
    seal()
    stale = Growth(
        account_id=HIVE,
        before=Frontier().extended([bytes(32)]),
        after=Frontier().extended([bytes(32)] * 3),
        leaves=[],
        tiles=[],
    )
    with pytest.raises(HeadMoved):
        actions._move_heads([stale], timezone.now())
    fresh = Growth(HIVE, Frontier(), Frontier().extended([bytes(32)]), [], [])
    with pytest.raises(HeadMoved):
        actions._move_heads([fresh], timezone.now())
    assert Head.objects.get().size == 2


def test_one_changed_account_is_set_aside_and_the_others_are_sealed() -> None:
    for account_id in (HIVE, CHARLIES):
        record_many(2, account_id)
    seal()
    with as_role("worker"):
        forged = Frontier().extended([bytes(32)] * 3)
        Head.objects.filter(account_id=HIVE).update(
            size=3, root=forged.root, frontier=forged.packed()
        )
    for account_id in (HIVE, CHARLIES):
        record_many(1, account_id)
    report = seal()
    assert (report.entry_count, report.set_aside) == (1, frozenset({HIVE}))
    with tenant(HIVE):
        # The entry that waits, and the one that says why.
        assert Pending.objects.count() == 2
    with tenant(CHARLIES):
        assert Head.objects.get().size == 3


def test_a_leaf_that_waits_a_second_time_stops_no_other_account() -> None:
    (entry_id,) = record_many(1)
    seal()
    with tenant(HIVE):
        Pending.objects.create(entry_id=entry_id, account_id=HIVE, leaf_hash=bytes(32))
    record_many(2, CHARLIES)
    report = seal()
    assert (report.entry_count, report.set_aside) == (2, frozenset({HIVE}))


def test_half_a_hash_cannot_wait() -> None:
    with pytest.raises(DatabaseError, match="check constraint"), tenant(HIVE):
        Pending.objects.create(entry_id=new_id(), account_id=HIVE, leaf_hash=bytes(31))


def test_a_head_put_back_to_yesterday_is_found() -> None:
    record_many(2)
    seal()
    with tenant(HIVE):
        yesterday = Head.objects.values("size", "root", "frontier", "note").get()
    record_many(2)
    seal()
    forge_head(**yesterday)
    record_many(1)
    assert seal().set_aside == frozenset({HIVE})


def test_a_forged_tree_of_the_same_size_is_not_built_upon() -> None:
    record_many(2)
    seal()
    forged = Frontier().extended([bytes(32)] * 2)
    forge_head(root=forged.root, frontier=forged.packed())
    record_many(1)
    assert seal().set_aside == frozenset({HIVE})


def test_a_tree_under_a_strangers_signature_is_not_built_upon() -> None:
    record_many(2)
    seal()
    stranger = Ed25519PrivateKey.generate()
    forged = Frontier().extended([bytes(32)] * 2)
    stated = checkpoints.Checkpoint(f"localhost/{HIVE}", 2, forged.root)
    note = checkpoints.sign(stated, stranger)
    forge_head(root=forged.root, frontier=forged.packed(), note=note)
    record_many(1)
    assert seal().set_aside == frozenset({HIVE})


def forge_head(**columns: Any) -> None:
    with as_role("owner"), connection.cursor() as cursor:
        cursor.execute("ALTER TABLE auditlog_head DISABLE TRIGGER ALL")
    with as_role("worker"):
        Head.objects.update(**columns)


def test_a_checkpoint_is_published_at_once_and_then_hourly(_as_worker: None) -> None:
    now = timezone.now()
    for minutes, published in ((0, 1), (30, 0), (61, 1), (62, 0)):
        record_many(1)
        seal()
        assert publication.publish_due(now=now + timedelta(minutes=minutes)) == published
    assert list(Checkpoint.objects.order_by("size").values_list("size", flat=True)) == [1, 3]


def test_nothing_new_is_not_published_again(_as_worker: None) -> None:
    record_many(1)
    seal()
    now = timezone.now()
    assert publication.publish_due(now=now) == 1
    assert publication.publish_due(now=now + timedelta(hours=2)) == 0
