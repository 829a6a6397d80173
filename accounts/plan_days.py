"""Carries over to the audit log how many days an account's plan keeps entries.

The log's app lies below this one and knows no plans, so the two are compared here. Whatever
changed the plan, the log follows within a minute.
"""

from collections.abc import Iterator

from django.conf import settings
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.db.models.functions import Now
from django.urls import reverse

from accounts import notices
from accounts.models import Account
from accounts.plans import TERMS
from accounts.roles import Right
from auditlog import retention
from auditlog.models import Retention
from auditlog.retention import Step
from queensmtp.tenancy import tenant

KIND = "audit_retention.fall_announced"

TEXT = """\
By its new plan, {account} keeps entries of the audit log for {days} days instead of {before}. \
Until {falls_at:%Y-%m-%d %H:%M} UTC nothing changes; from then on, older entries lose their \
contents for ever. Proofs and receipts stay valid.

To keep them for longer, choose more days at {page}, or export them before.
"""


def carry_over() -> int:
    """Let each log follow its account's plan; return how many changed."""
    return sum(_carry(account) for account in _differing())


def _differing() -> Iterator[Account]:
    for plan, terms in TERMS.items():
        yield from _not_following(plan, terms.audit_retention_days)


def _not_following(plan: str, days: int) -> QuerySet[Account]:
    follows = Q(plan_days=days, falls_to=None) | Q(falls_to=days, falls_at__gt=Now())
    rows = Retention.objects.filter(follows, account_id=OuterRef("pk"))
    return Account.objects.filter(~Exists(rows), plan=plan)


def _carry(account: Account) -> bool:
    with tenant(account.pk):
        days = account.terms.audit_retention_days
        step = retention.follow_plan(account_id=account.pk, days=days)
        if step is Step.ANNOUNCED:
            _tell_of_fall(account, retention.find(account.pk))
    return step is not Step.NOTHING


def _tell_of_fall(account: Account, kept: Retention) -> None:
    if kept.days_after_fall == kept.days:
        # More was chosen than either plan gives.
        return
    notices.tell(
        account_id=account.pk,
        to=Right.AUDIT_READ,
        kind=KIND,
        subject=f"The audit log of {account.name} will be kept for {kept.days_after_fall} days",
        text=TEXT.format(
            account=account.name,
            days=kept.days_after_fall,
            before=kept.days,
            falls_at=kept.falls_at,
            page=f"{settings.CONSOLE_URL}{reverse('audit_retention')}",
        ),
    )
