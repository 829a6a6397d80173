from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any
from uuid import UUID

from django.utils import timezone
from rest_framework.response import Response

from apikeys import actions, usage
from apikeys.audit import Event
from queensmtp.api import ApiView
from queensmtp.errors import FieldError, ValidationFailed, refuse_field
from queensmtp.requests import ApiRequest
from queensmtp.scopes import Scope

OUTCOMES = ("allowed", "refused", "failed")
DAYS, DAYS_MAXIMUM = 30, 366


class KeyUsage(ApiView):
    """GET /v1/keys/{id}/usage"""

    scope = Scope.KEYS_READ
    audit_events = {"GET": Event.READ}

    def get(self, request: ApiRequest, key_id: UUID) -> Response:
        row = actions.get(key_id)
        since, until = _days(request.query_params)
        known = usage.by_day(row.pk, since=since, until=until)
        days = [since + timedelta(days=one) for one in range((until - since).days + 1)]
        return Response(
            {
                "object": "key_usage",
                "key_id": str(row.pk),
                "data": [_day(day, known.get(day, {})) for day in days],
            }
        )


def _day(day: date, counts: Mapping[str, int]) -> dict[str, Any]:
    return {"date": day.isoformat(), **{name: counts.get(name, 0) for name in OUTCOMES}}


def _days(query: Mapping[str, Any]) -> tuple[date, date]:
    """The days asked for, both meant; the last thirty if none are. Days are UTC's."""
    if unknown := [name for name in query if name not in ("from", "to")]:
        message = "there is no such filter; use from and to."
        raise ValidationFailed(message, errors=[FieldError(unknown[0][:100], "unknown", message)])
    until = _day_of(query, "to") or timezone.now().date()
    since = _day_of(query, "from") or until - timedelta(days=DAYS - 1)
    if not 0 <= (until - since).days < DAYS_MAXIMUM:
        message = f"give a first day that is not after the last, and at most {DAYS_MAXIMUM} days."
        raise refuse_field("from", "out_of_range", message)
    return since, until


def _day_of(query: Mapping[str, Any], name: str) -> date | None:
    given = query.get(name)
    if given is None:
        return None
    try:
        # No other calendar day is near the end of Python's.
        found = date.fromisoformat(given)
        return found if 2000 <= found.year < 3000 else _refuse(name)
    except ValueError:
        return _refuse(name)


def _refuse(name: str) -> date:
    raise refuse_field(name, "invalid", "give a day such as 2026-11-26.")
