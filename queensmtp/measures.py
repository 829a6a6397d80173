"""The numbers behind `/metrics`, kept in Postgres: one small table that belongs to no tenant.

Workers write it: they count what they did, and measure what stands in tables that the web
process can only see one tenant of. A scrape reads these few rows and nothing else.
"""

import time
from collections.abc import Callable, Iterable

from django.db import connection, transaction

from queensmtp.metrics import MEASURED_AT, Values

# A count beyond this says "very many", and costs no more.
COUNTED_AT_MOST = 100_000
PATIENCE = "5s"

# In one order, so that two workers never wait for one another in a circle.
WRITE = """
INSERT INTO queensmtp_measure AS kept (name, label, value)
SELECT name, label, value FROM unnest(%s::text[], %s::text[], %s::float8[])
    AS given (name, label, value) ORDER BY name, label
ON CONFLICT (name, label) DO UPDATE SET value = {value}
"""
ADD = WRITE.format(value="kept.value + EXCLUDED.value")
PUT = WRITE.format(value="EXCLUDED.value")


def add(counted: Values) -> None:
    """Count on (role worker)."""
    _write(ADD, counted)


@transaction.atomic
def take(measurements: Iterable[Callable[[], Values]]) -> None:
    """Measure, and replace what was measured before (role worker); all of it or nothing."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('statement_timeout', %s, true)", [PATIENCE])
    found: dict[tuple[str, str], float] = {(MEASURED_AT, ""): time.time()}
    for measure in measurements:
        found.update(measure())
    _write(PUT, found)


def read() -> Values:
    """All of them."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT name, label, value FROM queensmtp_measure")
        return {(name, label): value for name, label, value in cursor.fetchall()}


def _write(statement: str, values: Values) -> None:
    names = [name for name, _ in values]
    labels = [label for _, label in values]
    with connection.cursor() as cursor:
        cursor.execute(statement, [names, labels, [float(one) for one in values.values()]])
