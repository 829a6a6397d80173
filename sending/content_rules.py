"""What of a content cannot be sent as it is, field by field. Pure."""

import re
from collections.abc import Mapping

from queensmtp.errors import FieldError
from sending import media_types
from sending.contents import Attachment, Content
from sending.header_fields import WORD_LIMIT

HEADER_COUNT_LIMIT = 100
HEADER_NAME_LIMIT = 76
HEADER_VALUE_LIMIT = 8_000
SUBJECT_LIMIT = 2_000
FILENAME_LIMIT = 255

# RFC 5322 2.2 allows more in a name; nobody needs more, and readers disagree about the rest.
_HEADER_NAME = re.compile(r"[A-Za-z][A-Za-z0-9-]*")
_ALLOWED_PREFIXES = ("x-", "list-")
_REFUSED_PREFIXES = ("x-queensmtp-",)
_ALLOWED_HEADERS = frozenset(
    {
        "archived-at",
        "auto-submitted",
        "autocrypt",
        "comments",
        "expires",
        "feedback-id",
        "importance",
        "in-reply-to",
        "keywords",
        "organization",
        "precedence",
        "priority",
        "references",
        "sensitivity",
        "supersedes",
        "thread-index",
        "thread-topic",
    }
)
_HAS_OWN_FIELD = {
    "from": "from",
    "to": "to",
    "cc": "cc",
    "bcc": "bcc",
    "reply-to": "reply_to",
    "subject": "subject",
}

_CONTROL = re.compile("[\x00-\x08\x0a-\x1f\x7f]")
_SURROGATE = re.compile("[\ud800-\udfff]")
_CONTENT_ID = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.@-]{1,200}")


def validate_content(content: Content) -> list[FieldError]:
    """Everything in the content that cannot be sent as it is. Empty means that it will build."""
    problems = [*validate_headers(dict(content.headers))]
    if len(dict(content.headers)) != len(content.headers):
        problems.append(FieldError("headers", "duplicate_header", "names a header twice"))
    problems.extend(_subject_problems(content.subject))
    for field, body in (("text", content.text), ("html", content.html)):
        problems.extend(_body_problems(field, body))
    for index, attachment in enumerate(content.attachments):
        problems.extend(validate_attachment(f"attachments[{index}]", attachment))
    return problems


def validate_headers(headers: Mapping[str, str]) -> list[FieldError]:
    """What is wrong with custom headers: only known and harmless names, one line each."""
    if len(headers) > HEADER_COUNT_LIMIT:
        message = f"holds more than {HEADER_COUNT_LIMIT} headers"
        return [FieldError("headers", "too_many_headers", message)]
    problems = []
    seen = set()
    for name, value in headers.items():
        field = f"headers.{_shown(name)}"
        problem = _name_problem(name) or _value_problem(value)
        if problem:
            problems.append(FieldError(field, *problem))
        elif name.lower() in seen:
            problems.append(FieldError(field, "duplicate_header", "is there twice"))
        seen.add(name.lower())
    return problems


def validate_attachment(field: str, attachment: Attachment) -> list[FieldError]:
    """What is wrong with one attachment; `field` is its place in the request."""
    problems = []
    if not attachment.filename and not attachment.content_id:
        problems.append(FieldError(f"{field}.filename", "missing", "needs a filename"))
    if len(attachment.filename) > FILENAME_LIMIT:
        problems.append(
            FieldError(
                f"{field}.filename", "too_long", f"is longer than {FILENAME_LIMIT} characters"
            )
        )
    if _unsendable(attachment.filename) or "\t" in attachment.filename:
        problems.append(
            FieldError(f"{field}.filename", "control_character", "holds a control character")
        )
    if media_types.read(attachment.content_type) is None:
        problems.append(
            FieldError(f"{field}.content_type", "invalid_content_type", "is no type/subtype")
        )
    if attachment.content_id and not _CONTENT_ID.fullmatch(attachment.content_id):
        problems.append(
            FieldError(
                f"{field}.content_id", "invalid_content_id", "holds a character that no id has"
            )
        )
    return problems


def _shown(name: str) -> str:
    return ascii(name)[1:-1][:HEADER_NAME_LIMIT]


def _name_problem(name: str) -> tuple[str, str] | None:
    if len(name) > HEADER_NAME_LIMIT or not _HEADER_NAME.fullmatch(name):
        return "invalid_header_name", "is no header name: use letters, digits and hyphens"
    lowered = name.lower()
    if lowered in _HAS_OWN_FIELD:
        return "header_not_allowed", f"is set by the field `{_HAS_OWN_FIELD[lowered]}`"
    if lowered.startswith(_REFUSED_PREFIXES):
        return "header_not_allowed", "is reserved for the platform"
    if lowered in _ALLOWED_HEADERS or lowered.startswith(_ALLOWED_PREFIXES):
        return None
    return "header_not_allowed", "is not taken as a custom header; use a name that begins with X-"


def _value_problem(value: str) -> tuple[str, str] | None:
    if len(value) > HEADER_VALUE_LIMIT:
        return "too_long", f"is longer than {HEADER_VALUE_LIMIT} characters"
    if _unsendable(value):
        return "control_character", "holds a line break or another control character"
    if value.isascii() and max(map(len, value.split() or [""])) > WORD_LIMIT:
        return "too_long", f"has more than {WORD_LIMIT} characters without a space"
    return None


def _subject_problems(subject: str) -> list[FieldError]:
    if len(subject) > SUBJECT_LIMIT:
        return [FieldError("subject", "too_long", f"is longer than {SUBJECT_LIMIT} characters")]
    if _unsendable(subject):
        message = "holds a line break or another control character"
        return [FieldError("subject", "control_character", message)]
    return []


def _body_problems(field: str, body: str | None) -> list[FieldError]:
    if body and "\0" in body:
        return [FieldError(field, "control_character", "holds a NUL character")]
    if body and not body.isascii() and _SURROGATE.search(body):
        return [FieldError(field, "invalid_unicode", "holds half of a surrogate pair")]
    return []


def _unsendable(text: str) -> bool:
    if text.isascii() and text.isprintable():
        return False
    return bool(_CONTROL.search(text) or _SURROGATE.search(text))
