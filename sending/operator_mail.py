"""Mail to postmaster and abuse, which every mail server must take (RFC 5321 4.5.1, RFC 2142).

It is handed to the operator while its sender waits, as an attachment, so that his server judges
our mail and not a stranger's. Nothing is kept here, and no sender is ever answered.
"""

import logging

from django.conf import settings
from django.core.mail import EmailMessage, get_connection

from queensmtp import measures, ratelimit
from queensmtp.ratelimit import Limit

NAMES = frozenset({"postmaster", "abuse"})
FORWARDED, DROPPED = "forwarded", "dropped"
METRIC = "queensmtp_operator_mails"
# The addresses are known to everybody; the operator's mailbox is not to be flooded through us.
LIMIT = Limit(requests=60, per_seconds=3_600, burst=20)
BUCKET = "operator-mail"
SMTP_SECONDS = 15

TAKEN = "250 2.0.0 Thank you"
LATER = "451 4.3.2 Too many at once; try again later"
NOT_FORWARDED = "451 4.3.0 It cannot be handed on right now; try again later"

logger = logging.getLogger(__name__)


def is_for_operator(address: str) -> bool:
    """At whatever host leads to us, and `<postmaster>` alone."""
    local, _, _ = address.partition("@")
    return local.lower() in NAMES


def take(address: str, sender: str, content: bytes) -> str:
    """The reply to the mail; a 250 means that it was handed on, or that nobody reads it."""
    if not settings.OPERATOR_ADDRESS:
        measures.add({(METRIC, DROPPED): 1})
        logger.warning("operator_mail_dropped", extra={"mend": "set OPERATOR_ADDRESS"})
        return TAKEN
    if not ratelimit.take(BUCKET, LIMIT).allowed:
        return LATER
    try:
        _forward(address, sender, content)
    except OSError:
        logger.exception("operator_mail_not_forwarded")
        return NOT_FORWARDED
    measures.add({(METRIC, FORWARDED): 1})
    return TAKEN


def _forward(address: str, sender: str, content: bytes) -> None:
    mail = EmailMessage(
        subject=f"Mail to {_shown(address)}",
        body=f"The attached mail came to {_shown(address)}, from {_shown(sender) or 'nobody'}.\n",
        to=[settings.OPERATOR_ADDRESS],
        headers={"Auto-Submitted": "auto-generated"},
        connection=get_connection(timeout=SMTP_SECONDS),
    )
    # As bytes, so that what a stranger wrote is neither parsed nor changed.
    mail.attach("message.eml", content, "application/octet-stream")
    mail.send()


def _shown(address: str) -> str:
    return "".join(char for char in address[:254] if char.isprintable())
