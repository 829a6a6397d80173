"""Shows the destinations that were slowed down; pauses one for all accounts, or resumes it."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from queensmtp import addresses
from queensmtp.addresses import AddressRefused
from sending import destinations
from sending.models import Destination


class Command(BaseCommand):
    help = "List slowed destinations, or: destinations pause DOMAIN | destinations resume DOMAIN"

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("act", nargs="?", choices=["list", "pause", "resume"], default="list")
        parser.add_argument("domain", nargs="?")

    def handle(self, *args: Any, act: str, domain: str | None, **options: Any) -> None:
        if act == "list":
            self._list()
            return
        try:
            name = addresses.parse_domain(domain or "")
        except AddressRefused as refusal:
            raise CommandError(f"Name the destination's domain: {refusal}") from None
        change = destinations.pause if act == "pause" else destinations.resume
        change(name)
        self.stdout.write(f"{name}: {act}d for every account.")

    def _list(self) -> None:
        for row in Destination.objects.order_by("domain"):
            state = "paused" if row.is_paused else f"{row.allowed} at once"
            rest = f", rests until {row.resting_until:%H:%M:%S} UTC" if row.resting_until else ""
            self.stdout.write(f"{row.domain}  {state}{rest}  {row.reply}")
