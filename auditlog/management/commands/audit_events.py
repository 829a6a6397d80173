"""Writes docs/audit-events.md: every event that any app records, with its sentence."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from auditlog.audit import documented


class Command(BaseCommand):
    help = "Write docs/audit-events.md from the register of events."

    def handle(self, *args: Any, **options: Any) -> None:
        path = settings.BASE_DIR / "docs" / "audit-events.md"
        path.write_text(documented())
        self.stdout.write(f"{path} is written.")
