from typing import Any

from django.conf import settings
from rest_framework.response import Response

from accounts.models import Account
from domains.models import Domain
from queensmtp.api import ApiView
from queensmtp.requests import ApiRequest
from queensmtp.scopes import Scope
from sending import gates, usage
from sending.audit import Event
from sending.usage import Use


class Usage(ApiView):
    """GET /v1/usage (wire contract 8): quotas and what is used of them."""

    scope = Scope.REPORTS_READ
    audit_events = {"GET": Event.USAGE_READ}

    def get(self, request: ApiRequest) -> Response:
        account = Account.objects.get(pk=request.actor.tenant_id)
        day, month = usage.of_account(account)
        rate = gates.limit_of(request.key)
        return Response(
            {
                "object": "usage",
                "emails": {"daily": _emails(day), "monthly": _emails(month)},
                "domains": {
                    "used": Domain.objects.standing().count(),
                    "limit": settings.DOMAINS_MAX,
                },
                "rate_limit": {"limit": rate.requests, "duration": f"{rate.per_seconds}s"},
            }
        )


def _emails(use: Use) -> dict[str, Any]:
    return {
        "used": use.used,
        "limit": use.allowed,
        "sent": use.used,
        "received": 0,
        "resets_at": use.resets_at.isoformat(),
    }
