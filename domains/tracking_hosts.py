"""Answers a proxy that asks whether it may get a certificate for a name."""

from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

HOST_AT_MOST = 253


@require_safe
def ask(request: HttpRequest) -> HttpResponse:
    """GET /tracking-hosts?domain=links.example.com: 200 for a verified one, else 404.

    It tells what DNS tells everybody: that the name leads here.
    """
    host = request.GET.get("domain", "").lower()
    is_ours = len(host) <= HOST_AT_MOST and "\0" not in host and is_tracking_host(host)
    return HttpResponse(status=200 if is_ours else 404, content_type="text/plain")


def is_tracking_host(host: str) -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT is_tracking_host(%s)", [host])
        return bool(cursor.fetchone()[0])
