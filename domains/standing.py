"""How a domain stands, given what a check found: the state machine of records and domain. Pure.

A record that was seen once and is gone is `temporary_failure` through a time of grace, in which
the domain still sends; then it is `failed`, and so is the domain if the record is a required one.
A resolver that does not answer changes no state.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from domains.judging import Judgement, Outcome
from domains.records import Record, Weight

NOT_STARTED, PENDING, VERIFIED = "not_started", "pending", "verified"
TEMPORARY_FAILURE, FAILED = "temporary_failure", "failed"
PARTIALLY_VERIFIED, PARTIALLY_FAILED = "partially_verified", "partially_failed"


@dataclass(frozen=True, slots=True)
class Rules:
    """How long a record may be awaited, and how long a vanished one is forgiven."""

    patience: timedelta
    grace: timedelta


@dataclass(frozen=True, slots=True)
class Finding:
    """What is known of one record."""

    status: str = NOT_STARTED
    found: tuple[str, ...] = ()
    cause: str = ""
    was_seen: bool = False
    missing_since: datetime | None = None

    def to_json(self) -> dict[str, Any]:
        since = self.missing_since.isoformat() if self.missing_since else None
        return {
            "status": self.status,
            "found": list(self.found),
            "cause": self.cause,
            "was_seen": self.was_seen,
            "missing_since": since,
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, Any] | None) -> "Finding":
        if not stored:
            return cls()
        since = stored["missing_since"]
        return cls(
            status=stored["status"],
            found=tuple(stored["found"]),
            cause=stored["cause"],
            was_seen=stored["was_seen"],
            missing_since=datetime.fromisoformat(since) if since else None,
        )


def after_check(
    before: Finding, judged: Judgement, *, now: datetime, awaited_since: datetime, rules: Rules
) -> Finding:
    """What is known of a record once it was looked at again."""
    if judged.outcome == Outcome.SHOWN:
        return Finding(VERIFIED, judged.found, judged.cause, was_seen=True)
    if judged.outcome == Outcome.UNKNOWN:
        status = before.status if before.status != NOT_STARTED else PENDING
        return Finding(status, before.found, judged.cause, before.was_seen, before.missing_since)
    if not before.was_seen:
        status = PENDING if now - awaited_since < rules.patience else FAILED
        return Finding(status, judged.found, judged.cause)
    since = before.missing_since or now
    status = TEMPORARY_FAILURE if now - since < rules.grace else FAILED
    return Finding(status, judged.found, judged.cause, was_seen=True, missing_since=since)


def of_domain(
    records: Mapping[str, Record], findings: Mapping[str, Finding], *, could_send: bool
) -> tuple[str, bool]:
    """The domain's status, and whether it may send."""
    required = [findings[slug].status for slug, one in records.items() if one.weight == "required"]
    wanted = [findings[slug].status for slug, one in records.items() if one.weight == "wanted"]
    enough = {VERIFIED, TEMPORARY_FAILURE} if could_send else {VERIFIED}
    if not set(required) <= enough:
        return (FAILED if FAILED in required else PENDING), False
    counted = {*required, *wanted}
    if counted & {TEMPORARY_FAILURE, FAILED}:
        return PARTIALLY_FAILED, True
    return (VERIFIED if counted == {VERIFIED} else PARTIALLY_VERIFIED), True


def hangs_on(weight: Weight) -> bool:
    """Whether the domain's state depends on a record of this weight."""
    return weight in (Weight.REQUIRED, Weight.WANTED)
