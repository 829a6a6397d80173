"""What the owner of a domain publishes in DNS: the records we ask for, and the advice. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from domains.lookups import Question


class Kind(StrEnum):
    """The wire contract's kinds of record, `Verification` of ours, and what is only advice."""

    VERIFICATION = "Verification"
    DKIM = "DKIM"
    SPF = "SPF"
    TRACKING = "Tracking"
    DMARC = "DMARC"
    MTA_STS = "MTA-STS"
    TLS_RPT = "TLS-RPT"


class Weight(StrEnum):
    """What hangs on a record."""

    REQUIRED = "required"
    """Without it nothing is sent."""
    WANTED = "wanted"
    """Without it the domain is only partially verified."""
    COMING = "coming"
    """A DKIM key that does not sign yet, or no longer: no state hangs on it."""
    ADVICE = "advice"


@dataclass(frozen=True, slots=True)
class Record:
    """One record to publish. `slug` names it within its domain."""

    slug: str
    kind: Kind
    name: str
    type: str
    value: str
    weight: Weight
    priority: int | None = None

    @property
    def question(self) -> Question:
        return Question(self.name, self.type)


@dataclass(frozen=True, slots=True)
class Ours:
    """The hosts of this installation that customers' records point to."""

    return_path_host: str
    spf_mechanism: str
    tracking_host: str


@dataclass(frozen=True, slots=True)
class PublishedKey:
    """A DKIM key as DNS shows it."""

    selector: str
    text: str
    signs: bool


@dataclass(frozen=True, slots=True)
class Setup:
    """What of a domain decides its records."""

    name: str
    token: str
    return_path: str
    tracking_subdomain: str
    keys: Sequence[PublishedKey]


TOKEN_PREFIX = "queensmtp-verification="
MX_PRIORITY = 10
DMARC_ADVISED = "v=DMARC1; p=none;"
MTA_STS_ADVISED = "v=STSv1; id=1"
TLS_RPT_ADVISED = "v=TLSRPTv1; rua=mailto:tls-reports@{name}"


def to_publish(setup: Setup, ours: Ours) -> list[Record]:
    """The records that the domain's state hangs on, in the order in which people add them."""
    name = setup.name
    token = Record(
        slug="verification",
        kind=Kind.VERIFICATION,
        name=f"_queensmtp.{name}",
        type="TXT",
        value=TOKEN_PREFIX + setup.token,
        weight=Weight.REQUIRED,
    )
    return [token, *_dkim(setup), *_return_path(setup, ours), *_tracking(setup, ours)]


def advised(setup: Setup, organisational: str) -> list[Record]:
    """What we look at and tell of, without asking for it."""
    name = setup.name
    rua = TLS_RPT_ADVISED.format(name=name)
    # RFC 7489 6.6.3: a policy of the domain's own comes before that of the registered domain.
    own = [_advice("dmarc_own", Kind.DMARC, f"_dmarc.{name}", DMARC_ADVISED)]
    return [
        *(own if name != organisational else []),
        _advice("dmarc", Kind.DMARC, f"_dmarc.{organisational}", DMARC_ADVISED),
        _advice("mta_sts", Kind.MTA_STS, f"_mta-sts.{name}", MTA_STS_ADVISED),
        _advice("tls_rpt", Kind.TLS_RPT, f"_smtp._tls.{name}", rua),
    ]


def zone_file(name: str, records: Iterable[Record]) -> str:
    """The records as a zone file (RFC 1035 5.1), to be imported at a DNS provider."""
    lines = [f"; Records of {name} for sending.", f"$ORIGIN {name}.", "$TTL 3600"]
    for record in records:
        host = relative_to(name, record.name)
        lines.append(f"{host}\tIN\t{record.type}\t{_rdata(record)}")
    return "\n".join([*lines, ""])


def relative_to(name: str, host: str) -> str:
    """A host as DNS providers take it, without the domain that they add themselves."""
    if host == name:
        return "@"
    return host.removesuffix(f".{name}")


def tracking_slug(subdomain: str) -> str:
    """It names the subdomain, so that what was seen of one says nothing of the next."""
    return f"tracking:{subdomain}"


def _dkim(setup: Setup) -> list[Record]:
    return [
        Record(
            slug=f"dkim:{key.selector}",
            kind=Kind.DKIM,
            name=f"{key.selector}._domainkey.{setup.name}",
            type="TXT",
            value=key.text,
            weight=Weight.REQUIRED if key.signs else Weight.COMING,
        )
        for key in setup.keys
    ]


def _return_path(setup: Setup, ours: Ours) -> list[Record]:
    host = f"{setup.return_path}.{setup.name}"
    spf = f"v=spf1 {ours.spf_mechanism} ~all"
    return [
        Record(
            "return_path_mx",
            Kind.SPF,
            host,
            "MX",
            ours.return_path_host,
            Weight.WANTED,
            priority=MX_PRIORITY,
        ),
        Record("return_path_spf", Kind.SPF, host, "TXT", spf, Weight.WANTED),
    ]


def _tracking(setup: Setup, ours: Ours) -> list[Record]:
    if not setup.tracking_subdomain:
        return []
    slug = tracking_slug(setup.tracking_subdomain)
    host = f"{setup.tracking_subdomain}.{setup.name}"
    return [Record(slug, Kind.TRACKING, host, "CNAME", ours.tracking_host, Weight.WANTED)]


def _advice(slug: str, kind: Kind, name: str, value: str) -> Record:
    return Record(slug, kind, name, "TXT", value, Weight.ADVICE)


def _rdata(record: Record) -> str:
    if record.type == "MX":
        return f"{record.priority} {record.value}."
    if record.type == "CNAME":
        return f"{record.value}."
    # RFC 1035 3.3: one character-string has at most 255 octets.
    text = record.value.replace("\\", "\\\\").replace('"', '\\"')
    return " ".join(f'"{text[start : start + 250]}"' for start in range(0, len(text), 250))
