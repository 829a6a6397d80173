from uuid import UUID

from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from auditlog import receipts
from auditlog.models import Entry
from queensmtp.console import SeatedRequest, requires_right


@require_safe
@requires_right("audit:read")
def audit_receipt(request: SeatedRequest, entry_id: UUID) -> HttpResponse:
    """The file, or for a second or two a page that says what it waits for."""
    account_id = request.actor.tenant_id
    entry = Entry.objects.of_account(account_id).filter(id=entry_id).first()
    if entry is None:
        raise Http404("There is no such entry.")
    receipt = receipts.find_receipt(account_id, entry)
    if receipt is None:
        context = {"section": "audit", "entry": entry}
        return render(request, "auditlog/receipt_pending.html", context, status=202)
    return receipts.attachment(entry, receipt)
