"""The bytes of a message, built by join and checked before anybody sees them. Pure.

The standard library is not used to write headers: on common interpreters an encoded word in a
value can smuggle CRLF and a further header into what it emits. Here a value is either plain
printable ASCII without `=?`, or it is encoded by us; and `check_emitted` reads the finished
bytes back and compares the headers with those that were asked for.
"""

import binascii
import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import quote

from queensmtp.addresses import Mailbox
from queensmtp.errors import FieldError

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LINE_LIMIT = 998  # RFC 5322 2.1.1
FOLD_AT = 76
HEADER_COUNT_LIMIT = 100
HEADER_NAME_LIMIT = 76
HEADER_VALUE_LIMIT = 8_000
WORD_LIMIT = 900
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

# A part of a body: its header fields and its encoded bytes.
Part = tuple[list[tuple[str, bytes]], bytes]

_CONTROL = re.compile("[\x00-\x08\x0a-\x1f\x7f]")
_SURROGATE = re.compile("[\ud800-\udfff]")
_ATOMS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?: [A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
_Q_SAFE = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!*+-/")
_LINE_ENDS = re.compile("\r\n|\r|\n")
_PLAIN_OCTETS = bytes([*b"\t\r\n", *range(0x20, 0x7F)])
_PLAIN_LINE_LIMIT = 900
_TOKEN = r"[A-Za-z0-9!#$&^_.+-]+"
_MEDIA_TYPE = re.compile(rf"({_TOKEN})/({_TOKEN})")
_PARAMETER = re.compile(rf'\s*;\s*({_TOKEN})\s*=\s*(?:({_TOKEN}(?:/{_TOKEN})*)|"([^"\\\r\n]*)")')
_KEPT_PARAMETERS = frozenset({"charset", "method", "format", "delsp", "profile", "component"})
_CONTENT_ID = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.@-]{1,200}")
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec"


class EmittedHeadersDiffer(Exception):
    """The finished bytes do not hold exactly the headers that were asked for."""


@dataclass(frozen=True, slots=True)
class Attachment:
    """One file. With a content id it is an inline image that the html refers to by `cid:`."""

    filename: str
    content_type: str
    data: bytes
    content_id: str = ""


@dataclass(frozen=True, slots=True)
class Content:
    """All that a message is made of. Nothing else reaches its bytes.

    The message id stands without its angle brackets.
    """

    sender: Mailbox
    to: tuple[Mailbox, ...]
    subject: str
    message_id: str
    date: datetime
    text: str | None = None
    html: str | None = None
    cc: tuple[Mailbox, ...] = ()
    reply_to: tuple[Mailbox, ...] = ()
    headers: tuple[tuple[str, str], ...] = ()
    attachments: tuple[Attachment, ...] = ()


# Building


def build(content: Content) -> bytes:
    """The whole message with CRLF line ends, without DKIM-Signature, checked.

    The same content gives the same bytes: a retry sends what was sent before.
    """
    fields = _header_fields(content)
    body_fields, body = _body(content)
    lines = [*(_field(name, value) for name, value in [*fields, *body_fields]), b"", body]
    message = b"\r\n".join(lines)
    check_emitted(message, [name for name, _ in [*fields, *body_fields]])
    return message


def check_emitted(message: bytes, expected_header_names: Sequence[str]) -> None:
    """Raise unless the headers are exactly these in this order, and every line is sound."""
    ends = message.count(b"\r\n")
    if message.count(b"\r") != ends or message.count(b"\n") != ends or b"\0" in message:
        raise EmittedHeadersDiffer("a bare CR, a bare LF or a NUL was emitted")
    if max(map(len, message.split(b"\r\n"))) > LINE_LIMIT:
        raise EmittedHeadersDiffer(f"a line of more than {LINE_LIMIT} octets was emitted")
    found = [name.lower() for name in header_names(message)]
    if found != [name.lower() for name in expected_header_names]:
        raise EmittedHeadersDiffer(f"emitted {found}, asked for {list(expected_header_names)}")


def header_names(message: bytes) -> list[str]:
    """The names of the header fields as they stand in the bytes, in order."""
    block, blank_line, _ = message.partition(b"\r\n\r\n")
    if not blank_line:
        raise EmittedHeadersDiffer("the headers do not end")
    names = []
    for line in block.split(b"\r\n"):
        if line[:1] in (b" ", b"\t"):
            continue
        name, colon, _ = line.partition(b":")
        if not colon or not name.isascii():
            raise EmittedHeadersDiffer("a line of the header block is no header")
        names.append(name.decode())
    return names


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
    if read_content_type(attachment.content_type) is None:
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


def read_content_type(text: str) -> tuple[str, dict[str, str]] | None:
    """The media type of an attachment and the parameters that we keep, or None if it is none.

    A type that would nest messages in the message is sent as a plain file (RFC 2046 5.2.1
    forbids base64 inside message/*), and multipart makes no sense for one file.
    """
    media_type = _MEDIA_TYPE.match(text)
    if len(text) > 255 or not media_type:
        return None
    parameters = {}
    position = media_type.end()
    while position < len(text.rstrip("; ")):
        parameter = _PARAMETER.match(text, position)
        if not parameter:
            return None
        value = parameter[2] if parameter[2] is not None else parameter[3]
        if not value.isascii() or not value.isprintable():
            return None
        if parameter[1].lower() in _KEPT_PARAMETERS:
            parameters[parameter[1].lower()] = value
        position = parameter.end()
    kind = media_type[0].lower()
    if kind.startswith(("message/", "multipart/")):
        return "application/octet-stream", {}
    return kind, parameters


# Validation of single values


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


# Headers


def _header_fields(content: Content) -> list[tuple[str, bytes]]:
    fields = [("From", _mailboxes("From", [content.sender]))]
    fields.append(("To", _mailboxes("To", content.to) or b"undisclosed-recipients:;"))
    if content.cc:
        fields.append(("Cc", _mailboxes("Cc", content.cc)))
    if content.reply_to:
        fields.append(("Reply-To", _mailboxes("Reply-To", content.reply_to)))
    fields += [
        ("Subject", _unstructured("Subject", content.subject)),
        ("Date", _date(content.date)),
        ("Message-ID", b"<%b>" % content.message_id.encode("ascii")),
        ("MIME-Version", b"1.0"),
    ]
    fields += [(name, _unstructured(name, value)) for name, value in content.headers]
    return fields


def _field(name: str, value: bytes) -> bytes:
    return b"%b: %b" % (name.encode("ascii"), value)


def _date(moment: datetime) -> bytes:
    """RFC 5322 3.3, always in UTC: `Sat, 21 Nov 2026 21:40:00 +0000`."""
    utc = moment.astimezone(UTC)
    day, month = _DAYS[utc.weekday()], _MONTHS[utc.month * 4 - 4 :][:3]
    return f"{day}, {utc.day:02} {month} {utc.year:04} {utc:%H:%M:%S} +0000".encode()


def _mailboxes(field: str, mailboxes: Iterable[Mailbox]) -> bytes:
    lines: list[bytes] = []
    used = len(field) + 2
    for mailbox in mailboxes:
        shown = _mailbox(mailbox, used)
        first_line = shown.partition(b"\r\n")[0]
        if lines and used + len(first_line) + 2 <= FOLD_AT:
            lines[-1] += b" " + shown
        else:
            lines.append(b" " + _mailbox(mailbox, 1) if lines else shown)
        lines[-1] += b","
        used = len(lines[-1].rpartition(b"\r\n")[2]) + 1
    return b"\r\n".join(lines)[:-1]


def _mailbox(mailbox: Mailbox, used: int) -> bytes:
    address = mailbox.address.encode()
    if not mailbox.name:
        return address
    return b"%b <%b>" % (_phrase(mailbox.name, used), address)


def _phrase(name: str, used: int) -> bytes:
    if "=?" not in name and name.isascii() and name.isprintable():
        if _ATOMS.fullmatch(name):
            return name.encode()
        return b'"%b"' % name.replace("\\", "\\\\").replace('"', '\\"').encode()
    return b"\r\n ".join(_encoded_words(name, used))


def _unstructured(field: str, value: str) -> bytes:
    if not _goes_plain(value):
        return b"\r\n ".join(_encoded_words(value, len(field) + 2))
    line = value.encode("ascii")
    if len(field) + 2 + len(line) <= FOLD_AT:
        return line
    return _folded(line.split(b" "), len(field) + 2)


def _goes_plain(value: str) -> bool:
    """Whether a value may stand as it is and be folded at its spaces without changing."""
    if not value.isascii() or not value.isprintable() or "=?" in value:
        return False
    if value[:1] == " " or value[-1:] == " " or "  " in value:
        return False
    return max(map(len, value.split(" "))) <= WORD_LIMIT


def _folded(words: list[bytes], used: int) -> bytes:
    lines = [words[0]]
    for word in words[1:]:
        if used + len(lines[-1]) + 1 + len(word) > FOLD_AT:
            lines.append(word)
            used = 1
        else:
            lines[-1] += b" " + word
    return b"\r\n ".join(lines)


def _encoded_words(text: str, used: int) -> list[bytes]:
    """RFC 2047 words in UTF-8, each short enough for its line, none splitting a character."""
    data = text.encode()
    as_q = sum(1 if octet in _Q_SAFE or octet == 32 else 3 for octet in data)
    encode, width = (_q_word, _q_width) if as_q <= len(data) * 4 // 3 else (_b_word, _b_width)
    words: list[bytes] = []
    chunk, room = b"", max(FOLD_AT - used, 30) - len("=?utf-8?q??=")
    for char in text:
        octets = char.encode()
        if chunk and width(chunk + octets) > room:
            words.append(encode(chunk))
            chunk, room = b"", FOLD_AT - 1 - len("=?utf-8?q??=")
        chunk += octets
    return [*words, encode(chunk)]


def _q_width(chunk: bytes) -> int:
    return sum(1 if octet in _Q_SAFE or octet == 32 else 3 for octet in chunk)


def _b_width(chunk: bytes) -> int:
    return (len(chunk) + 2) // 3 * 4


def _q_word(chunk: bytes) -> bytes:
    body = "".join(
        chr(octet) if octet in _Q_SAFE else "_" if octet == 32 else f"={octet:02X}"
        for octet in chunk
    )
    return f"=?utf-8?q?{body}?=".encode()


def _b_word(chunk: bytes) -> bytes:
    return b"=?utf-8?b?%b?=" % binascii.b2a_base64(chunk, newline=False)


# Bodies


def _body(content: Content) -> Part:
    """Text and html as alternatives, inline images beside the html, files around it all."""
    inline = [a for a in content.attachments if a.content_id and content.html]
    files = [a for a in content.attachments if not (a.content_id and content.html)]
    parts = []
    if content.text or not content.html:
        parts.append(_text_part("plain", content.text or ""))
    if content.html:
        html = _text_part("html", content.html)
        related = [html, *map(_file_part, inline)]
        parts.append(_multipart(content, "related", related))
    body = _multipart(content, "alternative", parts)
    return _multipart(content, "mixed", [body, *map(_file_part, files)])


def _multipart(content: Content, kind: str, parts: list[Part]) -> Part:
    """The parts in one multipart; a single part stands for itself."""
    if len(parts) == 1:
        return parts[0]
    boundary = _boundary(f"{kind}{content.message_id}", parts)
    pieces = []
    for fields, body in parts:
        pieces.append(b"--%b" % boundary)
        pieces += [_field(name, value) for name, value in fields]
        pieces += [b"", body]
    pieces += [b"--%b--" % boundary, b""]
    content_type = f'multipart/{kind};\r\n boundary="{boundary.decode()}"'
    return [("Content-Type", content_type.encode())], b"\r\n".join(pieces)


def _boundary(seed: str, parts: list[Part]) -> bytes:
    """From the message's own id, so that a retry has the same bytes; in none of the parts."""
    while True:
        boundary = b"=_" + hashlib.sha256(seed.encode()).hexdigest()[:32].encode()
        if not any(boundary in body for _, body in parts):
            return boundary
        seed += "'"


def _text_part(subtype: str, text: str) -> Part:
    encoding, body = _encoded_text(_with_crlf(text))
    content_type = f"text/{subtype}; charset=utf-8".encode()
    return [("Content-Type", content_type), ("Content-Transfer-Encoding", encoding)], body


def _with_crlf(text: str) -> bytes:
    if "\r" in text:
        text = _LINE_ENDS.sub("\n", text)
    if not text.endswith("\n"):
        text += "\n"
    return text.replace("\n", "\r\n").encode()


def _encoded_text(body: bytes) -> tuple[bytes, bytes]:
    """7bit if it can be, else the shorter of the two encodings; 8bit is for no relay's sake."""
    unusual = len(body.translate(None, _PLAIN_OCTETS))
    if unusual * 6 > len(body):
        return b"base64", _base64(body)
    if unusual or b"\nFrom " in body or body.startswith(b"From ") or _has_long_line(body):
        # Ends in CRLF already, from which b2a_qp takes its line ends.
        encoded = binascii.b2a_qp(body, istext=True)
        return b"quoted-printable", _without_from_lines(encoded)
    return b"7bit", body


def _without_from_lines(encoded: bytes) -> bytes:
    """Some mail stores put a > before `From `, and the signature would break."""
    if encoded.startswith(b"From "):
        encoded = b"=46" + encoded[1:]
    return encoded.replace(b"\nFrom ", b"\n=46rom ")


def _has_long_line(body: bytes) -> bool:
    return max(map(len, body.split(b"\r\n"))) > _PLAIN_LINE_LIMIT


def _base64(data: bytes) -> bytes:
    encoded = binascii.b2a_base64(data, newline=False)
    return b"\r\n".join([encoded[i : i + 76] for i in range(0, len(encoded), 76)])


def _file_part(attachment: Attachment) -> Part:
    kind, parameters = read_content_type(attachment.content_type) or (
        "application/octet-stream",
        {},
    )
    content_type = kind + "".join(f'; {name}="{value}"' for name, value in parameters.items())
    disposition = b"inline" if attachment.content_id else b"attachment"
    fields = [
        ("Content-Type", content_type.encode()),
        ("Content-Transfer-Encoding", b"base64"),
        ("Content-Disposition", disposition + _filename_parameters(attachment.filename)),
    ]
    if attachment.content_id:
        fields.append(("Content-ID", b"<%b>" % attachment.content_id.encode("ascii")))
    return fields, _base64(attachment.data)


def _filename_parameters(filename: str) -> bytes:
    if not filename:
        return b""
    if filename.isascii() and filename.isprintable() and "=?" not in filename:
        escaped = filename.replace("\\", "\\\\").replace('"', '\\"')
        return f';\r\n filename="{escaped}"'.encode()
    return _extended_filename(filename)


def _extended_filename(filename: str) -> bytes:
    """RFC 2231: percent-encoded UTF-8, in numbered pieces of at most 60 octets."""
    pieces = [""]
    for char in filename:
        octets = quote(char, safe="")
        if len(pieces[-1]) + len(octets) > 60:
            pieces.append("")
        pieces[-1] += octets
    if len(pieces) == 1:
        return f";\r\n filename*=utf-8''{pieces[0]}".encode()
    pieces[0] = f"utf-8''{pieces[0]}"
    return "".join(f";\r\n filename*{n}*={piece}" for n, piece in enumerate(pieces)).encode()
