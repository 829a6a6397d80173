"""The hosts that links lead to: ours, and the tracking hosts of sending domains."""

from django.conf import settings
from django.http import HttpRequest
from django.http.request import split_domain_port, validate_host


def of(request: HttpRequest) -> str:
    """The tracking host that a request came to; empty at a host of this server.

    No list of such hosts is asked: the MAC of a link says whether we made it for this one.
    """
    host, _ = split_domain_port(request.META.get("HTTP_HOST", ""))
    return "" if not host or validate_host(host, settings.ALLOWED_HOSTS) else host
