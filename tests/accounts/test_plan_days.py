"""The audit log keeps entries for as long as the account's plan says, whatever changed the plan."""

from concurrent.futures import ThreadPoolExecutor
from io import StringIO

import pytest
from django.core import mail
from django.core.management import CommandError, call_command
from django.db import connection

from accounts import notices, plan_days
from accounts.models import Account, Notice
from accounts.plans import Plan
from auditlog import retention
from auditlog.models import Entry
from queensmtp.ids import new_id
from queensmtp.tenancy import tenant
from tests.factories.cast import Cast
from tests.roles import as_role

pytestmark = pytest.mark.django_db


def carry_over() -> int:
    with as_role("worker"):
        return plan_days.carry_over()


def change_plan(account: Account, plan: Plan) -> None:
    call_command("change_plan", str(account.pk), plan.value, stdout=StringIO())


def days(account: Account) -> int:
    with tenant(account.pk):
        return retention.days_of(account.pk)


def told(account: Account) -> list[str]:
    with tenant(account.pk):
        found = Entry.objects.filter(event__startswith="audit_retention.").order_by("id")
        return list(found.values_list("event", flat=True))


def test_a_plan_is_changed_with_an_entry_and_twice_changes_nothing(cast: Cast) -> None:
    out = StringIO()
    for _ in range(2):
        call_command("change_plan", str(cast.hive.pk), "enterprise", stdout=out)
    assert "Hive is on Enterprise, which keeps 365 days of the audit log." in out.getvalue()
    with tenant(cast.hive.pk):
        entry = Entry.objects.get(event="account.plan_changed")
        assert Account.objects.get(pk=cast.hive.pk).plan == Plan.ENTERPRISE
    assert entry.changes == {"plan": {"before": "community", "after": "enterprise"}}
    with pytest.raises(CommandError, match="There is no account"):
        call_command("change_plan", str(new_id()), "team")


def test_whatever_changes_a_plan_the_log_follows(cast: Cast) -> None:
    with tenant(cast.hive.pk):
        Account.objects.filter(pk=cast.hive.pk).update(plan=Plan.ENTERPRISE.value)
    assert (carry_over(), days(cast.hive)) == (1, 365)


def test_a_new_account_needs_nothing_carried_over(cast: Cast) -> None:
    assert carry_over() == 0
    assert days(cast.hive) == 90


def test_a_higher_plan_holds_within_a_run_and_twice_changes_nothing(cast: Cast) -> None:
    change_plan(cast.hive, Plan.ENTERPRISE)
    assert [carry_over(), carry_over()] == [1, 0]
    assert (days(cast.hive), days(cast.wasp)) == (365, 90)
    assert told(cast.hive) == ["audit_retention.raised"]


def test_a_lower_plan_is_announced_and_the_members_are_told_once(cast: Cast) -> None:
    change_plan(cast.hive, Plan.ENTERPRISE)
    carry_over()
    change_plan(cast.hive, Plan.TEAM)
    assert [carry_over(), carry_over()] == [1, 0]
    assert days(cast.hive) == 365
    with as_role("worker"):
        notices.send_due()
    assert {message.to[0] for message in mail.outbox} == {"alice@alice.example", "bob@bob.example"}
    message = mail.outbox[0]
    assert message.subject == "The audit log of Hive will be kept for 90 days"
    assert "90 days instead of 365" in message.body
    assert "/console/audit-log/retention" in message.body
    change_plan(cast.hive, Plan.ENTERPRISE)
    assert [carry_over(), carry_over()] == [1, 0]
    assert told(cast.hive) == [
        "audit_retention.raised",
        "audit_retention.fall_announced",
        "audit_retention.fall_withdrawn",
    ]


def test_who_chose_more_days_than_either_plan_gives_is_not_alarmed(cast: Cast) -> None:
    change_plan(cast.hive, Plan.ENTERPRISE)
    carry_over()
    with tenant(cast.hive.pk):
        retention.choose_days(by=cast.alice.actor, days=500)
    change_plan(cast.hive, Plan.COMMUNITY)
    assert carry_over() == 1
    with tenant(cast.hive.pk):
        assert not Notice.objects.exists()


def test_an_account_without_a_row_gets_one(cast: Cast) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET ROLE NONE")
        cursor.execute("DELETE FROM auditlog_retention")
        cursor.execute("SET ROLE app")
    assert days(cast.hive) == 365
    change_plan(cast.wasp, Plan.ENTERPRISE)
    carry_over()
    assert carry_over() == 0
    assert told(cast.hive) == ["audit_retention.fall_announced"]
    assert told(cast.wasp) == []


@pytest.mark.django_db(transaction=True)
def test_two_workers_one_winner(cast: Cast) -> None:
    change_plan(cast.hive, Plan.ENTERPRISE)

    def carry() -> int:
        try:
            return carry_over()
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as pool:
        counts = [future.result() for future in [pool.submit(carry) for _ in range(2)]]
    assert sum(counts) == 1
    assert told(cast.hive) == ["audit_retention.raised"]


def test_another_account_is_untouched(cast: Cast) -> None:
    change_plan(cast.wasp, Plan.ENTERPRISE)
    carry_over()
    assert told(cast.hive) == []
