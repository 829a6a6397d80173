"""Tells admins who had data erased from the audit log, and where it is sent from now on.

A key may do both, and a developer may make such a key: neither should go unseen. The log's app lies
below this one and cannot call it, so what was done is looked for.
"""

from datetime import datetime, timedelta

from django.conf import settings
from django.urls import reverse

from accounts import notices
from accounts.models import Notice
from accounts.roles import Right
from auditlog.models import Erasure, Stream
from queensmtp.tenancy import tenant

ERASURE = "audit_erasure.requested"
STREAM = "audit_stream.created"
# Longer than any pause of the worker that looks.
LOOKED_BACK = timedelta(days=1)

ERASED = """\
{asker} asked to erase a person's data from your audit log. Event, time and proof of the entries \
stay; names and addresses in them are gone for ever.

You are told once a day of each who asks. All erasures: {page}
"""

SENT = """\
From now on, every sealed entry of your audit log is sent to {address}. If nobody of you set that \
up, remove the stream, and revoke the key that did it: the log names it.

{page}
"""


def tell_changed(*, now: datetime) -> int:
    """Tell of erasures, once for each asker and day, and of each new stream; return how many."""
    told = 0
    for erasure in Erasure.objects.filter(created_at__gt=now - LOOKED_BACK).order_by("id"):
        told += _tell_of_erasure(erasure)
    for stream in Stream.objects.filter(created_at__gt=now - LOOKED_BACK).order_by("id"):
        told += _tell_of_stream(stream)
    return told


def _tell_of_erasure(erasure: Erasure) -> bool:
    return _tell_once(
        erasure,
        kind=ERASURE,
        once=f"{erasure.asked_by_id} {erasure.created_at:%Y-%m-%d}",
        subject=f"{erasure.asked_by_label} had data erased from your audit log",
        text=ERASED.format(asker=erasure.asked_by_label, page=_address("audit_retention")),
    )


def _tell_of_stream(stream: Stream) -> bool:
    return _tell_once(
        stream,
        kind=STREAM,
        once=str(stream.pk),
        subject="Your audit log is sent to a new place",
        text=SENT.format(address=stream.shown_address, page=_address("audit_streams")),
    )


def _tell_once(done: Erasure | Stream, *, kind: str, once: str, subject: str, text: str) -> bool:
    with tenant(done.account_id):
        if Notice.objects.filter(account_id=done.account_id, kind=kind, once=once).exists():
            return False
        notices.tell(
            account_id=done.account_id,
            to=Right.ACCOUNT_WRITE,
            kind=kind,
            subject=subject,
            text=text,
            once=once,
        )
    return True


def _address(page: str) -> str:
    return f"{settings.CONSOLE_URL}{reverse(page)}"
