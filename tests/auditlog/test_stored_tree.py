"""Hashes of the tree are read by index, however large the log is."""

import pytest
from django.db import connection

from auditlog import stored_tree
from auditlog.stored_tree import LEAVES, Wanted
from auditlog.tiles import WIDTH, Span
from queensmtp.tenancy import tenant
from tests.factories.auditlog import HIVE, leave_waiting, seal
from tests.roles import as_role

pytestmark = pytest.mark.django_db

# One leaf is missing to a tile: the right edge is eight spans, as many as it can be.
SIZE = 32 * WIDTH - 1


@pytest.fixture(autouse=True)
def log() -> None:
    """So many leaves that to read all of them is no way, and Postgres knows it."""
    leave_waiting(SIZE)
    seal()
    with as_role("owner"), connection.cursor() as cursor:
        cursor.execute("ANALYZE auditlog_leaf, auditlog_tile")


def test_the_right_edge_is_read_without_the_rest() -> None:
    firsts = [SIZE + 1 - 2 * width for width in (128, 64, 32, 16, 8, 4, 2, 1)]
    pasts = [*firsts[1:], SIZE]
    with tenant(HIVE), connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN {LEAVES}", [[HIVE] * 8, firsts, pasts])
        plan = "\n".join(line for (line,) in cursor.fetchall())
    # The limit is what keeps Postgres to the index when the log is a thousand times as long.
    assert "auditlog_leaf_pkey" in plan and "Limit" in plan, plan


def test_a_span_is_read_whole() -> None:
    full = SIZE // WIDTH
    spans = [Span(0, WIDTH, 2 * WIDTH), Span(0, full * WIDTH, SIZE), Span(1, 0, full)]
    with tenant(HIVE):
        found = stored_tree.read(Wanted(HIVE, SIZE, span) for span in spans)
    lengths = [len(found[Wanted(HIVE, SIZE, span)]) for span in spans]
    assert lengths == [WIDTH, SIZE % WIDTH, full]
