"""Who follows a link: a person, or a program that looks first. Pure.

Scanners of mail servers and previews of programs fetch every link. They are recorded and marked,
and webhooks are not told of them. It is a judgement, not a proof.
"""

import re
from collections.abc import Mapping
from datetime import datetime, timedelta

# Nobody has read a mail so soon.
TOO_QUICK = timedelta(seconds=2)
_PROGRAMS = re.compile(
    r"bot\b|crawl|spider|scan|preview|fetch|monitor|slurp|headless|python|curl|wget|java/|go-http"
    r"|okhttp|libwww|httpclient|barracuda|mimecast|proofpoint|symantec|trendmicro|forcepoint"
    r"|urldefense|safelinks|phish|sophos|cloudmark|facebookexternalhit|whatsapp|skypeuri"
    r"|slack-imgproxy|slackbot|discord|telegram",
    re.IGNORECASE,
)
_PREFETCH_HEADERS = ("Sec-Purpose", "Purpose", "X-Purpose", "X-Moz")
_PREFETCH = re.compile(r"prefetch|preview|prerender", re.IGNORECASE)
# Apple's mail program loads every picture through a proxy that says no more than this.
_SAYS_NOTHING = ("", "Mozilla/5.0")


def why_no_person(
    *,
    method: str,
    headers: Mapping[str, str],
    user_agent: str,
    arrived_at: datetime | None,
    now: datetime,
) -> str:
    """Why this was no person's doing; empty when nothing speaks against it."""
    if method != "GET":
        return "method"
    if any(_PREFETCH.search(headers.get(name, "")) for name in _PREFETCH_HEADERS):
        return "prefetch"
    if user_agent in _SAYS_NOTHING or _PROGRAMS.search(user_agent):
        return "user_agent"
    if arrived_at is None or now - arrived_at < TOO_QUICK:
        return "too_quick"
    return ""
