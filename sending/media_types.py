"""The media type of an attachment, as its sender gave it. Pure."""

import re

_TOKEN = r"[A-Za-z0-9!#$&^_.+-]+"
_MEDIA_TYPE = re.compile(rf"({_TOKEN})/({_TOKEN})")
_PARAMETER = re.compile(rf'\s*;\s*({_TOKEN})\s*=\s*(?:({_TOKEN}(?:/{_TOKEN})*)|"([^"\\\r\n]*)")')
_KEPT_PARAMETERS = frozenset({"charset", "method", "format", "delsp", "profile", "component"})


def read(text: str) -> tuple[str, dict[str, str]] | None:
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
