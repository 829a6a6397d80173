"""What a refusal means for the address: the kinds of bounces. Pure.

`type` and `subType` are the words that receivers of webhooks know from other platforms. *Hard*
means that the mailbox does not exist or is closed: only then is the address suppressed. A full
mailbox, a size limit, a spam filter say nothing of the address.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

PERMANENT, TRANSIENT, UNDETERMINED = "Permanent", "Transient", "Undetermined"

# RFC 3463 3.2 and 3.3, RFC 7504, RFC 7505: no such mailbox, no such domain, mailbox closed.
_NO_MAILBOX = frozenset({"5.1.1", "5.1.2", "5.1.3", "5.1.6", "5.1.10", "5.2.1"})
_MAILBOX_FULL = frozenset({"4.2.2", "5.2.2"})
_TOO_LARGE = frozenset({"5.2.3", "5.3.4", "4.3.4"})
_STATUS = re.compile(r"[245]\.\d{1,3}\.\d{1,3}")
# Servers without enhanced codes, or with one that says nothing (x.0.0), say it in words.
_NO_MAILBOX_WORDS = re.compile(
    r"(no such|unknown|invalid|nonexistent|non-existent) (user|recipient|mailbox|address)"
    r"|(user|recipient|mailbox|address) (is )?(unknown|not found|not known|unavailable"
    r"|does not exist|doesn't exist|disabled|inactive)"
    r"|account (has been |is )(disabled|discontinued|closed)"
    r"|(doesn't|does not) have an? (\S{1,253} )?account"
    r"|user not found|no mailbox here",
    re.IGNORECASE,
)
_FULL_WORDS = re.compile(
    r"(mail ?box|mail ?folder|quota|inbox).{0,20}(full|exceeded|violation)|over[ -]?quota"
    r"|exceed(s|ed|ing).{0,20}quota",
    re.IGNORECASE,
)
_CONTENT_WORDS = re.compile(r"\b(spam|virus|blocked|blacklist|policy|dmarc|spf)", re.IGNORECASE)
_NO_REASON = ("5.0.0", "")


@dataclass(frozen=True, slots=True)
class Bounce:
    type: str
    sub_type: str
    is_hard: bool = False


HARD = Bounce(PERMANENT, "General", is_hard=True)
FULL = Bounce(TRANSIENT, "MailboxFull")
TOO_LARGE = Bounce(TRANSIENT, "MessageTooLarge")
REJECTED = Bounce(TRANSIENT, "ContentRejected")
SOFT = Bounce(TRANSIENT, "General")
UNKNOWN = Bounce(UNDETERMINED, "Undetermined")


def kind_of(data: Mapping[str, Any]) -> Bounce:
    """The kind of bounce that an event's data tell of."""
    return classify(
        code=data.get("code") or 0,
        enhanced=data.get("enhanced_code") or "",
        text=data.get("reply") or "",
    )


def classify(*, code: int, enhanced: str, text: str) -> Bounce:
    """The kind of a refusal, by its enhanced code if it has one, else by its words."""
    status = enhanced if _STATUS.fullmatch(enhanced) else ""
    if status in _NO_MAILBOX:
        return HARD
    if status in _MAILBOX_FULL:
        return FULL
    if status in _TOO_LARGE:
        return TOO_LARGE
    if status.startswith(("5.6.", "5.7.")):
        return REJECTED
    if status.startswith("4.") or (not status and 400 <= code < 500):
        return SOFT
    if status in _NO_REASON:
        return _by_words(text)
    return UNKNOWN


def _by_words(text: str) -> Bounce:
    if _CONTENT_WORDS.search(text):
        return REJECTED
    if _FULL_WORDS.search(text):
        return FULL
    return HARD if _NO_MAILBOX_WORDS.search(text) else UNKNOWN
