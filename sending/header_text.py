"""Reads the headers of a message that somebody else wrote: strictly, or not at all. Pure.

What readers disagree about (two From headers, folded nonsense, comments, routes) is refused
rather than guessed, since the next reader may guess otherwise.
"""

import binascii
import re

from queensmtp import addresses
from queensmtp.addresses import AddressRefused, Mailbox

BLOCK_LIMIT = 256 * 1024
FIELDS_LIMIT = 500
MAILBOXES_LIMIT = 1_000

_FIELD = re.compile(r"([!-9;-~]{1,76}):(.*)", re.DOTALL)
_WORD = re.compile(r"=\?([A-Za-z0-9_.-]{1,40})(?:\*[A-Za-z0-9-]{1,20})?\?([bBqQ])\?([!->@-~]*)\?=")
_GAP = re.compile(r"[ \t]+")
_ESCAPED_OCTET = re.compile(rb"=([0-9A-Fa-f]{2})")
_ITEM = re.compile(r'(?:"(?:[^"\\]|\\.)*"|[^",])+')
_EMPTY_GROUP = re.compile(r'[^<>@",;:]*:[ \t]*;')
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"')
_QUOTED_PAIR = re.compile(r"\\(.)")
# No codec that is no charset: Python also knows `unicode_escape`, `punycode` and `idna`.
_CHARSETS = re.compile(
    r"utf-?8|us-ascii|iso-?8859-(?:[1-9]|1[013-6])|(?:windows-|cp)125[0-8]|koi8-[ru]"
    r"|iso-2022-(?:jp|kr)|shift_jis|euc-(?:jp|kr)|gb2312|gbk|gb18030|big5",
    re.IGNORECASE,
)


class UnreadableHeader(Exception):
    """A header that cannot be read in exactly one way."""


def split_message(content: bytes) -> tuple[list[tuple[str, str]], bytes]:
    """The header fields in order, unfolded, and the body. Lines end in CRLF already."""
    if content.startswith(b"\r\n"):
        return [], content[2:]
    block, _, body = content.partition(b"\r\n\r\n")
    if len(block) > BLOCK_LIMIT:
        raise UnreadableHeader(f"The headers are larger than {BLOCK_LIMIT} bytes")
    try:
        text = block.removesuffix(b"\r\n").decode("utf-8")
    except UnicodeDecodeError:
        raise UnreadableHeader("A header is neither ASCII nor UTF-8") from None
    return _fields(text), body


def _fields(text: str) -> list[tuple[str, str]]:
    lines: list[str] = []
    for line in text.split("\r\n"):
        if line[:1] in (" ", "\t") and lines:
            lines[-1] += line
        else:
            lines.append(line)
    if len(lines) > FIELDS_LIMIT:
        raise UnreadableHeader(f"There are more than {FIELDS_LIMIT} headers")
    return [_field(line) for line in lines]


def _field(line: str) -> tuple[str, str]:
    found = _FIELD.fullmatch(line)
    if not found:
        raise UnreadableHeader("A line of the headers is no header")
    return found[1], found[2].strip(" \t")


def decoded(text: str) -> str:
    """The text with its encoded words (RFC 2047) replaced by what they stand for."""
    pieces: list[str] = []
    run, charset, position = b"", "", 0
    for word in _WORD.finditer(text):
        between = text[position : word.start()]
        # Space between two encoded words is not shown (RFC 2047 6.2).
        if not (run and _GAP.fullmatch(between)) and between:
            pieces += [_as_text(run, charset), between]
            run = b""
        if run and word[1].lower() != charset:
            pieces.append(_as_text(run, charset))
            run = b""
        charset = word[1].lower()
        run += _octets(word[2], word[3])
        position = word.end()
    return "".join([*pieces, _as_text(run, charset), text[position:]])


def charset_text(data: bytes, charset: str) -> str:
    """Bytes in a charset of the mail world. Raises UnreadableHeader for any other."""
    if not _CHARSETS.fullmatch(charset):
        raise UnreadableHeader(f"The charset {ascii(charset)[:40]} is not known")
    try:
        return data.decode(charset)
    except (UnicodeDecodeError, LookupError):
        raise UnreadableHeader(f"A text is not in its charset {charset}") from None


def _as_text(data: bytes, charset: str) -> str:
    return charset_text(data, charset) if data else ""


def _octets(encoding: str, text: str) -> bytes:
    data = text.encode("ascii")
    if encoding in "qQ":
        data = data.replace(b"_", b" ")
        return _ESCAPED_OCTET.sub(lambda escaped: bytes([int(escaped[1], 16)]), data)
    try:
        return binascii.a2b_base64(data + b"=" * (-len(data) % 4))
    except binascii.Error:
        raise UnreadableHeader("An encoded word is no base64") from None


def mailbox(text: str) -> Mailbox:
    """The one mailbox of a From header. Raises UnreadableHeader or AddressRefused."""
    found = mailboxes(text)
    if len(found) != 1 or text.startswith(",") or text.endswith(","):
        raise UnreadableHeader("From must name exactly one address")
    return found[0]


def mailboxes(text: str) -> list[Mailbox]:
    """The mailboxes of an address header; `undisclosed-recipients:;` names none."""
    if not text or _EMPTY_GROUP.fullmatch(text):
        return []
    items = [item.strip(" \t") for item in _ITEM.findall(text)]
    if len(items) > MAILBOXES_LIMIT:
        raise UnreadableHeader(f"A header names more than {MAILBOXES_LIMIT} addresses")
    if sum(map(len, _ITEM.findall(text))) + text.count(",") < len(text):
        raise AddressRefused("invalid_name", "has a quotation mark without its twin")
    return [_mailbox(item) for item in items if item]


def _mailbox(item: str) -> Mailbox:
    if not item.endswith(">"):
        return addresses.parse_address(item)
    phrase, bracket, address = item[:-1].rpartition("<")
    if not bracket:
        raise AddressRefused("invalid_address", "has a > without its <")
    return addresses.named(_name(phrase.strip(" \t")), addresses.parse_address(address))


def _name(phrase: str) -> str:
    quoted = _QUOTED.fullmatch(phrase)
    if quoted:
        return decoded(_QUOTED_PAIR.sub(r"\1", quoted[1])).strip()
    if any(special in phrase for special in '<>()[]:;@\\"'):
        raise AddressRefused("invalid_name", "has characters in its name that need quotes")
    return decoded(phrase).strip()
