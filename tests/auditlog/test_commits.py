"""What only shows when transactions really commit."""

import psycopg
from django.db import connection

from auditlog import actions, publication
from auditlog.models import Entry, Pending
from queensmtp.tenancy import tenant
from tests.factories.auditlog import HIVE, key_actor, record_many, seal


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


def another_session() -> psycopg.Connection[tuple[object, ...]]:
    parameters = connection.get_connection_params()
    return psycopg.connect(
        **{name: parameters[name] for name in ("dbname", "user", "host") if name in parameters}
    )
