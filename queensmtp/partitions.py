"""Weekly range partitions by UUIDv7 id, for tables that only grow.

A partition is a table of its own to Postgres: policies of the parent do not protect it when it
is read directly, so none is ever granted to anyone. There is no DEFAULT partition (it forbids
DETACH CONCURRENTLY); an id outside every partition is an error.
"""

from django.db import connection, migrations

WEEKS_BEHIND = 1
WEEKS_AHEAD = 8


def create(table: str, columns: str) -> migrations.RunSQL:
    """CREATE TABLE, partitioned by `id`; `columns` must declare `id uuid`."""
    return migrations.RunSQL(
        f"CREATE TABLE {table} ({columns}, PRIMARY KEY (id)) PARTITION BY RANGE (id)",
        f"DROP TABLE {table}",
    )


def fill() -> migrations.RunSQL:
    """Make the first partitions; comes after the table's indexes, keys and triggers."""
    return migrations.RunSQL(
        f"SELECT ensure_partitions(-{WEEKS_BEHIND}, {WEEKS_AHEAD})", migrations.RunSQL.noop
    )


def make_ahead() -> int:
    """Make what is missing of the coming weeks' partitions; how many were made."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT ensure_partitions(%s, %s)", [-WEEKS_BEHIND, WEEKS_AHEAD])
        return int(cursor.fetchone()[0])
