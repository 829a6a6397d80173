"""The body of a message: texts, inline images and files, each in its encoding. Pure."""

import binascii
import hashlib
import re
from urllib.parse import quote

from sending import header_fields, media_types
from sending.contents import Attachment, Content

# A part of a body: its header fields and its encoded bytes.
Part = tuple[list[tuple[str, bytes]], bytes]

_LINE_ENDS = re.compile("\r\n|\r|\n")
_PLAIN_OCTETS = bytes([*b"\t\r\n", *range(0x20, 0x7F)])
_PLAIN_LINE_LIMIT = 900


def of_content(content: Content) -> Part:
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
        pieces += [header_fields.field(name, value) for name, value in fields]
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
    kind, parameters = media_types.read(attachment.content_type) or (
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
