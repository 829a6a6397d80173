from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts import actions
from accounts.models import Account
from accounts.plans import Plan
from queensmtp.actors import system_actor
from queensmtp.tenancy import tenant


class Command(BaseCommand):
    help = "Put an account on another plan. Its audit log follows: more at once, less in 30 days."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("account_id", type=UUID)
        parser.add_argument("plan", choices=[plan.value for plan in Plan])

    def handle(self, *args: Any, account_id: UUID, plan: str, **options: Any) -> None:
        with tenant(account_id):
            account = Account.objects.filter(pk=account_id).first()
            if account is None:
                raise CommandError(f"There is no account {account_id}.")
            actions.change_plan(
                account=account, plan=Plan(plan), by=system_actor(account_id, "change_plan")
            )
        terms = account.terms
        self.stdout.write(
            f"{account.name} is on {terms.name}, which keeps {terms.audit_retention_days} days of "
            "the audit log."
        )
