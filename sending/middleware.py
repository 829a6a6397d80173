"""A short way for the hot path: no session, no CSRF, no console."""

from collections.abc import Callable

from django.http import HttpResponse

from queensmtp.requests import TracedRequest
from sending.api import send_batch, send_email

SENDS = {"/v1/emails": send_email, "/v1/emails/batch": send_batch}


class SendShortcut:
    """Answers what sends before the rest of the middleware chain is entered."""

    def __init__(self, get_response: Callable[[TracedRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: TracedRequest) -> HttpResponse:
        send = SENDS.get(request.path_info) if request.method == "POST" else None
        return send(request) if send else self.get_response(request)
