"""One entry for each API request that names a real key, whatever became of it."""

import logging
from collections.abc import Callable
from typing import Any

from django.db import OperationalError
from django.http import HttpResponse

from auditlog import actions, recording
from auditlog.audit import Event
from queensmtp.api import error_response
from queensmtp.errors import Unavailable
from queensmtp.requests import TracedRequest

API_PREFIX = "/v1/"

logger = logging.getLogger(__name__)

GetResponse = Callable[[TracedRequest], HttpResponse]


class RequestAudit:
    """Records what no action recorded: reads that were answered, and requests that were refused.

    When the entry cannot be written there is no answer either: an unrecorded read must not happen.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: TracedRequest) -> HttpResponse:
        if not request.path.startswith(API_PREFIX):
            return self.get_response(request)
        with recording.watched() as recorded:
            response = self.get_response(request)
        if _needs_entry(request, response, recorded):
            try:
                _record(request, response)
            except OperationalError:
                logger.exception("database_failed_an_entry")
                return error_response(request, Unavailable())
        return response


def _needs_entry(request: TracedRequest, response: HttpResponse, recorded: list[str]) -> bool:
    actor = getattr(request, "actor", None)
    if actor is None or actor.type != "key" or getattr(request, "audit_recorded", False):
        return False
    # What an action recorded in a request that failed was rolled back with it.
    return response.status_code >= 400 or not recorded


def _record(request: TracedRequest, response: HttpResponse) -> None:
    actions.record_alone(
        by=request.actor,
        event=getattr(request, "audit_event", None) or Event.REQUEST_MADE,
        target=getattr(request, "audit_target", None),
        outcome=_outcome(response.status_code),
        changes=_reason(request, response),
    )


def _outcome(status: int) -> str:
    if status < 400:
        return "allowed"
    return "refused" if status < 500 else "failed"


def _reason(request: TracedRequest, response: HttpResponse) -> dict[str, Any]:
    """Say why a request was refused; the caller may have been told less."""
    if response.status_code < 400:
        return {}
    name = getattr(request, "error_name", "")
    true_reason = getattr(request, "refusal_reason", "") or name
    return {"reason": true_reason, "name": name, "status": response.status_code}
