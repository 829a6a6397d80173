from getpass import getpass
from typing import Any

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction

from accounts import actions
from accounts.models import User
from accounts.plans import Plan
from queensmtp.actors import system_actor


class Command(BaseCommand):
    help = "Create an account and its first owner. Nobody can sign up by themselves."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", help="the account's name")
        parser.add_argument("--owner", required=True, help="the owner's e-mail address")
        parser.add_argument("--plan", choices=[plan.value for plan in Plan], default="community")

    @transaction.atomic
    def handle(self, *args: Any, **options: Any) -> None:
        email = options["owner"].strip().lower()
        owner = User.objects.filter(email=email).first() or self._new_person(email)
        account = actions.create_account(
            name=options["name"],
            owner=owner,
            plan=Plan(options["plan"]),
            by=system_actor(None, "create_account"),
        )
        self.stdout.write(f"Created {account.name} ({account.pk}), owned by {owner.email}.")

    def _new_person(self, email: str) -> User:
        person = User(email=email)
        password = getpass(f"Password for {email} (at least 15 characters): ")
        try:
            person.clean_fields(exclude=["password"])
            validate_password(password, person)
        except ValidationError as refused:
            raise CommandError(" ".join(refused.messages)) from None
        return User.objects.create_user(email, password)
