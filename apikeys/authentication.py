from typing import cast

from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request

from apikeys import gate
from apikeys.policy import KeyRecord
from queensmtp.errors import MalformedRequest
from queensmtp.requests import ApiRequest, TracedRequest


class ApiKeyAuthentication(BaseAuthentication):
    """DRF's door to the gate. The principal is on the Django request: `key` and `actor`."""

    def authenticate(self, request: Request) -> tuple[None, KeyRecord]:
        return None, authenticate(cast(ApiRequest, request)._request)

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="QueenSMTP"'


def authenticate(request: TracedRequest) -> KeyRecord:
    """Set `request.key` and `request.actor`, or raise; the true reason is kept for the audit."""
    header = request.META.get("HTTP_AUTHORIZATION")
    if header is not None and "," in header:
        raise MalformedRequest("Send one `Authorization` header.")
    presented = gate.present_header(header, origin=request.origin)
    refusal = presented.refusal
    if presented.actor and (refusal is None or refusal.names_real_key):
        request.actor = presented.actor
    if refusal is not None:
        request.refusal_reason = refusal.reason
        raise refusal.error
    assert presented.record is not None
    request.key = presented.record
    return presented.record
