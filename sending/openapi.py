"""The calls of this app, by example (`queensmtp.operations`)."""

from queensmtp.operations import CURSORS, Operation, listed
from queensmtp.scopes import Scope
from queensmtp.shapes import AnyNames

ID = "01997e2c-7d5f-7c31-9d6e-2f1f7a3f9b10"
FILE_ID = "c1a1f7c0-52a4-5b0e-8e43-6c1f6a0d9f11"
AT = "2026-11-21T22:14:58.120000+00:00"

SENT = {
    "from": "Demo <hello@demo.example>",
    "to": ["someone@example.com"],
    "cc": ["copy@example.com"],
    "bcc": ["archive@demo.example"],
    "reply_to": ["help@demo.example"],
    "subject": "Your order is on its way",
    "html": "<p>It left today.</p>",
    "text": "It left today.",
    "headers": AnyNames({"X-Order": "4711"}),
    "attachments": [
        {"filename": "invoice.pdf", "content": "JVBERi0xLjc=", "content_type": "application/pdf"}
    ],
    "tags": [{"name": "category", "value": "orders"}],
    "scheduled_at": "2026-11-22T08:00:00Z",
    "tls": "enforced",
    "marketing": False,
    "open_tracking": False,
    "click_tracking": False,
}
MAY_BE_LEFT_OUT = (
    "cc",
    "bcc",
    "reply_to",
    "html",
    "text",
    "headers",
    "attachments",
    "attachments[].content_type",
    "tags",
    "scheduled_at",
    "tls",
    "marketing",
    "open_tracking",
    "click_tracking",
)
IDEMPOTENCY = {
    "Idempotency-Key": "1 to 256 characters; the same key and body are answered the same again."
}
EMAIL = {
    "id": ID,
    "message_id": f"<{ID}@demo.example>",
    "from": "Demo <hello@demo.example>",
    "to": ["someone@example.com"],
    "cc": ["copy@example.com"],
    "bcc": None,
    "reply_to": None,
    "subject": "Your order is on its way",
    "created_at": AT,
    "scheduled_at": None,
    "last_event": "delivered",
}
ATTACHMENT = {
    "id": FILE_ID,
    "filename": "invoice.pdf",
    "content_type": "application/pdf",
    "size": 48_211,
    "content_disposition": "attachment",
    "content_id": None,
    "download_url": "https://mail.example/v1/attachments/eyJ…",
    "expires_at": AT,
}
LOG = {
    "id": ID,
    "created_at": AT,
    "endpoint": "/emails",
    "method": "POST",
    "response_status": 202,
    "user_agent": "resend-python:2.52.0",
}
BRIEF = {"object": "email", "id": ID}
# Nullable fields whose examples say more than null would.
NULLABLE = ("cc", "html", "text", "content_id")

USED = {"used": 812, "limit": 1_000, "sent": 812, "received": 0, "resets_at": AT}

OPERATIONS = {
    "GET /v1/usage": Operation(
        summary="Quotas of the account and what is used of them",
        answer={
            "object": "usage",
            "emails": {"daily": USED, "monthly": USED},
            "domains": {"used": 3, "limit": 1_000},
            "rate_limit": {"limit": 100, "duration": "1s"},
        },
        nullable=("emails.daily.limit", "emails.monthly.limit"),
    ),
    "POST /v1/emails": Operation(
        summary="Send one e-mail, now or later",
        scope=Scope.EMAIL_SEND,
        body=SENT,
        optional=MAY_BE_LEFT_OUT,
        answer={"id": ID},
        status=202,
        headers=IDEMPOTENCY,
        errors=(403, 409, 429),
    ),
    "POST /v1/emails/batch": Operation(
        summary="Send up to 100 e-mails",
        scope=Scope.EMAIL_SEND,
        body=[SENT],
        optional=[f"[].{name}" for name in MAY_BE_LEFT_OUT],
        answer={"data": [{"id": ID}], "errors": [{"index": 1, "message": "`to`: is missing."}]},
        optional_in_answer=("errors",),
        status=202,
        headers={
            **IDEMPOTENCY,
            "x-batch-validation": "`strict` (all or nothing, the default) or `permissive`.",
        },
        errors=(403, 409, 429),
    ),
    "GET /v1/emails": Operation(
        summary="List e-mails, newest first",
        scope=Scope.EMAIL_READ,
        answer=listed(EMAIL),
        query=CURSORS,
        nullable=("data[].cc",),
    ),
    "GET /v1/emails/{email_id}": Operation(
        summary="Get one e-mail with its contents",
        answer={
            "object": "email",
            **EMAIL,
            "html": "<p>It left today.</p>",
            "text": "It left today.",
            "tags": [{"name": "category", "value": "orders"}],
            "topic_id": None,
        },
        nullable=NULLABLE,
    ),
    "PATCH /v1/emails/{email_id}": Operation(
        summary="Move a scheduled e-mail to another time",
        body={"scheduled_at": "2026-11-22T08:00:00Z"},
        answer=BRIEF,
        errors=(403, 409),
    ),
    "POST /v1/emails/{email_id}/cancel": Operation(
        summary="Cancel what was not sent yet", answer=BRIEF, errors=(403, 409)
    ),
    "GET /v1/emails/{email_id}/attachments": Operation(
        summary="List the attachments of an e-mail",
        answer=listed(ATTACHMENT),
        query=CURSORS,
        nullable=("data[].content_id",),
    ),
    "GET /v1/emails/{email_id}/attachments/{attachment_id}": Operation(
        summary="Get one attachment, with a link to its bytes",
        answer={"object": "attachment", **ATTACHMENT},
        nullable=NULLABLE,
    ),
    "GET /v1/logs": Operation(
        summary="List the requests of the account's keys, newest first",
        answer=listed(LOG),
        query=CURSORS,
    ),
    "GET /v1/logs/{log_id}": Operation(
        summary="Get one request; bodies are never kept",
        answer={"object": "log", **LOG, "request_body": None, "response_body": None},
    ),
    "GET /v1/attachments/{token}": Operation(
        summary="Download an attachment by its signed link",
        media_type="application/octet-stream",
        errors=(400,),
    ),
}
