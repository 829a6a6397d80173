"""Reads the attachments of a send (wire contract 2.3), in each form in which clients put bytes."""

import base64
import binascii
import mimetypes
import re
from typing import Any

from queensmtp.errors import FieldError
from sending.contents import Attachment

ATTACHMENTS_MAXIMUM = 100


def read(given: Any, *, problems: list[FieldError]) -> tuple[Attachment, ...]:
    """The files of `attachments`; what is wrong with them goes into `problems`."""
    if given is None:
        return ()
    if not isinstance(given, list) or len(given) > ATTACHMENTS_MAXIMUM:
        message = f"must be a list of at most {ATTACHMENTS_MAXIMUM} attachments"
        problems.append(FieldError("attachments", "invalid", message))
        return ()
    found = [_attachment(one, f"attachments[{at}]", problems) for at, one in enumerate(given)]
    return tuple(one for one in found if one is not None)


def _attachment(given: Any, place: str, problems: list[FieldError]) -> Attachment | None:
    if not isinstance(given, dict):
        problems.append(FieldError(place, "not_an_object", "must be an object"))
        return None
    if given.get("path") is not None:
        problems.append(
            FieldError(f"{place}.path", "unsupported", "is not supported; send `content`")
        )
        return None
    data = _bytes_of(given.get("content"))
    if data is None:
        problems.append(FieldError(f"{place}.content", "invalid", "must be valid base64"))
        return None
    filename, content_type = given.get("filename") or "", given.get("content_type")
    content_id = given.get("content_id") or given.get("inline_content_id") or ""
    if not all(isinstance(one, str) for one in (filename, content_type or "", content_id)):
        problems.append(
            FieldError(place, "not_a_text", "must have texts as filename, content type and id")
        )
        return None
    guessed = mimetypes.guess_type(filename)[0] or "application/octet-stream"
    return Attachment(
        filename=filename, content_type=content_type or guessed, data=data, content_id=content_id
    )


def _bytes_of(content: Any) -> bytes | None:
    """Base64 with or without line breaks, a list of byte numbers, or Node's Buffer."""
    if isinstance(content, dict) and content.get("type") == "Buffer":
        content = content.get("data")
    if isinstance(content, list):
        try:
            return bytes(content)
        except (TypeError, ValueError):
            return None
    if not isinstance(content, str):
        return None
    try:
        return base64.b64decode(re.sub(r"[\r\n]", "", content), validate=True)
    except (binascii.Error, ValueError):
        return None
