"""Reads the body of `POST /emails` (wire contract 2.1) into a submission. Pure.

Nothing raises: what is wrong is collected, so that the gates before validation can still ask
who sends and to whom. Unknown fields are ignored, as the official clients send some.
"""

import base64
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import orjson

from queensmtp import addresses
from queensmtp.addresses import AddressRefused, Mailbox
from queensmtp.errors import FieldError, MissingField, ValidationFailed
from sending import content_rules, moments, submitted_files
from sending.contents import Attachment, Content
from sending.moments import MomentRefused

TAGS_MAXIMUM = 50
TAG = re.compile(r"[A-Za-z0-9_-]{1,256}")
MISSING = "missing"


@dataclass(slots=True)
class Submission:
    """What a caller asks to be sent. `problems` is empty, or it cannot be."""

    sender: Mailbox | None = None
    to: tuple[Mailbox, ...] = ()
    cc: tuple[Mailbox, ...] = ()
    bcc: tuple[Mailbox, ...] = ()
    reply_to: tuple[Mailbox, ...] = ()
    subject: str = ""
    text: str | None = None
    html: str | None = None
    headers: tuple[tuple[str, str], ...] = ()
    attachments: tuple[Attachment, ...] = ()
    tags: tuple[dict[str, str], ...] = ()
    # Mail that people may unsubscribe from.
    marketing: bool = False
    # None leaves it to the domain.
    open_tracking: bool | None = None
    click_tracking: bool | None = None
    # Not sent where TLS is not offered, whatever the domain says.
    enforces_tls: bool = False
    scheduled_at: datetime | None = None
    problems: list[FieldError] = field(default_factory=list)

    @property
    def recipients(self) -> dict[str, str]:
        """Each address once, with the first of to, cc and bcc that names it."""
        found: dict[str, str] = {}
        for kind, mailboxes in (("to", self.to), ("cc", self.cc), ("bcc", self.bcc)):
            for mailbox in mailboxes:
                found.setdefault(mailbox.address, kind)
        return found

    @property
    def size(self) -> int:
        """The octets of its texts and files, before any transfer encoding."""
        texts = sum(
            len(one.encode(errors="surrogatepass")) for one in (self.text, self.html) if one
        )
        return texts + sum(len(one.data) for one in self.attachments)

    def refuse(self, name: str, code: str, message: str) -> None:
        self.problems.append(FieldError(name, code, message))

    def raise_problems(self) -> None:
        """Raise a 422 that names every field that is wrong."""
        if not self.problems:
            return
        first = self.problems[0]
        if first.code == MISSING:
            # One of two is missing, and the mend is either.
            names = "`html` or `text`" if first.field == "html" else f"`{first.field}`"
            raise MissingField(f"Missing {names} field.", errors=self.problems)
        raise ValidationFailed(f"`{first.field}` {first.message}.", errors=self.problems)

    def content(self, *, message_id: str, date: datetime) -> Content:
        """What the message is built of; only for a submission without problems."""
        assert self.sender is not None
        return Content(
            sender=self.sender,
            to=self.to,
            cc=self.cc,
            reply_to=self.reply_to,
            subject=self.subject,
            message_id=message_id,
            date=date,
            text=self.text,
            html=self.html,
            headers=self.headers,
            attachments=self.attachments,
        )

    def sealed_part(self) -> bytes:
        """The part that is stored encrypted, as JSON; `opened` reads it back."""
        return orjson.dumps(
            {
                "text": self.text,
                "html": self.html,
                "headers": self.headers,
                "marketing": self.marketing,
                "open_tracking": self.open_tracking,
                "click_tracking": self.click_tracking,
                "enforces_tls": self.enforces_tls,
                "attachments": [
                    {
                        "filename": one.filename,
                        "content_type": one.content_type,
                        "content_id": one.content_id,
                        "data": base64.b64encode(one.data).decode(),
                    }
                    for one in self.attachments
                ],
            }
        )


@dataclass(frozen=True, slots=True)
class Sealed:
    """The stored part of a message, opened."""

    text: str | None
    html: str | None
    headers: tuple[tuple[str, str], ...]
    attachments: tuple[Attachment, ...]
    marketing: bool = False
    open_tracking: bool | None = None
    click_tracking: bool | None = None
    enforces_tls: bool = False


def opened(sealed_part: bytes) -> Sealed:
    """Read what `Submission.sealed_part` wrote."""
    found = orjson.loads(sealed_part)
    return Sealed(
        text=found["text"],
        html=found["html"],
        headers=tuple((name, value) for name, value in found["headers"]),
        attachments=tuple(
            Attachment(
                filename=one["filename"],
                content_type=one["content_type"],
                content_id=one["content_id"],
                data=base64.b64decode(one["data"]),
            )
            for one in found["attachments"]
        ),
        marketing=found.get("marketing", False),
        open_tracking=found.get("open_tracking"),
        click_tracking=found.get("click_tracking"),
        enforces_tls=found.get("enforces_tls", False),
    )


def message_id_for(email_id: UUID, sender: Mailbox) -> str:
    """The Message-ID, the same on every attempt, so that a duplicate can be recognised."""
    return f"{email_id}@{sender.domain}"


def read(body: Any, *, recipients_maximum: int, now: datetime | None = None) -> Submission:
    """Read one e-mail object; every problem is in `problems`. `now` is the time of the request."""
    submission = Submission()
    if not isinstance(body, Mapping):
        submission.refuse("body", "not_an_object", "must be a JSON object")
        return submission
    submission.sender = _sender(body, submission)
    for name in ("to", "cc", "bcc", "reply_to"):
        mailboxes = _mailboxes(body.get(name), name, submission, maximum=recipients_maximum)
        setattr(submission, name, mailboxes)
    if "to" not in body:
        submission.refuse("to", MISSING, "is required")
    elif not submission.to and not _has_problem(submission, "to"):
        submission.refuse("to", "empty", "must name at least one recipient")
    _read_content(body, submission)
    if body.get("scheduled_at") is not None:
        given, now = body["scheduled_at"], now or datetime.now(UTC)
        submission.scheduled_at = read_time(given, now=now, problems=submission.problems)
    return submission


def read_time(given: Any, *, now: datetime, problems: list[FieldError]) -> datetime | None:
    """When to send; None when it is wrong, which is then among `problems`."""
    if not isinstance(given, str):
        problems.append(FieldError("scheduled_at", "not_a_text", "must be a text"))
        return None
    try:
        return moments.read(given, now=now)
    except MomentRefused as refused:
        problems.append(FieldError("scheduled_at", refused.code, refused.message))
        return None


def read_tls(given: Any, *, problems: list[FieldError]) -> bool:
    """Whether TLS is enforced; the words are those of a domain's `tls`."""
    if given not in (None, "opportunistic", "enforced"):
        problems.append(FieldError("tls", "invalid", "must be `opportunistic` or `enforced`"))
    return bool(given == "enforced")


def _read_content(body: Mapping[str, Any], submission: Submission) -> None:
    if body.get("subject") is None:
        submission.refuse("subject", MISSING, "is required")
    submission.subject = _text(body, "subject", submission) or ""
    submission.text = _text(body, "text", submission)
    submission.html = _text(body, "html", submission)
    if body.get("template") is not None:
        submission.refuse("template", "unsupported", "is not supported yet; send html or text")
    if submission.text is None and submission.html is None:
        submission.refuse("html", MISSING, "or `text` is required")
    submission.headers = _headers(body.get("headers"), submission)
    submission.attachments = submitted_files.read(
        body.get("attachments"), problems=submission.problems
    )
    submission.tags = read_tags(body.get("tags"), problems=submission.problems)
    submission.marketing = _flag(body, "marketing", submission) or False
    submission.open_tracking = _flag(body, "open_tracking", submission)
    submission.click_tracking = _flag(body, "click_tracking", submission)
    submission.enforces_tls = read_tls(body.get("tls"), problems=submission.problems)
    if submission.sender is not None:
        moment = datetime(2000, 1, 1)  # noqa: DTZ001 - only the content is looked at
        content = submission.content(message_id="", date=moment)
        submission.problems.extend(content_rules.validate_content(content))


def _sender(body: Mapping[str, Any], submission: Submission) -> Mailbox | None:
    given = body.get("from")
    if given is None:
        submission.refuse("from", MISSING, "is required")
        return None
    return _mailbox(given, "from", submission)


def _mailbox(given: Any, name: str, submission: Submission) -> Mailbox | None:
    if not isinstance(given, str):
        submission.refuse(name, "not_a_text", "must be a text such as `Ann <ann@example.com>`")
        return None
    try:
        return addresses.parse(given)
    except AddressRefused as refused:
        submission.refuse(name, refused.code, refused.message)
        return None


def _mailboxes(
    given: Any, name: str, submission: Submission, *, maximum: int
) -> tuple[Mailbox, ...]:
    if given is None or given == "":
        return ()
    many = given if isinstance(given, list) else [given]
    if len(many) > maximum:
        submission.refuse(name, "too_many", f"must name at most {maximum} addresses")
        return ()
    place: Callable[[int], str] = lambda at: f"{name}[{at}]" if isinstance(given, list) else name  # noqa: E731
    found = [_mailbox(one, place(at), submission) for at, one in enumerate(many)]
    return tuple(mailbox for mailbox in found if mailbox is not None)


def _has_problem(submission: Submission, name: str) -> bool:
    return any(one.field.partition("[")[0] == name for one in submission.problems)


def _text(body: Mapping[str, Any], name: str, submission: Submission) -> str | None:
    value = body.get(name)
    if value is None or isinstance(value, str):
        return value
    submission.refuse(name, "not_a_text", "must be a text")
    return None


def _flag(body: Mapping[str, Any], name: str, submission: Submission) -> bool | None:
    value = body.get(name)
    if value is None or isinstance(value, bool):
        return value
    submission.refuse(name, "not_a_flag", "must be true or false")
    return None


def _headers(given: Any, submission: Submission) -> tuple[tuple[str, str], ...]:
    if given is None:
        return ()
    if not isinstance(given, dict):
        submission.refuse("headers", "not_an_object", "must be an object of names and values")
        return ()
    found = []
    for name, value in given.items():
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            submission.refuse(f"headers.{name[:76]}", "not_a_text", "must be a text")
        else:
            found.append((name, str(value)))
    return tuple(found)


def read_tags(given: Any, *, problems: list[FieldError]) -> tuple[dict[str, str], ...]:
    """Tags of a message; what is wrong with them goes into `problems`."""
    if given is None:
        return ()
    if not isinstance(given, list) or len(given) > TAGS_MAXIMUM:
        message = f"must be a list of at most {TAGS_MAXIMUM} tags"
        problems.append(FieldError("tags", "invalid", message))
        return ()
    found = []
    for at, tag in enumerate(given):
        name, value = _tag_parts(tag)
        if not TAG.fullmatch(name) or not (value == "" or TAG.fullmatch(value)):
            message = "must have a name and a value of ASCII letters, digits, _ and -"
            problems.append(FieldError(f"tags[{at}]", "invalid", message))
        else:
            found.append({"name": name, "value": value})
    return tuple(found)


def _tag_parts(tag: Any) -> tuple[str, str]:
    if not isinstance(tag, dict):
        return "", ""
    name, value = tag.get("name"), tag.get("value")
    if not isinstance(name, str) or not isinstance(value, str | None):
        return "", ""
    return name, value or ""
