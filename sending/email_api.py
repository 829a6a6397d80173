"""E-mails that were accepted: read, moved to another time, canceled (wire contract 2)."""

from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

from django.utils import timezone
from rest_framework.response import Response

from apikeys import policy
from queensmtp import addresses, pagination
from queensmtp.actors import Target
from queensmtp.api import ApiView
from queensmtp.errors import FieldError, MissingField, NotFound, ValidationFailed
from queensmtp.requests import ApiRequest
from queensmtp.scopes import Scope
from sending import scheduling, serializers, submissions
from sending.audit import Event
from sending.errors import OtherEnvironment
from sending.models import Message


class Emails(ApiView):
    """GET /v1/emails. POST is answered by `send_email`, before DRF is asked."""

    scope = Scope.EMAIL_READ
    audit_events: ClassVar[dict[str, str]] = {"GET": Event.LISTED}

    @property
    def allowed_methods(self) -> list[str]:
        return [*super().allowed_methods, "POST"]

    def get(self, request: ApiRequest) -> Response:
        cursor = pagination.read_cursor(request.query_params)
        messages = Message.objects.defer("content").prefetch_related("recipients")
        page = pagination.page(messages, cursor)
        return Response(
            pagination.list_body(page, lambda row: serializers.listed(row, row.recipients.all()))
        )


class Batch(ApiView):
    """What is no POST to /v1/emails/batch: refused like anything else, with its audit entry."""

    scope = Scope.EMAIL_SEND
    allowed_methods: ClassVar[list[str]] = ["POST", "OPTIONS"]


class Email(ApiView):
    """/v1/emails/{id}"""

    scope: ClassVar[dict[str, str]] = {"GET": Scope.EMAIL_READ, "PATCH": Scope.EMAIL_SEND}
    # The answer holds the bodies: personal data.
    audit_events: ClassVar[dict[str, str]] = {
        "GET": Event.CONTENT_OPENED,
        "PATCH": Event.RESCHEDULED,
    }

    def get(self, request: ApiRequest, email_id: UUID) -> Response:
        message = get_email(request, email_id)
        return Response(serializers.whole(message, message.recipients.all()))

    def patch(self, request: ApiRequest, email_id: UUID) -> Response:
        message = get_email(request, email_id)
        refuse_other_rights(request, message)
        moment = _scheduled_at(request.data)
        scheduling.reschedule(by=request.actor, message=message, scheduled_at=moment)
        return Response({"object": "email", "id": str(message.pk)})


class CancelEmail(ApiView):
    """POST /v1/emails/{id}/cancel"""

    scope = Scope.EMAIL_SEND
    audit_events: ClassVar[dict[str, str]] = {"POST": Event.CANCELED}

    def post(self, request: ApiRequest, email_id: UUID) -> Response:
        message = get_email(request, email_id)
        refuse_other_rights(request, message)
        scheduling.cancel(by=request.actor, message=message)
        return Response({"object": "email", "id": str(message.pk)})


def get_email(request: ApiRequest, email_id: UUID) -> Message:
    """The e-mail, named in the audit entry too; NotFound for anybody else's."""
    message = Message.objects.prefetch_related("recipients").filter(pk=email_id).first()
    if message is None:
        raise NotFound("Email not found")
    request._request.audit_target = Target("email", str(message.pk))
    return message


def refuse_other_rights(request: ApiRequest, message: Message) -> None:
    """What a key could not send, it does not stop or hurry either."""
    key = request._request.key
    if key.environment != message.environment:
        raise OtherEnvironment(
            f"This API key is of the environment {key.environment}; the e-mail was sent by one "
            f"of {message.environment}. Use a key of that environment."
        )
    refusal = policy.may_send_from(key, addresses.domain_of(message.sender_address))
    if refusal is not None:
        request._request.refusal_reason = refusal.reason
        raise refusal.error


def _scheduled_at(body: Any) -> datetime:
    given = body.get("scheduled_at") if isinstance(body, dict) else None
    if given is None:
        message = "Missing `scheduled_at` field."
        raise MissingField(message, errors=[FieldError("scheduled_at", "missing", "is required")])
    problems: list[FieldError] = []
    moment = submissions.read_time(given, now=timezone.now(), problems=problems)
    if moment is None:
        raise ValidationFailed(f"`scheduled_at` {problems[0].message}.", errors=problems)
    return moment
