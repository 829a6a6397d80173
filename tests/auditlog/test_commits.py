"""What only shows when transactions really commit."""

import psycopg
from django.db import connection

from auditlog import actions, pruning, publication
from auditlog.models import Entry, Pending
from queensmtp.tenancy import PLATFORM_ACCOUNT_ID, tenant
from tests.factories.auditlog import HIVE, key_actor, record_many, seal
from tests.roles import as_role


def test_an_entry_alone_is_committed_and_leaves_nothing_set(transactional_db: None) -> None:
    actions.record_alone(by=key_actor(), event="message.read")
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('app.account_id', true)")
        assert cursor.fetchone()[0] == ""
        cursor.execute("SHOW synchronous_commit")
        assert cursor.fetchone()[0] == "on"
    with tenant(HIVE):
        assert Entry.objects.get().event == "message.read"
        assert Pending.objects.count() == 1


def test_two_sealers_one_winner(transactional_db: None) -> None:
    record_many(4)
    with another_session() as other:
        other.execute("SELECT pg_advisory_xact_lock(%s)", [publication.SEALER_LOCK])
        assert seal().is_busy
        with tenant(HIVE):
            assert Pending.objects.count() == 4
    report = seal()
    assert (report.is_busy, report.entry_count) == (False, 4)


def test_a_week_that_somebody_reads_is_dropped_later(transactional_db: None) -> None:
    """Whoever writes an entry waits behind a lock that waits: so it does not wait."""
    with as_role("owner"), connection.cursor() as cursor:
        cursor.execute(
            "DO $$ BEGIN EXECUTE format('CREATE TABLE auditlog_entry_read PARTITION OF"
            " auditlog_entry FOR VALUES FROM (%L) TO (%L)', partition_bound(now()::timestamp -"
            " interval '400 days'), partition_bound(now()::timestamp - interval '393 days'));"
            " END $$"
        )
    with another_session() as other:
        other.execute("SELECT count(*) FROM auditlog_entry")
        with as_role("worker"):
            assert pruning.drop_emptied_partitions() == 0
    with as_role("worker"):
        assert pruning.drop_emptied_partitions() == 1
        assert pruning.drop_emptied_partitions() == 0
    with tenant(PLATFORM_ACCOUNT_ID):
        assert Entry.objects.get().event == "audit_partition.dropped"


def another_session() -> psycopg.Connection[tuple[object, ...]]:
    parameters = connection.get_connection_params()
    return psycopg.connect(
        **{name: parameters[name] for name in ("dbname", "user", "host") if name in parameters}
    )
