"""The bytes of a message, built by join and checked before anybody sees them. Pure.

The standard library is not used to write headers: on common interpreters an encoded word in a
value can smuggle CRLF and a further header into what it emits. Here a value is either plain
printable ASCII without `=?`, or it is encoded by us; and `check_emitted` reads the finished
bytes back and compares the headers with those that were asked for.
"""

from collections.abc import Sequence
from datetime import UTC, datetime

from sending import body_parts, header_fields
from sending.contents import Content

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LINE_LIMIT = 998  # RFC 5322 2.1.1


class EmittedHeadersDiffer(Exception):
    """The finished bytes do not hold exactly the headers that were asked for."""


def build(content: Content) -> bytes:
    """The whole message with CRLF line ends, without DKIM-Signature, checked.

    The same content gives the same bytes: a retry sends what was sent before.
    """
    body_fields, body = body_parts.of_content(content)
    fields = [*header_fields.of_content(content), *body_fields]
    message = b"\r\n".join([*(header_fields.field(*one) for one in fields), b"", body])
    check_emitted(message, [name for name, _ in fields])
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
