import asyncio
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from sending import serving, smtp_server
from sending.local_inbox import InboxMailroom, Maildir
from sending.mailrooms import Limits, Port

HOST = "127.0.0.1"
NAME = "localhost"


class Command(BaseCommand):
    help = "Run the local inbox: an SMTP server with STARTTLS that keeps a Maildir."
    requires_system_checks = []

    def handle(self, *args: Any, **options: Any) -> None:
        asyncio.run(serve())


async def serve() -> None:
    """Until SIGTERM or SIGINT; what has been promised by then is on disk."""
    limits = Limits(settings.MESSAGE_MAX_BYTES * 2, sessions_per_address=1_000)
    tls = smtp_server.tls_context(settings.TLS_CERT_FILE, settings.TLS_KEY_FILE)
    port = Port(NAME, limits, tls=tls)
    mailroom = InboxMailroom(Maildir(settings.INBOX_DIR), name=NAME)
    stopped = serving.on_signals()
    listener = await smtp_server.listen(port, mailroom, host=HOST, number=settings.PORT_BASE + 25)
    await serving.until_told([listener], stopped)
