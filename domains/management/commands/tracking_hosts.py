from typing import Any

from django.core.management.base import BaseCommand

from domains.models import Domain


class Command(BaseCommand):
    help = (
        "Print the tracking hosts of all accounts that DNS leads to us, one a line: those that "
        "need a certificate. Run it as a worker (QUEENSMTP_PROCESS=worker)."
    )
    requires_system_checks = []

    def handle(self, *args: Any, **options: Any) -> None:
        named = Domain.objects.standing().exclude(tracking_subdomain="").order_by("name")
        for domain in named.iterator():
            if domain.own_tracking_host:
                self.stdout.write(domain.own_tracking_host)
