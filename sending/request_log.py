"""The requests of an account's keys, read from the audit log: there is no second log.

An entry tells the event; which call that is, the routes say. Bodies are never kept.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any
from uuid import UUID

from django.urls import URLPattern, URLResolver, get_resolver

from auditlog.models import Entry, EntryQuerySet
from sending.audit import Event
from sending.models import Message

API_PREFIX = "v1/"
PLACEHOLDER = re.compile(r"<(?:\w+:)?(\w+)>")
# Plain views, which carry no table of their events.
PLAIN = {
    Event.SUBMITTED: ("POST", "/emails"),
    Event.BATCH_SUBMITTED: ("POST", "/emails/batch"),
}
PLAIN_READS = {Event.LISTED: ("GET", "/emails")}
SMTP = ("SMTP", "submission")
UNKNOWN = ("", "")
ACCEPTED, CREATED, OK = 202, 201, 200


@dataclass(frozen=True, slots=True)
class Request:
    """One request, as it is told of."""

    entry: Entry
    method: str
    endpoint: str

    @property
    def status(self) -> int:
        """What was answered; a request that went well is told by what it did."""
        if self.entry.outcome != "allowed":
            return int(self.entry.changes.get("status") or (0 if self.method == "SMTP" else 403))
        if self.method == "SMTP":
            return 250
        if self.entry.event in PLAIN:
            return ACCEPTED
        return CREATED if self.entry.event.endswith(".created") else OK

    @property
    def reason(self) -> str:
        """Why it was refused: the true reason, which the caller may not have been told."""
        return str(self.entry.changes.get("reason") or "") if self.status >= 400 else ""

    def body(self) -> dict[str, Any]:
        """Wire contract 8."""
        return {
            "id": str(self.entry.id),
            "created_at": self.entry.created_at.isoformat(),
            "endpoint": self.endpoint,
            "method": self.method,
            "response_status": self.status,
            "user_agent": self.entry.user_agent,
        }


def of_account(account_id: UUID) -> EntryQuerySet:
    return Entry.objects.of_account(account_id).filter(actor_type="key")


def request_of(entry: Entry) -> Request:
    if entry.event in PLAIN and entry.user_agent.startswith("SMTP "):
        return Request(entry, *SMTP)
    method, path = endpoints().get(entry.event, UNKNOWN)
    return Request(entry, method, PLACEHOLDER.sub(entry.target_id or r"{\1}", path, count=1))


@cache
def endpoints() -> dict[str, tuple[str, str]]:
    """The method and path of each event that a call of the API leaves."""
    plain = {**PLAIN, **PLAIN_READS}
    found: dict[str, tuple[str, str]] = {str(event): call for event, call in plain.items()}
    for path, view in _routes(get_resolver().url_patterns):
        for method, event in getattr(view, "audit_events", {}).items():
            found.setdefault(str(event), (method, f"/{path}"))
    return found


def curl_of(request: Request, *, api_url: str, ca_file: str = "") -> str:
    """A command that makes the request again, with the key to be filled in; '' over SMTP.

    The body of an e-mail is told as far as its envelope: contents are not opened for this.
    """
    if request.method in ("", "SMTP"):
        return ""
    trusted = f"--cacert {ca_file} " if ca_file else ""
    lines = [f"curl {trusted}-X {request.method} {api_url}{request.endpoint}"]
    lines.append('-H "Authorization: Bearer $QUEENSMTP_API_KEY"')
    if request.method in ("POST", "PATCH"):
        lines.append("-H 'Content-Type: application/json'")
        body = json.dumps(_body_of(request.entry), ensure_ascii=False).replace("'", "'\\''")
        lines.append(f"-d '{body}'")
    return " \\\n  ".join(lines)


def _body_of(entry: Entry) -> dict[str, Any]:
    if entry.event != Event.SUBMITTED or entry.target_type != "email":
        return {}
    message = Message.objects.defer("content").filter(pk=entry.target_id).first()
    if message is None:
        return {}
    told = {
        "from": message.sender,
        "to": message.to,
        "cc": message.cc,
        "bcc": message.bcc,
        "reply_to": message.reply_to,
        "subject": message.subject,
        "text": "…",
        "tags": message.tags,
    }
    return {name: value for name, value in told.items() if value}


def _routes(patterns: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Each path under /v1 with its view class."""
    for one in patterns:
        path = prefix + str(one.pattern)
        if isinstance(one, URLResolver):
            yield from _routes(one.url_patterns, path)
        elif isinstance(one, URLPattern) and path.startswith(API_PREFIX):
            view = getattr(one.callback, "cls", None) or getattr(one.callback, "view_class", None)
            yield path.removeprefix(API_PREFIX), view
