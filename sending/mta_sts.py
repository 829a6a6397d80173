"""MTA-STS (RFC 8461): what a domain demands of those who bring it mail. Pure.

A TXT record at `_mta-sts.<domain>` says that there is a policy, and its id; the policy itself
stands at a fixed HTTPS address, so that only the domain's owner can have written it.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

# RFC 8461 3.2: one year is the longest.
LONGEST_AGE_SECONDS = 31_557_600
PATTERNS_LIMIT = 100

_RECORD = re.compile(r"v=STSv1\s*;\s*id=([A-Za-z0-9]{1,32})\s*(?:;.*)?", re.ASCII)
_HOST = re.compile(r"(?:\*\.)?(?:[a-z0-9_-]+\.)*[a-z0-9_-]+", re.ASCII)


class Mode(StrEnum):
    ENFORCE = "enforce"
    TESTING = "testing"
    NONE = "none"


class InvalidPolicy(Exception):
    """The text at the policy's address is no policy."""


@dataclass(frozen=True, slots=True)
class Policy:
    """`hosts` are names in lower case, or `*.name` for any one label below it."""

    id: str
    mode: Mode
    hosts: tuple[str, ...]
    expires_at: datetime

    def allows(self, host: str) -> bool:
        """Whether a mail exchanger is one of those named (RFC 8461 4.1)."""
        name = host.lower().rstrip(".")
        parent = name.partition(".")[2]
        return any(
            pattern[2:] == parent if pattern.startswith("*.") else pattern == name
            for pattern in self.hosts
        )


def record_id(texts: Iterable[str]) -> str | None:
    """The policy's id; None unless exactly one record is there (RFC 8461 3.1)."""
    records = [text for text in texts if text.startswith("v=STSv1")]
    found = _RECORD.fullmatch(records[0]) if len(records) == 1 else None
    return found[1] if found else None


def parse(text: str, *, id: str, now: datetime) -> Policy:
    """The policy of a text (RFC 8461 3.2). Raises InvalidPolicy."""
    fields = _fields(text)
    if fields.get("version") != ["STSv1"]:
        raise InvalidPolicy("The policy does not say version: STSv1.")
    mode = _mode(fields)
    hosts = tuple(host.lower().rstrip(".") for host in fields.get("mx", [])[:PATTERNS_LIMIT])
    if not all(_HOST.fullmatch(host) for host in hosts):
        raise InvalidPolicy("A mail exchanger in the policy is no host name.")
    if not hosts and mode is not Mode.NONE:
        raise InvalidPolicy("The policy names no mail exchanger.")
    return Policy(id, mode, hosts, now + timedelta(seconds=_age(fields)))


def _fields(text: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        name, colon, value = line.partition(":")
        if colon:
            found.setdefault(name.strip(), []).append(value.strip())
    return found


def _mode(fields: dict[str, list[str]]) -> Mode:
    try:
        return Mode(fields.get("mode", [""])[0])
    except ValueError:
        raise InvalidPolicy("The policy's mode is not enforce, testing or none.") from None


def _age(fields: dict[str, list[str]]) -> int:
    text = fields.get("max_age", [""])[0]
    if not re.fullmatch(r"[0-9]{1,10}", text, re.ASCII):
        raise InvalidPolicy("The policy's max_age is no number of seconds.")
    return min(int(text), LONGEST_AGE_SECONDS)
