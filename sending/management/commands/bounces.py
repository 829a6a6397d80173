import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from sending import serving, smtp_server
from sending.mailrooms import Limits, Port
from sending.return_port import ReturnMailroom

# Each thread holds a database connection.
THREADS = 2
# Some servers send the whole message back.
LIMITS = Limits(
    message_bytes=4 * 1024 * 1024,
    sessions=64,
    sessions_per_address=16,
    idle_seconds=30.0,
    content_seconds=120.0,
)

logger = logging.getLogger(__name__)


class Command(BaseCommand):
    help = "Run the bounce listener on base+26: takes bounces, complaints, mail to postmaster."
    requires_system_checks = []

    def handle(self, *args: Any, **options: Any) -> None:
        if not settings.OPERATOR_ADDRESS:
            logger.warning("Nobody reads mail to postmaster and abuse: set OPERATOR_ADDRESS.")
        asyncio.run(serve())


async def serve() -> None:
    """Until SIGTERM or SIGINT; what is being recorded by then is answered first."""
    stopped = serving.on_signals()
    has_tls = settings.TLS_CERT_FILE and settings.TLS_KEY_FILE
    tls = (
        smtp_server.tls_context(settings.TLS_CERT_FILE, settings.TLS_KEY_FILE) if has_tls else None
    )
    port = Port(settings.RETURN_PATH_HOST, LIMITS, tls=tls)
    with ThreadPoolExecutor(THREADS, thread_name_prefix="reports") as executor:
        listener = await smtp_server.listen(
            port,
            ReturnMailroom(executor),
            host=settings.BOUNCES_HOST,
            number=settings.PORT_BASE + 26,
        )
        await serving.until_told([listener], stopped)
