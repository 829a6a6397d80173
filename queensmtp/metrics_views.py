"""`/metrics`, for the operator's Prometheus: on the HTTPS port, behind a token of its own."""

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from queensmtp import measures, metrics

REFUSED = (
    "Missing or wrong metrics token: send `Authorization: Bearer` with the value of the setting "
    "METRICS_TOKEN. An API key does not open this page.\n"
)


@require_safe
def page(request: HttpRequest) -> HttpResponse:
    """The metrics as text. Without a token in the settings there is no such page."""
    token = settings.METRICS_TOKEN
    if not token:
        raise Http404
    if not metrics.is_allowed(request.headers.get("Authorization", ""), token=token):
        challenge = {"WWW-Authenticate": 'Bearer realm="QueenSMTP metrics"'}
        return HttpResponse(REFUSED, status=401, content_type="text/plain", headers=challenge)
    text = metrics.text_of(measures.read())
    no_store = {"Cache-Control": "no-store"}
    return HttpResponse(text, content_type=metrics.CONTENT_TYPE, headers=no_store)
