"""Stored attachments (wire contract 2.4), and links that open one without a key."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, ClassVar
from uuid import UUID, uuid5

from django.conf import settings
from django.core import signing
from django.http import HttpResponse
from django.utils import timezone
from django.utils.http import content_disposition_header
from rest_framework.response import Response

from queensmtp import pagination, tenancy
from queensmtp.api import ApiView
from queensmtp.errors import MalformedRequest, NotFound, refuse_field
from queensmtp.pagination import Cursor
from queensmtp.requests import ApiRequest
from queensmtp.scopes import PUBLIC, Scope
from sending.audit import Event
from sending.contents import Attachment
from sending.email_api import get_email
from sending.models import Message
from sending.serializers import content_of

LINK_SALT = "sending.attachment"
# Whatever a stranger attached opens nowhere but in the program that it is saved for, and comes
# from the host of the links in mails rather than from that of the console.
LINK_HEADERS = {
    "Content-Security-Policy": "sandbox; default-src 'none'",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "private, no-store",
}


@dataclass(frozen=True, slots=True)
class Stored:
    """One attachment of a stored message. Its id follows from the message and its place."""

    message: Message
    place: int
    attachment: Attachment

    @property
    def id(self) -> UUID:
        return uuid5(self.message.pk, f"attachment {self.place}")

    def body(self, *, now: datetime) -> dict[str, Any]:
        file = self.attachment
        expires_at = now + timedelta(seconds=settings.ATTACHMENT_LINK_SECONDS)
        return {
            "id": str(self.id),
            "filename": file.filename,
            "content_type": file.content_type,
            "size": len(file.data),
            "content_disposition": "inline" if file.content_id else "attachment",
            "content_id": file.content_id or None,
            "download_url": f"{settings.LINKS_URL}/v1/attachments/{self._token()}",
            "expires_at": expires_at.isoformat(),
        }

    def _token(self) -> str:
        named = [self.message.account_id.hex, self.message.pk.hex, self.place]
        return signing.dumps(named, salt=LINK_SALT)


class Attachments(ApiView):
    """GET /v1/emails/{id}/attachments"""

    scope = Scope.EMAIL_READ
    audit_events: ClassVar[dict[str, str]] = {"GET": Event.ATTACHMENTS_OPENED}

    def get(self, request: ApiRequest, email_id: UUID) -> Response:
        cursor, now = pagination.read_cursor(request.query_params), timezone.now()
        found = stored_in(get_email(request, email_id))
        shown, has_more = _page(found, cursor)
        data = [one.body(now=now) for one in shown]
        return Response({"object": "list", "has_more": has_more, "data": data})


class OneAttachment(ApiView):
    """GET /v1/emails/{id}/attachments/{id}"""

    scope = Scope.EMAIL_READ
    audit_events: ClassVar[dict[str, str]] = {"GET": Event.ATTACHMENTS_OPENED}

    def get(self, request: ApiRequest, email_id: UUID, attachment_id: UUID) -> Response:
        for one in stored_in(get_email(request, email_id)):
            if one.id == attachment_id:
                return Response({"object": "attachment", **one.body(now=timezone.now())})
        raise NotFound("Attachment not found")


class Download(ApiView):
    """GET /v1/attachments/{token}: the file itself, for whoever holds the link."""

    scope = PUBLIC
    authentication_classes = ()

    def get(self, request: ApiRequest, token: str) -> HttpResponse:
        account_id, email_id, place = _named_in(token)
        with tenancy.tenant(account_id):
            message = Message.objects.filter(pk=email_id).first()
            found = stored_in(message) if message else []
        if place >= len(found):
            raise NotFound("The attachment is no longer kept.")
        file = found[place].attachment
        response = HttpResponse(file.data, content_type=file.content_type, headers=LINK_HEADERS)
        disposition = content_disposition_header(True, file.filename or "attachment")
        response["Content-Disposition"] = disposition or "attachment"
        return response


def stored_in(message: Message) -> list[Stored]:
    """The attachments of a message as long as they are kept."""
    content = content_of(message)
    files = content.attachments if content else ()
    return [Stored(message, place, file) for place, file in enumerate(files)]


def _page(found: list[Stored], cursor: Cursor) -> tuple[list[Stored], bool]:
    """In the order of the message; the cursors are excluded, as in every list."""
    places = {one.id: one.place for one in found}
    for name, id in (("after", cursor.after), ("before", cursor.before)):
        if id and id not in places:
            raise refuse_field(name, "unknown_cursor", "no item of this list has this id.")
    if cursor.before:
        earlier = found[: places[cursor.before]]
        return earlier[-cursor.limit :], len(earlier) > cursor.limit
    later = found[places[cursor.after] + 1 :] if cursor.after else found
    return later[: cursor.limit], len(later) > cursor.limit


def _named_in(token: str) -> tuple[UUID, UUID, int]:
    try:
        account, email, place = signing.loads(
            token, salt=LINK_SALT, max_age=settings.ATTACHMENT_LINK_SECONDS
        )
    except (signing.BadSignature, ValueError):
        message = "This link was changed, or its time is over; ask for a new one."
        raise MalformedRequest(message) from None
    return UUID(account), UUID(email), int(place)
