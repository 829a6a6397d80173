"""Random single-bit changes anywhere in a stored log: each is found and named (G1).

The suite changes some dozens of places. `make tamper` changes 10,000 in a log of 100,000 entries.

Many changes are made at once, each in a row of its own, and one run of the verification must name
every one of them. That is no easier than one at a time: what is named for a row follows from that
row and from the leaves alone, and a change that only shows through another's would go unnamed.
"""

import json
import os
import random
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from ipaddress import IPv4Address
from itertools import chain
from typing import Any, NamedTuple
from uuid import UUID

import psycopg
import pytest
from django.db import DataError, IntegrityError, connection, transaction
from django.utils import timezone
from psycopg import sql
from psycopg.types.json import Jsonb

from auditlog import actions, entries, publication, verification
from queensmtp.actors import Target
from queensmtp.tenancy import tenant
from tests.factories.auditlog import HIVE, key_actor, seal
from tests.roles import as_role

pytestmark = pytest.mark.django_db

ENTRIES = int(os.environ.get("TAMPER_ENTRIES", "600"))
CHANGES = int(os.environ.get("TAMPER_CHANGES", "90"))
# The head is one row, so it is changed alone, and each change costs a whole verification.
HEAD_CHANGES = int(os.environ.get("TAMPER_HEAD_CHANGES", "4"))
CHECKPOINTS = 12
# Not every bit of a date, a JSON text or an id leads to what its column holds.
MOST_TRIES = 500

# Of an entry `ordinary_read` is left out here: one bit, which another test flips.
ENTRY = [
    *(
        "account_id",
        "id",
        "created_at",
        "version",
        "event",
        "outcome",
        "actor_type",
        "actor_id",
        "key_id",
    ),
    *("request_id", "target_type", "target_id", "labels", "count", "private_hash", "salt"),
    *("actor_label", "target_label", "ip", "user_agent", "client_request_id", "changes"),
]


class Change(NamedTuple):
    """One bit in one column of one row, and what must be named for it."""

    table: str
    where: dict[str, Any]
    column: str
    place: str


@pytest.fixture
def log() -> None:
    """A log that grew in steps, each of them published."""
    actor = key_actor(labels={"unit": "retail"})
    made = [
        entries.build(
            by=actor,
            event="api_key.created",
            target=Target("key", f"key-{number}", f"key number {number}"),
            changes={"number": number, "before": None, "after": ["é", True]},
        )
        for number in range(ENTRIES)
    ]
    step = ENTRIES // CHECKPOINTS
    for at in range(0, ENTRIES, step):
        with tenant(HIVE), psycopg.Cursor(connection.connection) as cursor:
            cursor.executemany(actions.RECORD, [one.params() for one in made[at : at + step]])
        while seal().entry_count:
            pass
        with as_role("worker"):
            publication.publish(account_id=HIVE, now=timezone.now() + timedelta(seconds=at))
    # Autovacuum sees nothing of an open transaction, and the planner would guess.
    with as_role("owner"), connection.cursor() as cursor:
        cursor.execute("ANALYZE auditlog_entry, auditlog_leaf, auditlog_tile")


def findings() -> set[str]:
    with tenant(HIVE):
        return {finding.place for finding in verification.verify(HIVE)}


def rows(query: str) -> list[Any]:
    with as_role("worker"), connection.cursor() as cursor:
        cursor.execute(query, [HIVE])
        return list(cursor.fetchall())


def changes_to_entries(draw: random.Random, count: int) -> Iterator[Change]:
    ids = [row[0] for row in rows("SELECT id FROM auditlog_entry WHERE account_id = %s")]
    for entry_id in draw.sample(ids, count):
        yield Change("auditlog_entry", {"id": entry_id}, draw.choice(ENTRY), f"entry {entry_id}")


def changes_to_leaves(draw: random.Random, count: int) -> Iterator[Change]:
    query = "SELECT leaf_index, entry_id FROM auditlog_leaf WHERE account_id = %s"
    for leaf_index, entry_id in draw.sample(rows(query), count):
        yield Change(
            "auditlog_leaf",
            {"leaf_index": leaf_index},
            draw.choice(["hash", "hash", "entry_id"]),
            f"entry {entry_id}",
        )


def changes_to_tiles(draw: random.Random, count: int) -> Iterator[Change]:
    tiles = rows("SELECT level, number FROM auditlog_tile WHERE account_id = %s")
    for level, number in draw.sample(tiles, min(count, len(tiles))):
        column = draw.choice(["hashes", "hashes", "hashes", "root"])
        where = {"level": level, "number": number}
        yield Change("auditlog_tile", where, column, f"tile {level}/{number}")


def changes_to_checkpoints(draw: random.Random, count: int) -> Iterator[Change]:
    sizes = rows("SELECT size FROM auditlog_checkpoint WHERE account_id = %s")
    for (size,) in draw.sample(sizes, min(count, len(sizes))):
        column = draw.choice(["root", "note", "note"])
        yield Change("auditlog_checkpoint", {"size": size}, column, f"checkpoint {size}")


def changes_to_the_head(draw: random.Random, count: int) -> Iterator[Change]:
    for _ in range(count):
        yield Change("auditlog_head", {}, draw.choice(["size", "root", "frontier", "note"]), "head")


def flip(draw: random.Random, change: Change) -> None:
    """Flip one random bit of a stored value, as a thief with the superuser's password would."""
    for _ in range(MOST_TRIES):
        with suppress(DataError, IntegrityError), transaction.atomic():
            _flip(draw, change)
            return
    raise AssertionError(f"the database takes no change of {change}")


def _flip(draw: random.Random, change: Change) -> None:
    conditions = {"account_id": HIVE, **change.where}
    where = sql.SQL(" AND ").join(
        sql.SQL("{} = {}").format(sql.Identifier(name), sql.Placeholder()) for name in conditions
    )
    if change.column == "salt" and draw.random() < 0.5:
        _take_salt(draw, change)
        return
    table, column = sql.Identifier(change.table), sql.Identifier(change.column)
    select = sql.SQL("SELECT {} FROM {} WHERE {}").format(column, table, where)
    update = sql.SQL("UPDATE {} SET {} = {} WHERE {}")
    with connection.cursor() as cursor:
        cursor.execute(select, list(conditions.values()))
        (value,) = cursor.fetchone()
        if value in (None, "") or value == {}:
            # There is no bit to flip in what is empty.
            _flip(draw, change._replace(column="event"))
            return
        cursor.execute(
            update.format(table, column, sql.Placeholder(), where),
            [flipped(draw, value), *conditions.values()],
        )
        assert cursor.rowcount == 1, change


def _take_salt(draw: random.Random, change: Change) -> None:
    """Without its salt, an entry has no commitment that could betray another label."""
    label = draw.choice(["actor_label", "target_label", "user_agent", "client_request_id"])
    statement = sql.SQL(
        "UPDATE auditlog_entry SET salt = NULL, {0} = {0} || 'x' WHERE account_id = %s AND id = %s"
    ).format(sql.Identifier(label))
    with connection.cursor() as cursor:
        cursor.execute(statement, [HIVE, change.where["id"]])
        assert cursor.rowcount == 1, change


def flipped(draw: random.Random, value: Any) -> Any:
    match value:
        case bytes() | memoryview():
            return flipped_bytes(draw, bytes(value))
        case str():
            return flipped_text(draw, value)
        case UUID():
            return UUID(bytes=flipped_bytes(draw, value.bytes))
        case int():
            return value ^ 1 << draw.randrange(10)
        case dict():
            return Jsonb(flipped_json(draw, value))
        case IPv4Address():
            return IPv4Address(flipped_bytes(draw, value.packed))
    return value + timedelta(microseconds=1 << draw.randrange(30))


def flipped_bytes(draw: random.Random, value: bytes) -> bytes:
    changed = bytearray(value)
    at = draw.randrange(len(changed))
    changed[at] ^= 1 << draw.randrange(8)
    return bytes(changed)


def flipped_text(draw: random.Random, text: str) -> str:
    """A bit of the UTF-8, such that Postgres still takes it."""
    flipping = lambda: flipped_bytes(draw, text.encode()).decode()  # noqa: E731 - drawn anew
    return str(again_until(flipping, ok=lambda found: "\x00" not in found))


def flipped_json(draw: random.Random, value: dict[str, Any]) -> Any:
    text = json.dumps(value, ensure_ascii=False)
    return again_until(
        lambda: json.loads(flipped_text(draw, text)),
        ok=lambda found: isinstance(found, dict) and found != value,
    )


def again_until(make: Callable[[], Any], *, ok: Callable[[Any], bool]) -> Any:
    while True:
        try:
            made = make()
        except ValueError:
            continue
        if ok(made):
            return made


def without_checks() -> list[str]:
    """A superuser takes away the constraints that would refuse a word which is none of ours."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT format('ALTER TABLE %s DROP CONSTRAINT %I', conrelid::regclass, conname)"
            " FROM pg_constraint WHERE contype = 'c' AND coninhcount = 0"
            " AND conrelid::regclass::text LIKE 'auditlog_%%'"
        )
        return [row[0] for row in cursor.fetchall()]


class _Undone(Exception):
    """Puts back what was changed."""


def unnamed(draw: random.Random, changes: list[Change]) -> list[Change]:
    """Make the changes, verify, put everything back; return what was not found by its name."""
    found: set[str] = set()
    with suppress(_Undone), transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SET ROLE NONE")
            cursor.execute("SET session_replication_role = replica")
            for statement in without_checks():
                cursor.execute(statement)
        for change in changes:
            flip(draw, change)
        with connection.cursor() as cursor:
            cursor.execute("SET session_replication_role = DEFAULT")
            cursor.execute("SET ROLE app")
        found = findings()
        raise _Undone
    return [change for change in changes if change.place not in found]


@pytest.mark.usefixtures("log")
def test_every_flipped_bit_is_found_and_named() -> None:
    seed = random.SystemRandom().randrange(2**32)
    draw = random.Random(seed)
    assert findings() == set()
    tiles = list(changes_to_tiles(draw, CHANGES // 14))
    stated = list(changes_to_checkpoints(draw, CHANGES // 8))
    leaves = list(changes_to_leaves(draw, CHANGES // 5))
    head = list(changes_to_the_head(draw, HEAD_CHANGES))
    rest = CHANGES - sum(map(len, (tiles, stated, leaves, head)))
    contents = list(changes_to_entries(draw, rest))

    rounds = [[*contents, *tiles, *stated], leaves, *([change] for change in head)]
    missed = list(chain.from_iterable(unnamed(draw, each) for each in rounds))

    made = sum(map(len, rounds))
    print(
        f"\n{ENTRIES:,} entries, {made:,} bits flipped (seed {seed}): {len(contents):,} in entries,"
        f" {len(leaves):,} in leaves, {len(tiles)} in tiles, {len(stated)} in checkpoints,"
        f" {len(head)} in the head; {made - len(missed):,} found and named"
    )
    assert made == CHANGES
    assert missed == [], f"seed {seed}"
    assert findings() == set()
