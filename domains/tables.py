"""What the page of a domain shows: a line for each record, and the DMARC adviser."""

from dataclasses import dataclass
from typing import Any

from domains import dmarc, names, records
from domains.models import DkimKey, DkimState, Domain
from domains.records import Kind, Record, Weight
from domains.standing import VERIFIED, Finding

PURPOSES = {
    "verification": "Proves that the name is yours.",
    "return_path_mx": "Bounces come back to us.",
    "return_path_spf": "Lets us send for the return path.",
    "dmarc": "Tells receivers what to do with forgeries.",
    "dmarc_own": "A policy for this name alone, instead of the one below.",
    "mta_sts": "Tells senders to reach your mail servers over TLS only.",
    "tls_rpt": "Gets you reports of failed TLS.",
}
# What a missing record of advice is: no fault of anybody's.
ADVISED = {"verified": "found", "pending": "not found", "failed": "not found"}


@dataclass(frozen=True)
class Line:
    """One record as a person reads it."""

    record: Record
    finding: Finding
    host: str
    purpose: str

    @property
    def slug(self) -> str:
        """An id within the page."""
        return self.record.slug.replace(":", "-").replace("_", "-").replace(".", "-")

    @property
    def label(self) -> str:
        """The state, in words."""
        if self.record.weight == Weight.ADVICE:
            return ADVISED.get(self.finding.status, "not asked yet")
        return self.finding.status.replace("_", " ")

    @property
    def tone(self) -> str:
        """The state by which the badge is coloured; missing advice is no failure."""
        if self.record.weight == Weight.ADVICE:
            return VERIFIED if self.finding.status == VERIFIED else "advice"
        return self.finding.status

    @property
    def is_shown(self) -> bool:
        return self.finding.status == VERIFIED


def of(domain: Domain) -> dict[str, Any]:
    """The context of the page."""
    keys = {key.selector: key for key in domain.dkim_keys.all()}
    states = {key.state for key in keys.values()}
    lines = [_line(domain, one, keys) for one in domain.to_publish()]
    advice = [_line(domain, one, keys) for one in domain.advised()]
    zone = names.organisational_domain(domain.name)
    has_own_policy = bool(dmarc.policy_of(domain.finding("dmarc_own").found))
    found = domain.finding("dmarc_own" if has_own_policy else "dmarc").found
    return {
        "lines": lines,
        "advice": advice,
        "zone": zone,
        "shown_count": sum(line.is_shown for line in lines),
        "dmarc": dmarc.advise(found, domain=zone),
        "dmarc_host": f"_dmarc.{domain.name if has_own_policy else zone}",
        "awaits_key": DkimState.NEXT in states,
        "is_retiring": DkimState.RETIRING in states,
        "retired": [
            f"{key.selector}._domainkey.{domain.name}"
            for key in keys.values()
            if key.state == DkimState.RETIRED
        ],
    }


def _line(domain: Domain, record: Record, keys: dict[str, DkimKey]) -> Line:
    zone = names.organisational_domain(domain.name)
    purpose = PURPOSES.get(record.slug, "")
    if record.kind == Kind.TRACKING:
        purpose = "Links in your mail carry your name."
    if record.kind == Kind.DKIM:
        purpose = DKIM_PURPOSES[keys[record.slug.removeprefix("dkim:")].state]
    return Line(
        record, domain.finding(record.slug), records.relative_to(zone, record.name), purpose
    )


DKIM_PURPOSES: dict[str, str] = {
    DkimState.SIGNING: "Signs your mail.",
    DkimState.NEXT: "New: signs as soon as DNS shows it.",
    DkimState.RETIRING: "Old: keep it, mail that it signed is under way.",
}
