"""Gives each request its identity: request id, source address, and the headers that say so."""

import re
from collections.abc import Callable
from contextlib import suppress

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.http import HttpResponse

from queensmtp.actors import Origin
from queensmtp.client_address import client_address
from queensmtp.ids import new_id
from queensmtp.redaction import without_secrets
from queensmtp.requests import TracedRequest

USER_AGENT_LIMIT = 256
API_PREFIX = "/v1/"
SLASHES = re.compile("/{2,}")
PRINTABLE = re.compile(r"[\x21-\x7e]{1,128}")

GetResponse = Callable[[TracedRequest], HttpResponse]


class RequestContext:
    """Sets `request.origin`; answers with `X-Request-Id`."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: TracedRequest) -> HttpResponse:
        request.origin = origin_of(request)
        _straighten_path(request)
        _take_body(request)
        response = self.get_response(request)
        response["X-Request-Id"] = request.origin.request_id
        return response


def _straighten_path(request: TracedRequest) -> None:
    """Take a base URL with a slash at its end, and a path with one, as what they mean.

    Old clients send both; a redirect would turn their POST into a GET (wire contract 1.1, 1.2).
    """
    if request.path_info.startswith(API_PREFIX):
        straight = SLASHES.sub("/", request.path_info).rstrip("/")
        if straight != request.path_info:
            request.path_info = request.path = straight


def _take_body(request: TracedRequest) -> None:
    """Wait for the whole body before anybody asks who calls.

    A key or a session is judged when its request is complete: a body that trickles in must not
    act with rights that were read when it began, and were taken away since.
    """
    with suppress(RequestDataTooBig):  # Whoever reads it is told so, after the other gates.
        _ = request.body


def origin_of(request: TracedRequest) -> Origin:
    """Where a request came from. A client's own request id is kept beside ours."""
    address = client_address(
        peer=request.META.get("REMOTE_ADDR", ""),
        forwarded_for=request.META.get("HTTP_X_FORWARDED_FOR", ""),
        trusted=settings.TRUSTED_PROXIES,
    )
    theirs = request.META.get("HTTP_X_REQUEST_ID", "")
    return Origin(
        ip=str(address) if address else None,
        user_agent=without_secrets(request.META.get("HTTP_USER_AGENT", ""))[:USER_AGENT_LIMIT],
        request_id=str(new_id()),
        client_request_id=without_secrets(theirs) if PRINTABLE.fullmatch(theirs) else "",
    )
