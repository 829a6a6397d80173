"""A short way for the hot path: no session, no CSRF, no console."""

from collections.abc import Callable

from django.http import HttpResponse

from queensmtp.requests import TracedRequest
from sending.api import send_email

SEND_PATH = "/v1/emails"


class SendShortcut:
    """Answers `POST /v1/emails` before the rest of the middleware chain is entered."""

    def __init__(self, get_response: Callable[[TracedRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: TracedRequest) -> HttpResponse:
        if request.path_info == SEND_PATH and request.method == "POST":
            return send_email(request)
        return self.get_response(request)
