"""What is answered before sessions, CSRF and the console: what sends, and links of mails."""

from collections.abc import Callable

from django.http import Http404, HttpResponse
from django.urls import Resolver404, resolve

from queensmtp.requests import TracedRequest
from sending import link_hosts
from sending.api import send_batch, send_email

SENDS = {"/v1/emails": send_email, "/v1/emails/batch": send_batch}
LINKS = "sending.link_urls"
LINK_PATHS = ("/t/", "/u/")
NO_LINK = "There is nothing here but the links of mails.\n"


class TrackingHosts:
    """Answers the links of mails at the tracking hosts of sending domains.

    Anything else at a host that is not ours is refused further in, by ALLOWED_HOSTS.
    """

    def __init__(self, get_response: Callable[[TracedRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: TracedRequest) -> HttpResponse:
        is_link = request.path_info.startswith(LINK_PATHS) and link_hosts.of(request)
        return _answer_link(request) if is_link else self.get_response(request)


def _answer_link(request: TracedRequest) -> HttpResponse:
    try:
        found = resolve(request.path_info, urlconf=LINKS)
        response: HttpResponse = found.func(request, *found.args, **found.kwargs)
    except Resolver404:
        return HttpResponse(NO_LINK, status=404, content_type="text/plain")
    except Http404 as problem:
        return HttpResponse(f"{problem}\n", status=404, content_type="text/plain")
    return response


class SendShortcut:
    """Answers what sends before the rest of the middleware chain is entered."""

    def __init__(self, get_response: Callable[[TracedRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: TracedRequest) -> HttpResponse:
        send = SENDS.get(request.path_info) if request.method == "POST" else None
        return send(request) if send else self.get_response(request)
