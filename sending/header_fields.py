"""Header fields as bytes: folded, and encoded where they are not plain. Pure.

A value is either plain printable ASCII without `=?`, or it is encoded by us.
"""

import binascii
import re
from collections.abc import Iterable
from datetime import UTC, datetime

from queensmtp.addresses import Mailbox
from sending.contents import Content

FOLD_AT = 76
WORD_LIMIT = 900

_ATOMS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?: [A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
_Q_SAFE = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!*+-/")
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec"


def of_content(content: Content) -> list[tuple[str, bytes]]:
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


def field(name: str, value: bytes) -> bytes:
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
