"""The DMARC adviser: what the policy that stands means, and the record of the next step. Pure."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

NEXT = {"none": "quarantine", "quarantine": "reject"}
WORDS = {
    "": (
        "There is no DMARC policy yet. Begin by watching: receivers then report who sends in your "
        "name, and nothing is refused."
    ),
    "none": (
        "You watch, and nothing is refused. When the reports have shown only mail of yours for "
        "some weeks, let forgeries go to the spam folder."
    ),
    "quarantine": (
        "Forgeries go to the spam folder. When nobody has missed a message for some weeks, let "
        "them be refused."
    ),
    "reject": "Forgeries are refused. There is no stricter policy.",
}


@dataclass(frozen=True, slots=True)
class Advice:
    """`next_value` is empty when there is no further step."""

    policy: str
    words: str
    next_value: str
    has_reports: bool


def advise(found: Sequence[str], *, domain: str) -> Advice:
    """What to do, given the TXT records that stand at `_dmarc`."""
    current, policy = _current(found), policy_of(found)
    has_reports = bool(re.search(r"\brua\s*=", current))
    reports = f"rua=mailto:dmarc-reports@{domain}"
    if not policy:
        return Advice("", WORDS[""], f"v=DMARC1; p=none; {reports}", has_reports)
    value = ""
    if policy in NEXT:
        value = re.sub(r"\bp\s*=\s*\w+", f"p={NEXT[policy]}", current, count=1)
        value = value if has_reports else f"{value.rstrip('; ')}; {reports}"
    return Advice(policy, WORDS[policy], value, has_reports)


def policy_of(found: Sequence[str]) -> str:
    """`none`, `quarantine` or `reject`; empty when no policy stands there."""
    tag = re.search(r";\s*p\s*=\s*(\w+)", _current(found))
    policy = tag[1].lower() if tag else ""
    return policy if policy in WORDS else ""


def _current(found: Sequence[str]) -> str:
    return next((one for one in found if one.lower().startswith("v=dmarc1")), "")
