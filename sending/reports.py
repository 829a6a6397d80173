"""Reads what comes back: RFC 3464 delivery reports and RFC 5965 abuse reports. Pure.

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
_BOTH_CODES = re.compile(r"\b[245]\d\d[ -]([245]\.\d{1,3}\.\d{1,3})(?= |$)")


class Kind(StrEnum):
    FAILED = "failed"
    DELAYED = "delayed"
    COMPLAINT = "complaint"
    # It came from a mail system and says nothing that can be acted upon.
    UNCLEAR = "unclear"


# RFC 3464 2.3.3, and a word that some write for it.
_ACTIONS = {"failed": Kind.FAILED, "failure": Kind.FAILED, "delayed": Kind.DELAYED}
# RFC 5965 7.3 and later registrations. `not-spam` takes a complaint back, and says nothing more.
_COMPLAINTS = frozenset({"abuse", "fraud", "virus", "other", "opt-out", "opt-out-list"})
DELIVERY_REPORTS = ("message/delivery-status", "message/global-delivery-status")
FEEDBACK_REPORT = "message/feedback-report"


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


def opened(content: bytes) -> Message | None:
    """The mail, parsed; None when it could cost more than a report is worth."""
    content = content[:READ_AT_MOST]
    if len(_NESTING.findall(content)) > NESTED_AT_MOST:
        return None
    if any(len(one[0]) > CONTENT_TYPE_AT_MOST for one in _CONTENT_TYPE.finditer(content)):
        return None
    return email.message_from_bytes(content, policy=email.policy.compat32)


def formal_part(mail: Message) -> Message | None:
    """The part of a report that is for programs; None in a mail that has none."""
    for report in (mail, *parts(mail)):
        if report.get_content_type() == "multipart/report":
            for part in parts(report):
                if _is_for_programs(part):
                    return part
    return None


def _is_for_programs(part: Message) -> bool:
    if part.get_content_type() == FEEDBACK_REPORT:
        return True
    is_delivery_report = part.get_content_type() in DELIVERY_REPORTS
    return is_delivery_report and any("Action" in group for group in _groups(part))


def read(part: Message) -> Report | None:
    """What the part that is for programs says; None when it is nothing that we act upon."""
    if part.get_content_type() == FEEDBACK_REPORT:
        return _complaint(feedback_fields(part))
    return _delivery_report(_groups(part))


def parts(mail: Message) -> Iterator[Message]:
    """The parts of the mail itself; not those of a message that came back with it."""
    is_message = mail.get_content_maintype() != "multipart"
    payload = mail.get_payload()
    for part in payload if isinstance(payload, list) and not is_message else []:
        if isinstance(part, Message):
            yield part


def all_parts(mail: Message) -> Iterator[Message]:
    """The mail, its parts, and those of a report that a gateway put into one of them."""
    yield mail
    for part in parts(mail):
        yield part
        if part.get_content_type() == "multipart/report":
            yield from parts(part)


def feedback_fields(part: Message) -> Message:
    """The fields of a feedback report (RFC 5965 3)."""
    return next(_groups(part), Message())


def text_of(fields: Message, name: str) -> str:
    """One line of printable text, whatever was sent."""
    return one_line(str(fields.get(name, ""))[: 4 * TEXT_AT_MOST])


def one_line(text: str) -> str:
    """Printable, without line ends, and of a length that can be stored."""
    shown = "".join(char if char.isprintable() else " " for char in text)
    return " ".join(shown.split())[:TEXT_AT_MOST]


def _groups(part: Message) -> Iterator[Message]:
    """Groups of fields: one about the message, then one for each recipient (RFC 3464 2.1)."""
    payload = part.get_payload()
    for group in (payload if isinstance(payload, list) else [])[: RECIPIENTS_AT_MOST + 1]:
        if isinstance(group, Message):
            yield group


def _delivery_report(groups: Iterable[Message]) -> Report | None:
    about_message, *recipients = list(groups) or [Message()]
    found = [(_ACTIONS.get(_first_word(text_of(one, "Action"))), one) for one in recipients]
    for wanted in (Kind.FAILED, Kind.DELAYED):
        for kind, fields in found:
            if kind is wanted:
                return _of_recipient(kind, fields, about_message)
    return None


def _of_recipient(kind: Kind, fields: Message, about_message: Message) -> Report:
    diagnostic = _without_type(text_of(fields, "Diagnostic-Code"))
    code = _CODE.search(diagnostic)
    reporter = text_of(fields, "Remote-MTA") or text_of(about_message, "Reporting-MTA")
    return Report(
        kind,
        text=diagnostic or f"The report gives no reason; its action is {kind}.",
        status=_status(text_of(fields, "Status"), diagnostic),
        code=int(code[1]) if code else 0,
        reporter=_without_type(reporter)[:253],
    )


def _status(field: str, diagnostic: str) -> str:
    """Exim writes x.0.0 whatever the refusing server said, and quotes it beside."""
    found = _STATUS.search(field)
    status = found[0] if found else ""
    quoted = _BOTH_CODES.search(diagnostic)
    if quoted and (not status or (status.endswith(".0.0") and quoted[1][0] == status[0])):
        return quoted[1]
    return status


def _first_word(text: str) -> str:
    return text.lower().partition(" ")[0]


def _complaint(fields: Message) -> Report | None:
    kind = text_of(fields, "Feedback-Type").lower()
    if kind not in _COMPLAINTS:
        return None
    reporter = _without_type(text_of(fields, "Reporting-MTA")) or text_of(fields, "User-Agent")
    return Report(Kind.COMPLAINT, text=kind, reporter=reporter[:253])


def _without_type(value: str) -> str:
    """`smtp; 550 No such user` and `dns; mx.example` without what stands before the semicolon."""
    kind, semicolon, rest = value.partition(";")
    return rest.strip() if semicolon and kind.strip().replace("-", "").isalnum() else value
