"""Temporary tables come before all others in a search path, unless it names them."""

from django.db import connection

from queensmtp.ids import new_id
from tests.factories.cast import Cast
from tests.repository.test_row_level_security import rows

FORGERY = """
CREATE TEMP TABLE accounts_membership ON COMMIT DROP AS
SELECT %s::uuid AS id, 'owner' AS role, now() AS created_at, %s::uuid AS account_id,
       %s::uuid AS user_id;
GRANT SELECT ON accounts_membership TO lookup
"""


def test_no_temporary_table_makes_a_membership(cast: Cast) -> None:
    stranger = new_id()
    with connection.cursor() as cursor:
        cursor.execute(FORGERY, [new_id(), cast.hive.pk, stranger])

    assert rows("SELECT account_id FROM memberships_of(%s)", [stranger]) == []


def test_every_function_of_ours_looks_for_temporary_tables_last(db: None) -> None:
    found = rows(
        "SELECT proname::text, proconfig::text FROM pg_proc"
        " WHERE pronamespace = 'public'::regnamespace AND proconfig IS NOT NULL"
    )
    assert found
    assert [name for name, config in found if ", pg_temp" not in config] == []
