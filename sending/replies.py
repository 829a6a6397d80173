"""SMTP replies: read within bounds, and judged temporary or permanent. Pure.

A remote server is a stranger. What is no reply (a code outside 2xx–5xx, a line without end, a
thousand lines) is GarbledReply: the courier hangs up and the message stays for another try.
"""

import re
from dataclasses import dataclass
from enum import StrEnum

LINE_LIMIT = 2_000  # RFC 5321 4.5.3.1.5 says 512; real servers are more talkative.
LINES_LIMIT = 100
TEXT_LIMIT = 1_000

_LINE = re.compile(rb"([2-5][0-9]{2})(?:([ -])(.*))?", re.DOTALL)
_ENHANCED = re.compile(r"([245])\.([0-9]{1,3})\.([0-9]{1,3})(?= |$)")
_TOO_MANY_RECIPIENTS = "5.5.3"


class GarbledReply(Exception):
    """The bytes are no SMTP reply."""


class Verdict(StrEnum):
    DONE = "done"
    GO_ON = "go_on"
    TEMPORARY = "temporary"
    PERMANENT = "permanent"


@dataclass(frozen=True, slots=True)
class SmtpReply:
    """A reply without its markers: the code, the enhanced code or "", and the lines of text."""

    code: int
    enhanced: str
    lines: tuple[str, ...]

    @property
    def text(self) -> str:
        """The text on one line, bounded, fit to be kept and shown."""
        return " ".join(self.lines)[:TEXT_LIMIT]

    @property
    def verdict(self) -> Verdict:
        if self.code < 300:
            return Verdict.DONE
        if self.code < 400:
            return Verdict.GO_ON
        # RFC 5321 4.5.3.1.10: too many recipients means "the rest later", whatever the code.
        if self.code < 500 or self.enhanced == _TOO_MANY_RECIPIENTS:
            return Verdict.TEMPORARY
        return Verdict.PERMANENT


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a server offers in answer to EHLO."""

    starttls: bool = False
    pipelining: bool = False
    eight_bit: bool = False
    smtputf8: bool = False
    size_limit: int | None = None
    auth: frozenset[str] = frozenset()


def take(buffer: bytearray) -> SmtpReply | None:
    """Take one whole reply off the front of what has been received; None if it is not all there."""
    lines: list[bytes] = []
    start = 0
    while True:
        end = buffer.find(b"\n", start)
        if (end if end >= 0 else len(buffer)) - start > LINE_LIMIT:
            raise GarbledReply("The remote server sent a line that is too long.")
        if end < 0:
            return None
        lines.append(bytes(buffer[start:end]).removesuffix(b"\r"))
        if len(lines) > LINES_LIMIT:
            raise GarbledReply("The remote server sent a reply of too many lines.")
        start = end + 1
        if _parts(lines[-1])[1] != b"-":
            break
    del buffer[:start]
    return parse(lines)


def parse(lines: list[bytes]) -> SmtpReply:
    """The reply that these lines (without line ends) make up."""
    parts = [_parts(line) for line in lines]
    if len({code for code, _, _ in parts}) != 1:
        raise GarbledReply("The remote server changed the code within one reply.")
    code = int(parts[0][0])
    enhanced = ""
    texts = []
    for _, _, text in parts:
        shown = _printable(text)
        found = _ENHANCED.match(shown)
        if found and found[1] == str(code)[0]:
            enhanced = enhanced or found[0]
            shown = shown[found.end() :].lstrip()
        texts.append(shown)
    return SmtpReply(code, enhanced, tuple(texts))


def capabilities(reply: SmtpReply) -> Capabilities:
    """Read the answer to EHLO; what we do not know is passed over."""
    offered: dict[str, list[str]] = {}
    for line in reply.lines[1:]:
        keyword, *parameters = line.upper().split() or [""]
        offered[keyword] = parameters
    return Capabilities(
        starttls="STARTTLS" in offered,
        pipelining="PIPELINING" in offered,
        eight_bit="8BITMIME" in offered,
        smtputf8="SMTPUTF8" in offered,
        size_limit=_size_limit(offered.get("SIZE", [])),
        auth=frozenset(offered.get("AUTH", [])),
    )


def _parts(line: bytes) -> tuple[bytes, bytes, bytes]:
    found = _LINE.fullmatch(line)
    if not found:
        raise GarbledReply(f"The remote server sent no SMTP reply: {_printable(line[:100])!r}")
    return found[1], found[2] or b" ", found[3] or b""


def _printable(text: bytes) -> str:
    shown = text.decode("utf-8", "replace")
    if shown.isprintable():
        return shown
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in shown)


def _size_limit(parameters: list[str]) -> int | None:
    """RFC 1870: no number or zero means that there is no fixed limit."""
    if parameters and parameters[0].isascii() and parameters[0].isdigit():
        return int(parameters[0][:15]) or None
    return None
