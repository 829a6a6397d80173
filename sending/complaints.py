"""Reads what providers send to the address of feedback loops. Pure.

The address is known to everybody, so nothing that a report claims is believed: it counts when
the message that it brings back carries a token of ours, which only its recipient was given.
Anybody who forges a report about somebody else has no such token (threats.md Q14).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from email.message import Message
from uuid import UUID

from sending import feedback_ids, reports, return_paths
from sending.reports import Kind, Report
from sending.signed_tokens import Keys

RETURNED_HEADERS = "text/rfc822-headers"
RETURNED_MESSAGE = "message/rfc822"
# The same field may stand there often: each forwarder writes a Return-Path.
TOKENS_AT_MOST = 20
ATTACHED = "The message came back as an attachment"


@dataclass(frozen=True, slots=True)
class Complaint:
    """A report, and the recipient whose message it brings back."""

    recipient_id: UUID
    report: Report


def read(mail: Message, *, sender: str, keys: Keys) -> Complaint | None:
    """The complaint in a mail; None when it holds none about a message of ours."""
    part = reports.formal_part(mail)
    report = reports.read(part) if part else _attached(mail, sender)
    if report is None or report.kind is not Kind.COMPLAINT:
        return None
    recipient_id = _find_recipient(mail, part, keys)
    return Complaint(recipient_id, report) if recipient_id else None


def _attached(mail: Message, sender: str) -> Report | None:
    """Microsoft's form (JMRP): the message as an attachment, and no word for programs.

    A mail system that sends a message back does so without a sender (RFC 5321 4.5.5), or in a
    report: neither is a complaint.
    """
    is_report = mail.get_content_type() == "multipart/report"
    if not sender or is_report or len(list(_returned(mail))) != 1:
        return None
    return Report(Kind.COMPLAINT, text=ATTACHED, reporter=reports.text_of(mail, "From")[:253])


def _find_recipient(mail: Message, part: Message | None, keys: Keys) -> UUID | None:
    """By our header, else by the return path, which the receiving server wrote down."""
    returned = list(_returned(mail))
    for value in _values(returned, feedback_ids.HEADER):
        found = feedback_ids.find_recipient(value, keys=keys)
        if found:
            return found
    fields = [reports.feedback_fields(part)] if part else []
    paths = (*_values(fields, "Original-Mail-From"), *_values(returned, "Return-Path"))
    for value in paths:
        found = return_paths.find_recipient(value.strip(" <>"), keys=keys)
        if found:
            return found
    return None


def _returned(mail: Message) -> Iterator[Message]:
    """The headers of what came back: of a whole message, or only they."""
    for part in reports.all_parts(mail):
        kind, payload = part.get_content_type(), part.get_payload()
        if kind == RETURNED_MESSAGE and isinstance(payload, list):
            yield from (_decoded(one, part) for one in payload[:1] if isinstance(one, Message))
        elif kind == RETURNED_HEADERS:
            yield _message_in(part.get_payload(decode=True))


def _decoded(message: Message, part: Message) -> Message:
    """Some encode it, which RFC 2046 5.2.1 forbids: then what was parsed is the encoding."""
    if str(part.get("Content-Transfer-Encoding", "")).strip().lower() != "base64":
        return message
    body = Message()
    body["Content-Transfer-Encoding"] = "base64"
    body.set_payload(message.get_payload())
    return _message_in(body.get_payload(decode=True))


def _message_in(data: object) -> Message:
    return (reports.opened(data) if isinstance(data, bytes) else None) or Message()


def _values(messages: list[Message], name: str) -> Iterator[str]:
    for message in messages:
        for value in message.get_all(name, [])[:TOKENS_AT_MOST]:
            yield reports.one_line(str(value))
