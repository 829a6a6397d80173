"""What MAIL FROM and RCPT TO say: a path between brackets, and parameters. Pure."""

import re

from sending.mailrooms import Envelope

_PATH = re.compile(r"(FROM|TO):[ ]?<([^<>\s\x00-\x1f\x7f]*)>(?: (.*))?", re.IGNORECASE)
_NEEDS_SMTPUTF8 = "553 5.6.7 That address needs SMTPUTF8"


class CommandRefused(Exception):
    """The reply that says what is wrong with the command."""


def too_large(message_bytes: int) -> str:
    return f"552 5.3.4 A message has at most {message_bytes} bytes"


def read_sender(argument: str, *, message_bytes: int) -> Envelope:
    """The envelope that MAIL begins."""
    path = _PATH.fullmatch(argument)
    if not path or path[1].upper() != "FROM":
        raise CommandRefused("501 5.1.7 Write MAIL FROM:<address>")
    envelope = Envelope(path[2])
    _read_parameters(path[3] or "", envelope, message_bytes)
    if not envelope.sender.isascii() and not envelope.smtputf8:
        raise CommandRefused(_NEEDS_SMTPUTF8)
    return envelope


def read_recipient(argument: str, envelope: Envelope) -> str:
    """The address that RCPT adds to the envelope."""
    path = _PATH.fullmatch(argument)
    if not path or path[1].upper() != "TO" or path[3]:
        raise CommandRefused("501 5.1.3 Write RCPT TO:<address>")
    if not path[2].isascii() and not envelope.smtputf8:
        raise CommandRefused(_NEEDS_SMTPUTF8)
    return path[2]


def _read_parameters(text: str, envelope: Envelope, message_bytes: int) -> None:
    for parameter in text.split():
        name, _, value = parameter.upper().partition("=")
        if name == "SIZE" and value.isascii() and value.isdigit():
            if len(value) > 15 or int(value) > message_bytes:
                raise CommandRefused(too_large(message_bytes))
        elif name == "SMTPUTF8" and not value:
            envelope.smtputf8 = True
        elif (name, value) not in {("BODY", "7BIT"), ("BODY", "8BITMIME"), ("AUTH", "<>")}:
            raise CommandRefused("555 5.5.4 Unknown parameter")
