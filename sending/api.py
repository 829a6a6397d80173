"""E-mails over HTTP. Sending is a plain view: it is the hot path (docs/adr/0003)."""

from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import OperationalError
from django.http import HttpResponse
from rest_framework.response import Response

from apikeys import policy
from apikeys.authentication import authenticate
from apikeys.policy import KeyRecord
from queensmtp import json_body, pagination
from queensmtp.actors import Target
from queensmtp.api import ApiView, error_response, json_response, known_error
from queensmtp.errors import NotFound, Unavailable, UnsupportedMediaType
from queensmtp.requests import ApiRequest, TracedRequest
from queensmtp.scopes import Scope
from sending import accept, idempotency, serializers, submissions
from sending.accept import Accepted, Idempotency, Refused
from sending.audit import Event
from sending.errors import BadIdempotencyKey
from sending.models import Message

ENDPOINT = "emails"


def send_email(request: TracedRequest) -> HttpResponse:
    """POST /v1/emails"""
    request.audit_event = Event.SUBMITTED
    try:
        accepted = _accept(request)
    except Refused as refused:
        request.refusal_reason = refused.reason
        return error_response(request, refused.error)
    except OperationalError:
        return error_response(request, Unavailable())
    except Exception as error:
        known = known_error(error)
        if known is None:
            raise
        return error_response(request, known)
    return _accepted_response(request, accepted)


def _accept(request: TracedRequest) -> Accepted:
    key = authenticate(request)
    _need_scope(key, Scope.EMAIL_SEND)
    body = read_body(request)
    submission = submissions.read(body, recipients_maximum=settings.RECIPIENTS_MAX)
    return accept.accept_email(
        submission,
        key=key,
        actor=request.actor,
        via="api",
        idempotency=_idempotency(request, body),
    )


def _need_scope(key: KeyRecord, scope: Scope) -> None:
    refusal = policy.authorise(key, scope=scope)
    if refusal is not None:
        raise Refused(refusal.error, reason=refusal.reason)


def read_body(request: TracedRequest) -> Any:
    """The JSON body; an encoded one is refused, since it may unfold without end."""
    if request.META.get("HTTP_CONTENT_ENCODING", "identity") not in ("", "identity"):
        raise UnsupportedMediaType("Send the body without `Content-Encoding`.")
    return json_body.read(request.body)


def _idempotency(request: TracedRequest, body: Any) -> Idempotency | None:
    key = request.META.get("HTTP_IDEMPOTENCY_KEY")
    if key is None:
        return None
    if not idempotency.is_key(key):
        raise BadIdempotencyKey
    return Idempotency(ENDPOINT, key, idempotency.fingerprint(body))


def _accepted_response(request: TracedRequest, accepted: Accepted) -> HttpResponse:
    response = json_response({"id": str(accepted.email_id)}, status=202)
    request.audit_recorded = not accepted.is_replay
    request.audit_target = Target("email", str(accepted.email_id))
    if accepted.is_replay:
        response["Idempotent-Replayed"] = "true"
    if accepted.verdict is not None:
        for name, value in accepted.verdict.headers().items():
            response[name] = value
    return response


class Emails(ApiView):
    """GET /v1/emails. POST is answered by `send_email`, before DRF is asked."""

    scope = Scope.EMAIL_READ
    audit_events = {"GET": Event.LISTED}

    def get(self, request: ApiRequest) -> Response:
        cursor = pagination.read_cursor(request.query_params)
        messages = Message.objects.prefetch_related("recipients")
        page = pagination.page(messages, cursor)
        return Response(
            pagination.list_body(page, lambda row: serializers.listed(row, row.recipients.all()))
        )


class Email(ApiView):
    """GET /v1/emails/{id}"""

    scope = Scope.EMAIL_READ
    # The answer holds the bodies: personal data.
    audit_events = {"GET": Event.CONTENT_OPENED}

    def get(self, request: ApiRequest, email_id: UUID) -> Response:
        message = Message.objects.prefetch_related("recipients").filter(pk=email_id).first()
        if message is None:
            raise NotFound("Email not found")
        request._request.audit_target = Target("email", str(message.pk))
        return Response(serializers.whole(message, message.recipients.all()))


def emails(request: TracedRequest) -> HttpResponse:
    """/v1/emails, whatever the method."""
    if request.method == "POST":
        return send_email(request)
    response: HttpResponse = _read_emails(request)
    return response


emails.csrf_exempt = True  # type: ignore[attr-defined]
_read_emails = Emails.as_view()
