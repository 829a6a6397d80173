import os
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from webhooks import demo_receiver
from webhooks.demo_receiver import DemoReceiver

HOST = "127.0.0.1"


class Command(BaseCommand):
    help = "Run the demo's webhook receiver: HTTPS on loopback, verifies what it is sent."
    requires_system_checks = []

    def handle(self, *args: Any, **options: Any) -> None:
        if not (settings.TLS_CERT_FILE and settings.TLS_KEY_FILE):
            raise CommandError("Set TLS_CERT_FILE and TLS_KEY_FILE: the receiver speaks only TLS.")
        receiver = DemoReceiver(
            (HOST, settings.PORT_BASE + 444),
            tls=demo_receiver.tls_context(settings.TLS_CERT_FILE, settings.TLS_KEY_FILE),
            secret_file=_path("DEMO_WEBHOOK_SECRET_FILE"),
            log=_path("DEMO_WEBHOOK_LOG"),
        )
        demo_receiver.serve_until_stopped(receiver)


def _path(name: str) -> Path:
    value = os.environ.get(name)
    if not value:
        raise CommandError(f"Set {name} to the path of a file; `make up` does.")
    return Path(value)
