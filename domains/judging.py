"""Whether DNS shows a record as it should stand, and if not, why, in words. Pure."""

import hmac
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from domains.lookups import Answer, Problem
from domains.records import Kind, Record


class Outcome(StrEnum):
    SHOWN = "shown"
    MISSING = "missing"
    # No resolver could say: it proves nothing, neither for the record nor against it.
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Judgement:
    """What one check found at one record."""

    outcome: Outcome
    found: tuple[str, ...]
    cause: str


def judge(record: Record, answers: Sequence[Answer]) -> Judgement:
    """Shown only where every resolver that answered shows it."""
    judged = [_judge_one(record, answer) for answer in answers]
    certain = [one for one in judged if one.outcome != Outcome.UNKNOWN]
    if not certain:
        return judged[0]
    missing = [one for one in certain if one.outcome == Outcome.MISSING]
    if not missing:
        return certain[0]
    if len(missing) < len(certain):
        cause = f"One of {len(certain)} resolvers does not show it yet: {missing[0].cause}"
        return Judgement(Outcome.MISSING, certain[0].found or missing[0].found, cause)
    return missing[0]


def _judge_one(record: Record, answer: Answer) -> Judgement:
    if answer.problem == Problem.NO_ANSWER:
        cause = f"The resolver {answer.resolver} got no answer; this is asked again."
        return Judgement(Outcome.UNKNOWN, (), cause)
    cause = _why_not(record, answer)
    outcome = Outcome.MISSING if cause else Outcome.SHOWN
    return Judgement(outcome, answer.values, cause or _words_of_success(record, answer))


def _why_not(record: Record, answer: Answer) -> str:
    """Empty when the answer shows the record."""
    match answer.problem:
        case Problem.NO_NAME:
            return f"There is no {record.name} in DNS yet."
        case Problem.NO_RECORD:
            return f"{record.name} exists, but has no {record.type} record."
        case Problem.TOO_MANY:
            return f"{record.name} has too many {record.type} records; leave only those needed."
    return _READERS[record.kind](record, answer)


def _verification(record: Record, answer: Answer) -> str:
    if answer.is_alias:
        return "A CNAME leads elsewhere; the token must stand at this very name."
    expected = record.value.encode()
    matches = [hmac.compare_digest(value.strip().encode(), expected) for value in answer.values]
    return "" if any(matches) else "There is a TXT record, but it does not hold this token."


def _dkim(record: Record, answer: Answer) -> str:
    keys = [value for value in answer.values if "p=" in value]
    if not keys:
        return "There is a TXT record, but it holds no DKIM key."
    if len(keys) > 1:
        return "There are several keys at this selector; verifiers take any of them. Leave one."
    expected, found = _tag(record.value, "p"), _tag(keys[0], "p")
    if found == expected:
        return ""
    if not found:
        return "The key is empty, which means revoked (RFC 6376 3.6.1)."
    if expected.startswith(found):
        return "The key is cut short; split the value into strings of at most 255 characters."
    return "There is a DKIM key, but another than this one."


def _spf(record: Record, answer: Answer) -> str:
    if record.type == "MX":
        hosts = [value.partition(" ")[2] for value in answer.values]
        if record.value in hosts:
            return "" if len(hosts) == 1 else "Other MX hosts stand beside ours; bounces get lost."
        return f"The MX leads to {', '.join(hosts)}; bounces would not reach us."
    policies = [value for value in answer.values if value.lower().split(" ")[0] == "v=spf1"]
    if not policies:
        return "There is a TXT record, but none that begins with v=spf1."
    if len(policies) > 1:
        return "There are several SPF records, which counts as none (RFC 7208 4.5); leave one."
    mechanism = record.value.split(" ")[1]
    terms = [term.lstrip("+").lower() for term in policies[0].split(" ")]
    return "" if mechanism.lower() in terms else f"The SPF record does not name {mechanism}."


def _tracking(record: Record, answer: Answer) -> str:
    if record.value in answer.values:
        return ""
    return f"The CNAME leads to {', '.join(answer.values)}."


def _dmarc(record: Record, answer: Answer) -> str:
    policies = [value for value in answer.values if value.lower().startswith("v=dmarc1")]
    if not policies:
        return "There is a TXT record, but none that begins with v=DMARC1."
    if len(policies) > 1:
        return "There are several DMARC records, which counts as none (RFC 7489 6.6.3)."
    if _tag(policies[0], "p").lower() not in DMARC_WORDS:
        return "The DMARC record has no policy p=none, p=quarantine or p=reject."
    return ""


def _begins(start: str) -> Callable[[Record, Answer], str]:
    def read(record: Record, answer: Answer) -> str:
        if any(value.lower().startswith(start) for value in answer.values):
            return ""
        return f"There is a TXT record, but none that begins with {start}."

    return read


_READERS: dict[Kind, Callable[[Record, Answer], str]] = {
    Kind.VERIFICATION: _verification,
    Kind.DKIM: _dkim,
    Kind.SPF: _spf,
    Kind.TRACKING: _tracking,
    Kind.DMARC: _dmarc,
    Kind.MTA_STS: _begins("v=stsv1"),
    Kind.TLS_RPT: _begins("v=tlsrptv1"),
}
DMARC_WORDS = {
    "none": "p=none only watches. Once the reports show no stranger of yours, go to p=quarantine.",
    "quarantine": "p=quarantine sends forgeries to the spam folder. The next step is p=reject.",
    "reject": "p=reject: forgeries are refused. This is as strict as it gets.",
}


def _words_of_success(record: Record, answer: Answer) -> str:
    if record.kind != Kind.DMARC:
        return ""
    policy = next(one for one in answer.values if one.lower().startswith("v=dmarc1"))
    reports = "" if _tag(policy, "rua") else " Without rua= you get no reports."
    return DMARC_WORDS[_tag(policy, "p").lower()] + reports


def _tag(text: str, name: str) -> str:
    """The value of a tag of a tag list (RFC 6376 3.2), without white space."""
    for part in text.split(";"):
        key, _, value = part.partition("=")
        if key.strip() == name:
            return re.sub(r"\s+", "", value)
    return ""
