"""The bounce listener: takes mail for return paths, for the feedback address and the operator.

It answers no mail, so no forged sender is ever written to (threats.md X8). A mail that is no
report, such as an automatic answer, is taken and forgotten.
"""

import logging
from collections.abc import Sequence
from concurrent.futures import Executor
from uuid import UUID

from django.conf import settings
from django.utils import timezone

from queensmtp import measures
from sending import complaints, feedback, operator_mail, plain_bounces, reports, return_paths
from sending.database_threads import in_thread
from sending.mailrooms import Client, Envelope, LoggedIn
from sending.reports import Report

NOT_OURS = "550 5.1.1 That is no return path of a message of ours"
ONE_AT_A_TIME = "452 4.5.3 One address a message; send the rest in another"
TAKEN = "250 2.0.0 Thank you"
NOTHING_NEW = "250 2.0.0 Nothing new"
NO_REPORT = "250 2.0.0 That is no report; it is not kept"

METRIC, NOTHING = "queensmtp_returned_mails", "nothing"

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
        is_known = (
            _is_feedback_address(address)
            or operator_mail.is_for_operator(address)
            or find_recipient(address) is not None
        )
        if not is_known:
            return NOT_OURS
        return ONE_AT_A_TIME if envelope.recipients else None

    async def take(self, envelope: Envelope, content: bytes, client: Client) -> str:
        return await in_thread(
            self.executor, lambda: take(envelope.recipients, content, sender=envelope.sender)
        )


def find_recipient(address: str) -> UUID | None:
    return return_paths.find_recipient(address, keys=settings.LINK_KEYS)


def take(addresses: Sequence[str], content: bytes, *, sender: str = "") -> str:
    """Record what a mail says, by the address that it came to."""
    (address,) = addresses
    if operator_mail.is_for_operator(address):
        return operator_mail.take(address, sender, content)
    if _is_feedback_address(address):
        return _take_complaint(content, sender)
    return _take_return(find_recipient(address), content, sender)


def _is_feedback_address(address: str) -> bool:
    return address.lower() == settings.FEEDBACK_ADDRESS


def _take_return(recipient_id: UUID | None, content: bytes, sender: str) -> str:
    """A return path says whom it is about, and the mail says only what happened."""
    mail = reports.opened(content)
    if mail is None or recipient_id is None:
        return _record(None)
    part = reports.formal_part(mail)
    report = reports.read(part) if part else plain_bounces.read(mail, sender=sender)
    return _record(report, recipient_id)


def _take_complaint(content: bytes, sender: str) -> str:
    """The address is everybody's: a token in the message that came back says whom it is about."""
    mail = reports.opened(content)
    found = complaints.read(mail, sender=sender, keys=settings.LINK_KEYS) if mail else None
    return _record(found.report, found.recipient_id) if found else _record(None)


def _record(report: Report | None, recipient_id: UUID | None = None) -> str:
    reply = NO_REPORT
    if report is not None and recipient_id is not None:
        is_new = feedback.take_report(report, recipient_id=recipient_id, now=timezone.now())
        logger.info("report_taken", extra={"kind": report.kind, "is_new": is_new})
        reply = TAKEN if is_new else NOTHING_NEW
    measures.add({(METRIC, report.kind if report else NOTHING): 1})
    return reply
