"""What our middleware and authentication put on a request, with its types."""

from typing import Any

from django.http import HttpRequest
from rest_framework.request import Request

from queensmtp.actors import Actor, Origin, Target


class TracedRequest(HttpRequest):
    """A Django request after `queensmtp.middleware.RequestContext`."""

    origin: Origin
    # Set once a real key was named, even if it is then refused.
    actor: Actor
    # The policy's record of the key (apikeys.policy.KeyRecord).
    key: Any
    # Read by auditlog.middleware.RequestAudit.
    audit_event: str | None
    audit_target: Target
    audit_recorded: bool
    error_name: str
    refusal_reason: str


class ApiRequest(Request):
    """DRF's request; what it lacks it takes from the Django request within."""

    _request: TracedRequest
    actor: Actor
    key: Any
