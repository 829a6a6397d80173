"""Turns a message that came by SMTP into a submission, so that every message is built by us.

The envelope decides who gets it; the headers decide what it says. Headers that are ours to write
(Received, DKIM-Signature, Sender, Return-Path, Bcc and their like) are left out, and so is any
that the API would not take; a structure that we could not send on faithfully is refused.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import Message

from queensmtp.addresses import AddressRefused, Mailbox
from sending import content_rules, header_text, media_types, mime, submissions
from sending.contents import Attachment
from sending.header_text import UnreadableHeader
from sending.submissions import Submission

# Counted before the parser sees them: thousands of nested parts exhaust its recursion.
BOUNDARIES_LIMIT = 50
PARTS_LIMIT = 200
IDEMPOTENCY_HEADERS = ("resend-idempotency-key", "idempotency-key")
# What the API has fields for. Like every x-queensmtp- header they stay behind.
TAGS_HEADER = "x-queensmtp-tags"
SCHEDULE_HEADER = "x-queensmtp-scheduled-at"
MARKETING_HEADER = "x-queensmtp-marketing"
OPEN_TRACKING_HEADER = "x-queensmtp-open-tracking"
CLICK_TRACKING_HEADER = "x-queensmtp-click-tracking"
TLS_HEADER = "x-queensmtp-tls"
FLAG_HEADERS = (MARKETING_HEADER, OPEN_TRACKING_HEADER, CLICK_TRACKING_HEADER)
_SINGLE = frozenset(
    {
        *("from", "to", "cc", "reply-to", "subject", "date", "message-id", "mime-version"),
        *("content-type", "content-transfer-encoding", "sender", *IDEMPOTENCY_HEADERS),
        *(TAGS_HEADER, SCHEDULE_HEADER),
        *(*FLAG_HEADERS, TLS_HEADER),
    }
)
_UNSUPPORTED = frozenset({"multipart/signed", "multipart/encrypted", "message/partial"})


class MailRefused(Exception):
    """The message cannot be sent on as it is; the text is for the client."""


@dataclass(slots=True)
class ReceivedMail(Submission):
    """A submission whose recipients are those of the envelope."""

    envelope: tuple[str, ...] = ()
    idempotency_key: str | None = None

    @property
    def recipients(self) -> dict[str, str]:
        """Each address of the envelope, with the header that shows it; bcc is shown by none."""
        shown = {mailbox.address: "cc" for mailbox in self.cc}
        shown |= {mailbox.address: "to" for mailbox in self.to}
        return {address: shown.get(address, "bcc") for address in self.envelope}


@dataclass(slots=True)
class Body:
    """The parts of a message, sorted."""

    text: str | None = None
    html: str | None = None
    attachments: list[Attachment] = field(default_factory=list)


def read(content: bytes, *, recipients: Iterable[str]) -> ReceivedMail:
    """The submission. Raises MailRefused; what remains wrong is in its `problems`."""
    try:
        fields, _ = header_text.split_message(content)
        headers = _single_headers(fields)
        sender = _sender(headers)
        body = _body(content)
        mail = ReceivedMail(
            sender=sender,
            to=_mailboxes(headers, "to"),
            cc=_mailboxes(headers, "cc"),
            reply_to=_mailboxes(headers, "reply-to"),
            subject=header_text.decoded(headers.get("subject", "")),
            text=body.text,
            html=body.html,
            headers=tuple(_custom(fields)),
            attachments=tuple(body.attachments),
            envelope=tuple(recipients),
            idempotency_key=_idempotency_key(headers),
        )
    except UnreadableHeader as problem:
        raise MailRefused(str(problem)) from problem
    mail.marketing = _flag(headers, MARKETING_HEADER) or False
    mail.open_tracking = _flag(headers, OPEN_TRACKING_HEADER)
    mail.click_tracking = _flag(headers, CLICK_TRACKING_HEADER)
    _note_problems(mail)
    mail.enforces_tls = submissions.read_tls(headers.get(TLS_HEADER), problems=mail.problems)
    mail.tags = submissions.read_tags(_tags(headers), problems=mail.problems)
    if SCHEDULE_HEADER in headers:
        mail.scheduled_at = submissions.read_time(
            headers[SCHEDULE_HEADER], now=datetime.now(UTC), problems=mail.problems
        )
    return mail


def _single_headers(fields: list[tuple[str, str]]) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in fields:
        if name.lower() in _SINGLE and name.lower() in found:
            raise MailRefused(f"There are two {name} headers")
        found[name.lower()] = value
    return found


def _sender(headers: dict[str, str]) -> Mailbox:
    if "from" not in headers:
        raise MailRefused("There is no From header")
    try:
        return header_text.mailbox(headers["from"])
    except AddressRefused as problem:
        raise MailRefused(f"From {problem.message}") from problem


def _mailboxes(headers: dict[str, str], name: str) -> tuple[Mailbox, ...]:
    try:
        return tuple(header_text.mailboxes(headers.get(name, "")))
    except AddressRefused as problem:
        raise MailRefused(f"{name.title()} {problem.message}") from problem


def _tags(headers: dict[str, str]) -> list[dict[str, str]]:
    """`kind=order, client=hive`"""
    pairs = [one.strip() for one in headers.get(TAGS_HEADER, "").split(",") if one.strip()]
    parts = [pair.partition("=") for pair in pairs]
    return [{"name": name.strip(), "value": value.strip()} for name, _, value in parts]


def _idempotency_key(headers: dict[str, str]) -> str | None:
    for name in IDEMPOTENCY_HEADERS:
        if name in headers:
            return headers[name]
    return None


def _flag(headers: dict[str, str], name: str) -> bool | None:
    value = headers.get(name)
    if value is None:
        return None
    if value.strip().lower() not in ("true", "false"):
        raise MailRefused(f"{name} is true or false")
    return value.strip().lower() == "true"


def _custom(fields: list[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """The headers that the API would take, each name once."""
    seen = set()
    for name, value in fields:
        try:
            text = header_text.decoded(value)
        except UnreadableHeader:
            continue
        if name.lower() not in seen and not content_rules.validate_headers({name: text}):
            seen.add(name.lower())
            yield name, text


def _note_problems(mail: ReceivedMail) -> None:
    assert mail.sender is not None
    content = mail.content(message_id="", date=mime.EPOCH)
    mail.problems.extend(content_rules.validate_content(content))


# The body


def _body(content: bytes) -> Body:
    if len(re.findall(rb"boundary=", content, re.IGNORECASE)) > BOUNDARIES_LIMIT:
        raise MailRefused(f"There are more than {BOUNDARIES_LIMIT} nested parts")
    message = message_from_bytes(content, policy=policy.compat32)
    body = Body()
    for count, part in enumerate(_leaves(message)):
        if count >= PARTS_LIMIT:
            raise MailRefused(f"There are more than {PARTS_LIMIT} parts")
        _sort(part, body)
    return body


def _leaves(message: Message) -> Iterator[Message]:
    if message.get_content_type() in _UNSUPPORTED:
        raise MailRefused(f"{message.get_content_type()} cannot be sent on unchanged")
    if message.get_content_maintype() == "multipart" and message.is_multipart():
        for part in message.get_payload():
            assert isinstance(part, Message)
            yield from _leaves(part)
    else:
        yield message


def _sort(part: Message, body: Body) -> None:
    kind = part.get_content_type()
    is_file = part.get_content_disposition() == "attachment" or bool(part.get_filename())
    if kind == "text/plain" and not is_file and body.text is None:
        body.text = _text(part)
    elif kind == "text/html" and not is_file and body.html is None:
        body.html = _text(part)
    else:
        body.attachments.append(_attachment(part, number=len(body.attachments) + 1))


def _text(part: Message) -> str:
    charset = part.get_content_charset() or "utf-8"
    # What says ASCII and is not is nearly always UTF-8.
    charset = "utf-8" if charset == "us-ascii" else charset
    return header_text.charset_text(_data(part), charset).replace("\r\n", "\n")


def _attachment(part: Message, *, number: int) -> Attachment:
    filename = header_text.decoded(part.get_filename() or "")
    content_id = str(part.get("Content-ID", "")).strip("<> \t\r\n")
    return Attachment(
        filename=filename or ("" if content_id else f"part-{number}"),
        content_type=_content_type(part),
        data=_data(part),
        content_id=content_id,
    )


def _content_type(part: Message) -> str:
    """The type with what of its parameters means something to the reader."""
    parameters = [
        f'; {name}="{value}"'
        for name in ("charset", "method")
        if isinstance(value := part.get_param(name), str) and '"' not in value
    ]
    given = part.get_content_type() + "".join(parameters)
    return given if media_types.read(given) else "application/octet-stream"


def _data(part: Message) -> bytes:
    if part.is_multipart():
        # message/rfc822 and its like: the message inside, as it stands.
        return b"".join(bytes(inner) for inner in part.get_payload() if isinstance(inner, Message))
    payload = part.get_payload(decode=True)
    return payload if isinstance(payload, bytes) else b""
