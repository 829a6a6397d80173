"""Tells members when an export of the audit log is finished.

The log's app lies below this one and cannot call it, so finished exports are looked for.
"""

from datetime import datetime, timedelta

from django.conf import settings
from django.urls import reverse

from accounts import notices
from accounts.models import Notice
from accounts.roles import Right
from auditlog.models import Export
from queensmtp.tenancy import tenant

KIND = "audit_export.finished"
# Longer than any pause of the worker that looks.
LOOKED_BACK = timedelta(days=1)


def tell_finished(*, now: datetime) -> int:
    """Tell of each export that became ready or failed, once; return how many were told."""
    finished = Export.objects.filter(
        status__in=["ready", "failed"], finished_at__gt=now - LOOKED_BACK
    )
    exports = {str(export.pk): export for export in finished}
    told = Notice.objects.filter(kind=KIND, once__in=exports).values_list("once", flat=True)
    waiting = [exports[id] for id in exports.keys() - set(told)]
    for export in waiting:
        _tell(export)
    return len(waiting)


def _tell(export: Export) -> None:
    page = f"{settings.CONSOLE_URL}{reverse('audit_exports')}"
    if export.has_file:
        subject = "Your export of the audit log is ready"
        text = (
            f"The export of {export.rows_done} entries that {export.asked_by_label} asked for is "
            f"ready.\n\n{page}\n\nSHA-256: {export.sha256}\n"
            f"The file is kept until {export.expires_at:%Y-%m-%d %H:%M} UTC.\n"
        )
    else:
        subject = "An export of the audit log failed"
        text = (
            f"The export that {export.asked_by_label} asked for failed: {export.problem}\n\n"
            f"Run it again at {page}\n"
        )
    with tenant(export.account_id):
        notices.tell(
            account_id=export.account_id,
            to=Right.AUDIT_EXPORT,
            kind=KIND,
            subject=subject,
            text=text,
            once=str(export.pk),
        )
