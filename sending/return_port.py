"""The bounce listener: takes mail for return paths of ours, and for nobody else.

It never sends anything, so no forged sender is ever written to (threats.md X8). A mail that is
no report, such as an automatic answer, is taken and forgotten.
"""

import logging
from collections.abc import Sequence
from concurrent.futures import Executor
from uuid import UUID

from django.conf import settings
from django.utils import timezone

from sending import feedback, reports, return_paths
from sending.database_threads import in_thread
from sending.mailrooms import Client, Envelope, LoggedIn

NOT_OURS = "550 5.1.1 That is no return path of a message of ours"
ONE_AT_A_TIME = "452 4.5.3 One return path a message; send the rest in another"
TAKEN = "250 2.0.0 Thank you"
NOTHING_NEW = "250 2.0.0 Nothing new"
NO_REPORT = "250 2.0.0 That is no report; it is not kept"

logger = logging.getLogger(__name__)


class ReturnMailroom:
    """Reports are read and recorded in the threads of `executor`."""

    needs_login = False

    def __init__(self, executor: Executor) -> None:
        self.executor = executor

    async def log_in(self, user: str, password: str, client: Client) -> LoggedIn | str:
        return "502 5.5.1 Nobody logs in here"

    async def refuse_sender(self, envelope: Envelope, client: Client) -> str | None:
        return None

    async def refuse_recipient(
        self, address: str, envelope: Envelope, client: Client
    ) -> str | None:
        if find_recipient(address) is None:
            return NOT_OURS
        return ONE_AT_A_TIME if envelope.recipients else None

    async def take(self, envelope: Envelope, content: bytes, client: Client) -> str:
        return await in_thread(self.executor, lambda: take(envelope.recipients, content))


def find_recipient(address: str) -> UUID | None:
    return return_paths.find_recipient(address, keys=settings.LINK_KEYS)


def take(addresses: Sequence[str], content: bytes) -> str:
    """Record what the report says of the recipient whose return path it came to."""
    recipient_id = find_recipient(addresses[0])
    report = reports.read(content)
    if report is None or recipient_id is None:
        return NO_REPORT
    is_new = feedback.take_report(report, recipient_id=recipient_id, now=timezone.now())
    logger.info("report_taken", extra={"kind": report.kind, "is_new": is_new})
    return TAKEN if is_new else NOTHING_NEW
