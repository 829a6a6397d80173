from typing import Any

from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from domains.models import Domain

SHOWN_AT_MOST = 20


def sending_domains(request: HttpRequest) -> dict[str, Any]:
    """The verified domains of the account, for pages of lower apps that show an example.

    The database is asked only by a template that uses it.
    """
    account = getattr(request, "account", None)
    return {"verified_domains": SimpleLazyObject(lambda: _names(account))}


def _names(account: Any) -> list[str]:
    if account is None:
        return []
    found = Domain.objects.filter(account=account).verified().order_by("verified_at")
    return list(found.values_list("name", flat=True)[:SHOWN_AT_MOST])
