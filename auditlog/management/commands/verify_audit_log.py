from argparse import ArgumentParser
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError

from auditlog import verification
from auditlog.models import Head
from queensmtp.tenancy import tenant


class Command(BaseCommand):
    help = "Check an account's stored audit log against its tree and its signed checkpoints."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("account_id", type=UUID)

    def handle(self, *args: Any, account_id: UUID, **options: Any) -> None:
        with tenant(account_id):
            findings = verification.verify(account_id)
            erased = verification.count_erased(account_id)
            head = Head.objects.filter(account_id=account_id).first()
        for finding in findings:
            self.stderr.write(str(finding))
        if findings:
            raise CommandError(f"{len(findings)} things are not as they were signed.")
        size, root = (head.size, bytes(head.root).hex()) if head else (0, "of nothing")
        self.stdout.write(f"{size} leaves, root {root}: as signed.")
        self.stdout.write(f"{erased} of the entries were erased of personal data.")
