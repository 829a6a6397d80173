"""What the links in mails lead to: for strangers, without a session, under a signed address."""

import logging
from base64 import b64decode

from django.conf import settings
from django.db import DatabaseError
from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.encoding import iri_to_uri
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods, require_safe

from queensmtp.requests import TracedRequest
from sending import link_hosts, links, visitors, visits
from sending.links import Place
from sending.models import Recipient
from sending.visits import Visit

PIXEL = b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")
NOT_OURS = "This link was not made by us, or it was changed."
TOO_OLD = "The message that this link stood in is no longer kept."

logger = logging.getLogger(__name__)


@require_safe
def opened(request: TracedRequest, token: str) -> HttpResponse:
    """GET /t/o/<token>.gif: a picture of one transparent point."""
    place = _find_place(request, token, links.OPEN)
    if place is None:
        raise Http404(NOT_OURS)
    _record(visits.OPENED, place, request)
    return _private(HttpResponse(PIXEL, content_type="image/gif"))


@require_safe
def clicked(request: TracedRequest, token: str, encoded: str) -> HttpResponse:
    """GET /t/c/<token>/<target>: on to where the mail's author led, and nowhere else."""
    found = links.find_click(token, encoded, keys=settings.LINK_KEYS, host=link_hosts.of(request))
    if found is None:
        raise Http404(NOT_OURS)
    place, target = found
    _record(visits.CLICKED, place, request, target=target)
    response = HttpResponse(status=302)
    response.headers["Location"] = _ascii(target)
    response.headers["Referrer-Policy"] = "no-referrer"
    return _private(response)


@csrf_exempt
@require_http_methods(["GET", "HEAD", "POST"])
def unsubscribe(request: TracedRequest, token: str) -> HttpResponse:
    """/u/<token>: GET shows a page, since scanners follow links; POST acts (RFC 8058)."""
    place = _find_place(request, token, links.UNSUBSCRIBE)
    if place is None:
        raise Http404(NOT_OURS)
    recipient = visits.find_recipient(place)
    if recipient is None:
        raise Http404(TOO_OLD)
    is_done = request.method == "POST"
    if is_done:
        visits.unsubscribe(recipient, Visit(request.origin, timezone.now()))
    context = {
        "is_done": is_done,
        "address": recipient.address,
        "sender": recipient.message.sender_address.rpartition("@")[2],
    }
    return _private(render(request, "sending/unsubscribe.html", context))


def _find_place(request: TracedRequest, token: str, purpose: str) -> Place | None:
    host = link_hosts.of(request)
    return links.find_place(token, purpose, keys=settings.LINK_KEYS, host=host)


def _record(kind: str, place: Place, request: TracedRequest, *, target: str = "") -> None:
    """The visitor gets what he came for, whether or not it can be recorded."""
    try:
        recipient = visits.find_recipient(place)
        if recipient is not None:
            visits.record(kind, recipient, _visit(request, recipient, target))
    except DatabaseError:
        logger.exception("visit_not_recorded", extra={"kind": kind})


def _visit(request: TracedRequest, recipient: Recipient, target: str) -> Visit:
    now = timezone.now()
    automatic = visitors.why_no_person(
        method=str(request.method),
        headers=request.headers,
        user_agent=request.origin.user_agent,
        arrived_at=recipient.finished_at,
        now=now,
    )
    return Visit(request.origin, now, automatic, target)


def _private(response: HttpResponse) -> HttpResponse:
    response.headers["Cache-Control"] = "no-store, private"
    response.headers["X-Robots-Tag"] = "noindex, nofollow"
    return response


def _ascii(target: str) -> str:
    """A header holds ASCII; the target is printable and was signed as it is."""
    return str(iri_to_uri(target))
