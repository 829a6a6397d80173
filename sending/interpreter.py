"""Looks at the start whether this interpreter lets an encoded word smuggle a header (S19).

The standard library of common interpreters does when it writes a message by its newer policies:
it decodes `=?utf-8?q?=0D=0ABcc:…?=` in a value and emits what it finds. Our mail is not written
by it, and people's mail (resets, notices) is written by Django in the older way. Both are tried
here, on the interpreter that runs, and the start is refused where a header comes out that was
not asked for.
"""

from email.message import EmailMessage as StandardMessage

from django.core.exceptions import ImproperlyConfigured
from django.core.mail import EmailMessage as DjangoMessage

from queensmtp.addresses import Mailbox
from sending import mime
from sending.contents import Content
from sending.mime import EmittedHeadersDiffer

HOSTILE = (
    "=?utf-8?q?x=0D=0ABcc:_victim@evil.example?=",
    "=?utf-8?b?eA0KQmNjOiB2aWN0aW1AZXZpbC5leGFtcGxl?=",
    "=?utf-8?q?x=0D?= =?utf-8?q?=0ABcc:_victim@evil.example?=",
)
MEND = "run QueenSMTP on a current patch release of CPython 3.11 or newer, and report this"


def prove() -> None:
    """Raise unless both writers of mail keep a hostile value inside its header."""
    for value in HOSTILE:
        for writer in (_ours, _djangos):
            if b"\nbcc:" in writer(value).lower():
                name = writer.__name__.strip("_")
                raise ImproperlyConfigured(
                    f"This Python lets a header be smuggled into mail ({name}): {MEND}."
                )


def smuggles() -> bool:
    """Whether the standard library itself would, for those who ask why we do not use it."""
    return any(b"\nbcc:" in _standard(value).lower() for value in HOSTILE)


def _ours(value: str) -> bytes:
    mailbox = Mailbox(value, "a", "hive.example")
    content = Content(
        sender=mailbox,
        to=(mailbox,),
        subject=value,
        message_id="probe@hive.example",
        date=mime.EPOCH,
        text="",
        headers=(("X-Probe", value),),
    )
    try:
        return mime.build(content)
    except EmittedHeadersDiffer:
        return b"\nbcc:"


def _djangos(value: str) -> bytes:
    message = DjangoMessage(value, "", "a@hive.example", ["b@hive.example"])
    message.extra_headers["X-Probe"] = value
    return message.message().as_bytes()


def _standard(value: str) -> bytes:
    message = StandardMessage()
    message["Subject"] = value
    return message.as_bytes()
