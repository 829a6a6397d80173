"""Sending over HTTP: plain views, since this is the hot path (docs/adr/0003)."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from django.conf import settings
from django.db import OperationalError
from django.http import HttpResponse

from apikeys import policy
from apikeys.authentication import authenticate
from apikeys.policy import KeyRecord
from queensmtp import json_body
from queensmtp.actors import Target
from queensmtp.api import error_response, json_response, known_error
from queensmtp.errors import (
    Unavailable,
    UnsupportedMediaType,
    refuse_field,
)
from queensmtp.requests import TracedRequest
from queensmtp.scopes import Scope
from sending import accept, batch, email_api, idempotency, submissions
from sending.accept import Accepted
from sending.audit import Event
from sending.batch import AcceptedBatch
from sending.errors import BadIdempotencyKey
from sending.gates import Idempotency, Refused

ONE, MANY = "emails", "emails/batch"
VALIDATIONS = ("strict", "permissive")


def send_email(request: TracedRequest) -> HttpResponse:
    """POST /v1/emails"""
    request.audit_event = Event.SUBMITTED
    return _answered(request, _send_one)


def send_batch(request: TracedRequest) -> HttpResponse:
    """POST /v1/emails/batch"""
    request.audit_event = Event.BATCH_SUBMITTED
    return _answered(request, _send_many)


def _answered(
    request: TracedRequest, send: Callable[[TracedRequest], HttpResponse]
) -> HttpResponse:
    try:
        return send(request)
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


def _send_one(request: TracedRequest) -> HttpResponse:
    key = _sending_key(request)
    body = read_body(request)
    accepted = accept.accept_email(
        submissions.read(body, recipients_maximum=settings.RECIPIENTS_MAX),
        key=key,
        actor=request.actor,
        via="api",
        idempotency=_idempotency(request, ONE, body),
    )
    request.audit_target = Target("email", str(accepted.email_id))
    answer = {"id": str(accepted.email_id)}
    return _accepted(request, answer, accepted)


def _send_many(request: TracedRequest) -> HttpResponse:
    key = _sending_key(request)
    items, is_permissive = _items(read_body(request)), _is_permissive(request)
    now, most = datetime.now(UTC), settings.RECIPIENTS_MAX
    accepted = batch.accept_batch(
        [submissions.read(item, recipients_maximum=most, now=now) for item in items],
        key=key,
        actor=request.actor,
        is_permissive=is_permissive,
        idempotency=_idempotency(request, MANY, [is_permissive, items]),
    )
    return _accepted(request, accepted.answer, accepted)


def _items(body: Any) -> list[Any]:
    if not isinstance(body, list):
        raise refuse_field("body", "not_a_list", "send a JSON array of e-mails.")
    if not 1 <= len(body) <= settings.BATCH_MAX:
        message = f"a batch has 1 to {settings.BATCH_MAX} e-mails; this one has {len(body)}."
        raise refuse_field("body", "out_of_range", message)
    return body


def _is_permissive(request: TracedRequest) -> bool:
    wanted: str = request.META.get("HTTP_X_BATCH_VALIDATION", "strict").strip().lower()
    if wanted not in VALIDATIONS:
        raise refuse_field("x-batch-validation", "invalid", "send `strict` or `permissive`.")
    return wanted == "permissive"


def _sending_key(request: TracedRequest) -> KeyRecord:
    key = authenticate(request)
    refusal = policy.authorise(key, scope=Scope.EMAIL_SEND)
    if refusal is not None:
        raise Refused(refusal.error, reason=refusal.reason)
    return key


def read_body(request: TracedRequest) -> Any:
    """The JSON body; an encoded one is refused, since it may unfold without end."""
    if request.META.get("HTTP_CONTENT_ENCODING", "identity") not in ("", "identity"):
        raise UnsupportedMediaType("Send the body without `Content-Encoding`.")
    return json_body.read(request.body)


def _idempotency(request: TracedRequest, endpoint: str, asked: Any) -> Idempotency | None:
    key = request.META.get("HTTP_IDEMPOTENCY_KEY")
    if key is None:
        return None
    if not idempotency.is_key(key):
        raise BadIdempotencyKey
    return Idempotency(endpoint, key, idempotency.fingerprint(asked))


def _accepted(
    request: TracedRequest, answer: Any, accepted: Accepted | AcceptedBatch
) -> HttpResponse:
    # The statement wrote the entry; a replay is an entry of its own.
    request.audit_recorded = not accepted.is_replay
    response = json_response(answer, status=202)
    if accepted.is_replay:
        response["Idempotent-Replayed"] = "true"
    limits = accepted.verdict.headers() if accepted.verdict else {}
    for name, value in {**limits, **accepted.quota_headers}.items():
        response[name] = value
    return response


def emails(request: TracedRequest) -> HttpResponse:
    """/v1/emails, whatever the method."""
    if request.method == "POST":
        return send_email(request)
    response: HttpResponse = _read_emails(request)
    return response


def emails_batch(request: TracedRequest) -> HttpResponse:
    """/v1/emails/batch, whatever the method."""
    if request.method == "POST":
        return send_batch(request)
    response: HttpResponse = _refuse_other_methods(request)
    return response


emails.csrf_exempt = True  # type: ignore[attr-defined]
emails_batch.csrf_exempt = True  # type: ignore[attr-defined]
_read_emails = email_api.Emails.as_view()
_refuse_other_methods = email_api.Batch.as_view()
