"""Reads what comes to a return path: RFC 3464 delivery reports and RFC 5965 abuse reports. Pure.

The mail was written by strangers. Its size, its depth and the length of the header that the
standard library reads in quadratic time are bounded before anything is parsed, and whatever is
no report is None.
"""

import email
import email.policy
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from email.message import Message
from enum import StrEnum

# The reports stand before the message that comes back with them.
READ_AT_MOST = 512 * 1024
# Each level of nesting is a level of recursion in the standard library.
NESTED_AT_MOST = 30
CONTENT_TYPE_AT_MOST = 2_000
RECIPIENTS_AT_MOST = 100
TEXT_AT_MOST = 1_000

_NESTING = re.compile(rb"multipart/|message/", re.IGNORECASE)
_CONTENT_TYPE = re.compile(rb"^content-type:[^\n]*(?:\n[ \t][^\n]*)*", re.IGNORECASE | re.MULTILINE)
_STATUS = re.compile(r"[245]\.\d{1,3}\.\d{1,3}")
_CODE = re.compile(r"\b([245]\d\d)\b")


class Kind(StrEnum):
    FAILED = "failed"
    DELAYED = "delayed"
    COMPLAINT = "complaint"


# The most final first.
_ACTIONS = {"failed": Kind.FAILED, "delayed": Kind.DELAYED}
# RFC 5965 7.3 and later registrations. `not-spam` takes a complaint back, and says nothing more.
_COMPLAINTS = frozenset({"abuse", "fraud", "virus", "other", "opt-out", "opt-out-list"})


@dataclass(frozen=True, slots=True)
class Report:
    """What a report says of the one message that its return path belongs to."""

    kind: Kind
    # The reporter's words: a diagnostic code, or the sort of a complaint.
    text: str
    status: str = ""
    code: int = 0
    # The server that refused, or the provider that passes the complaint on.
    reporter: str = ""


def read(content: bytes) -> Report | None:
    """The report in a mail; None when it holds none that we act upon."""
    content = content[:READ_AT_MOST]
    if len(_NESTING.findall(content)) > NESTED_AT_MOST:
        return None
    if any(len(one[0]) > CONTENT_TYPE_AT_MOST for one in _CONTENT_TYPE.finditer(content)):
        return None
    mail = email.message_from_bytes(content, policy=email.policy.compat32)
    if mail.get_content_type() != "multipart/report":
        return None
    for part in _parts(mail):
        kind = part.get_content_type()
        if kind in ("message/delivery-status", "message/global-delivery-status"):
            return _delivery_report(_groups(part))
        if kind == "message/feedback-report":
            return _complaint(next(_groups(part), Message()))
    return None


def _parts(mail: Message) -> Iterator[Message]:
    """The parts of the report itself; not those of the message that came back with it."""
    payload = mail.get_payload()
    for part in payload if isinstance(payload, list) else []:
        if isinstance(part, Message):
            yield part


def _groups(part: Message) -> Iterator[Message]:
    """Groups of fields: one about the message, then one for each recipient (RFC 3464 2.1)."""
    payload = part.get_payload()
    for group in (payload if isinstance(payload, list) else [])[: RECIPIENTS_AT_MOST + 1]:
        if isinstance(group, Message):
            yield group


def _delivery_report(groups: Iterable[Message]) -> Report | None:
    about_message, *recipients = list(groups) or [Message()]
    found = [(_ACTIONS.get(_text(one, "Action").lower()), one) for one in recipients]
    for wanted in _ACTIONS.values():
        for kind, fields in found:
            if kind is wanted:
                return _of_recipient(kind, fields, about_message)
    return None


def _of_recipient(kind: Kind, fields: Message, about_message: Message) -> Report:
    status = _STATUS.search(_text(fields, "Status"))
    diagnostic = _without_type(_text(fields, "Diagnostic-Code"))
    code = _CODE.search(diagnostic)
    reporter = _text(fields, "Remote-MTA") or _text(about_message, "Reporting-MTA")
    return Report(
        kind,
        text=diagnostic or f"The report gives no reason; its action is {kind}.",
        status=status[0] if status else "",
        code=int(code[1]) if code else 0,
        reporter=_without_type(reporter)[:253],
    )


def _complaint(fields: Message) -> Report | None:
    kind = _text(fields, "Feedback-Type").lower()
    if kind not in _COMPLAINTS:
        return None
    reporter = _without_type(_text(fields, "Reporting-MTA")) or _text(fields, "User-Agent")
    return Report(Kind.COMPLAINT, text=kind, reporter=reporter[:253])


def _without_type(value: str) -> str:
    """`smtp; 550 No such user` and `dns; mx.example` without what stands before the semicolon."""
    kind, semicolon, rest = value.partition(";")
    return rest.strip() if semicolon and kind.strip().replace("-", "").isalnum() else value


def _text(fields: Message, name: str) -> str:
    """One line of printable text, whatever was sent."""
    value = str(fields.get(name, ""))[: 4 * TEXT_AT_MOST]
    shown = "".join(char if char.isprintable() else " " for char in value)
    return " ".join(shown.split())[:TEXT_AT_MOST]
