import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from sending import serving, smtp_server
from sending.mailrooms import Limits, Port
from sending.smtp_server import Listener
from sending.submission_port import SubmissionMailroom

# Each thread holds a database connection.
THREADS = 8
# To, cc and bcc are all recipients here, and each may be full.
RECIPIENT_FIELDS = 3


class Command(BaseCommand):
    help = "Run SMTP submission: implicit TLS on base+465, STARTTLS on base+587."
    requires_system_checks = []

    def handle(self, *args: Any, **options: Any) -> None:
        asyncio.run(serve())


async def serve() -> None:
    """Until SIGTERM or SIGINT; a message that is being taken is answered first."""
    stopped = serving.on_signals()
    with ThreadPoolExecutor(THREADS, thread_name_prefix="submission") as executor:
        listeners = await listen(SubmissionMailroom(executor))
        await serving.until_told(listeners, stopped)


async def listen(mailroom: SubmissionMailroom) -> list[Listener]:
    """The ports that the settings turn on."""
    limits = Limits(
        settings.MESSAGE_MAX_BYTES, recipients=settings.RECIPIENTS_MAX * RECIPIENT_FIELDS
    )
    tls = smtp_server.tls_context(settings.TLS_CERT_FILE, settings.TLS_KEY_FILE)
    name, host = settings.HELO_NAME, settings.SMTP_HOST
    implicit = Port(name, limits, tls=tls, is_implicit_tls=True)
    ports = [(implicit, settings.PORT_BASE + 465)]
    if settings.SMTP_STARTTLS:
        ports.append((Port(name, limits, tls=tls, needs_tls=True), settings.PORT_BASE + 587))
    return [
        await smtp_server.listen(port, mailroom, host=host, number=number) for port, number in ports
    ]
