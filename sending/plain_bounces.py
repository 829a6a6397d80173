"""Reads bounces that are no reports: qmail, old Exchange, Exim and many others. Pure.

They came to a return path that cannot be forged, so whom they are about is known; what they say
is written for people. `flufl.bounce` knows some fifty forms. Automatic answers of people (RFC
3834) are none, whatever they quote: the author of a bounce is a mail system.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from email.message import Message
from itertools import takewhile

from flufl.bounce import all_failures

from sending import reports
from sending.reports import Kind, Report

# Some fifty patterns are tried on each line, and some take quadratic time.
TEXT_AT_MOST = 24 * 1024
LINE_AT_MOST = 400
# Each "(" of an address is a level of recursion in the standard library.
HEADER_AT_MOST = 200
# The line that names the address, and those that say why.
REASON_LINES = 6

OWN = ("text/plain", "text/html", *reports.DELIVERY_REPORTS)
_MAIL_SYSTEMS = frozenset({"mailer-daemon", "postmaster", "mdaemon", "mail-daemon"})
_AUTHOR = re.compile(r"<?([^\s<>@\"]{1,64})@[^\s<>@]{0,255}>?")
_AUTOMATIC = re.compile(r"auto[-_]?repl|auto[-_]?respon|vacation", re.IGNORECASE)
_STATUS = re.compile(r"(?<![\d.])[45]\.\d{1,3}\.\d{1,3}(?![\d.])")
# Where the mail system stops and quotes what it sends back.
_QUOTED = re.compile(
    r"\W*(below (the|this)|original (message|mail)|message (text|header|body|removed)"
    r"|(this|here|included) is a copy|a copy of|returned mail)",
    re.IGNORECASE,
)
_CODE = re.compile(r"(?<![\d.])[45]\d\d(?=[ -])")


def read(mail: Message, *, sender: str) -> Report | None:
    """What a mail at a return path says; None when no mail system wrote it."""
    is_daemon = _is_by_mail_system(mail)
    if _is_automatic(mail) and not is_daemon:
        return None
    if sender and not is_daemon:
        return None
    _keep_little_of_headers(mail)
    _keep_own_text(mail)
    temporary, permanent = _failures(mail)
    if not temporary and not permanent:
        return Report(Kind.UNCLEAR, text=reports.text_of(mail, "Subject") or "Without a subject")
    kind = Kind.FAILED if permanent else Kind.DELAYED
    reason = _reason(mail, permanent or temporary)
    status, code = _STATUS.search(reason), _CODE.search(reason)
    return Report(
        kind,
        text=reason or reports.text_of(mail, "Subject"),
        status=status[0] if status else "",
        code=int(code[0]) if code else 0,
        reporter=reports.text_of(mail, "From")[:253],
    )


def _is_by_mail_system(mail: Message) -> bool:
    if "X-Failed-Recipients" in mail:
        return True
    author = _AUTHOR.search(reports.text_of(mail, "From"))
    return author is not None and author[1].lower() in _MAIL_SYSTEMS


def _is_automatic(mail: Message) -> bool:
    """RFC 3834 5, and what came before it."""
    told = ("Auto-Submitted", "Precedence", "X-Autoreply", "X-Autorespond")
    if any(_AUTOMATIC.search(reports.text_of(mail, name)) for name in told):
        return True
    return "X-Autoreply" in mail or "X-Autorespond" in mail


def _keep_little_of_headers(mail: Message) -> None:
    """Each once, and no longer than an honest one; its content type was bounded before."""
    for name in {name.lower() for name in mail} - {"content-type"}:
        first = str(mail[name])[:HEADER_AT_MOST]
        del mail[name]
        mail[name] = reports.one_line(first)


def _keep_own_text(mail: Message) -> None:
    """Leave only what the mail system itself wrote, in lines that cost little to look at.

    Who writes a message must not write its report, so what came back with it goes.
    """
    left = TEXT_AT_MOST
    for part in _own(mail):
        if part.get_content_maintype() == "text":
            text = _text(part)[:left]
            left -= len(text)
            del part["Content-Transfer-Encoding"]
            part.set_payload("\n".join(line[:LINE_AT_MOST] for line in text.splitlines()))
    if isinstance(mail.get_payload(), list):
        mail.set_payload(list(_own(mail)))


def _own(mail: Message) -> Iterator[Message]:
    """What the mail system wrote, at whatever depth; nothing of a message that came back."""
    if mail.get_content_maintype() == "multipart":
        for part in reports.parts(mail):
            yield from _own(part)
    elif mail.get_content_type() in OWN:
        yield mail


def _text(part: Message) -> str:
    data = part.get_payload(decode=True)
    return data.decode("utf-8", "replace") if isinstance(data, bytes) else ""


def _failures(mail: Message) -> tuple[frozenset[bytes], frozenset[bytes]]:
    try:
        temporary, permanent = all_failures(mail)
    except (LookupError, ValueError, TypeError, AttributeError, RecursionError):
        # It was written for well-formed mail; what it cannot read is unclear.
        return frozenset(), frozenset()
    return _named(temporary), _named(permanent)


def _named(found: Iterable[bytes]) -> frozenset[bytes]:
    return frozenset(one for one in found if one.strip())


def _reason(mail: Message, failed: frozenset[bytes]) -> str:
    """What stands beside and below the first address that failed."""
    own = [str(part.get_payload()) for part in _own(mail) if part.get_content_maintype() == "text"]
    lines = [line.strip() for line in "\n".join(own).splitlines() if line.strip()]
    named = [one.decode("ascii", "replace").lower() for one in sorted(failed)]
    at = next((at for at, line in enumerate(lines) if _names_any(line, named)), 0)
    first, *below = lines[at : at + REASON_LINES] or [""]
    return reports.one_line(" ".join([first, *takewhile(_is_not_quoted, below)]))


def _names_any(line: str, addresses: Sequence[str]) -> bool:
    return any(address in line.lower() for address in addresses)


def _is_not_quoted(line: str) -> bool:
    return not _QUOTED.match(line)
