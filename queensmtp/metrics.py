"""What `/metrics` may tell, as a closed list, and its text for Prometheus. Pure.

Only names and label values that stand here are ever shown: nothing that a customer chose, no
recipient, no key, no domain, can become a label.
"""

import hmac
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum, auto

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector

CONTENT_TYPE = CONTENT_TYPE_LATEST
BEARER = "Bearer "
SUM, BEYOND = "sum", "+Inf"
# Upper bounds of a histogram in seconds.
BOUNDS = ("0.1", "0.25", "0.5", "1.0", "2.5", "5.0", "10.0", "30.0", BEYOND)
MEASURED_AT = "queensmtp_measured_timestamp_seconds"

# From the name of a metric and the value of its label to a number.
Values = Mapping[tuple[str, str], float]


class Kind(StrEnum):
    COUNTER = auto()
    GAUGE = auto()
    HISTOGRAM = auto()


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric, with at most one label and all the values that the label may have."""

    name: str
    kind: Kind
    meaning: str
    label: str = ""
    options: tuple[str, ...] = ("",)


METRICS = (
    Metric(
        "queensmtp_domain_checks",
        Kind.COUNTER,
        "Checks of sending domains by DNS.",
        "outcome",
        ("verified", "incomplete", "unanswered", "removed", "error"),
    ),
    Metric(
        "queensmtp_domain_check_seconds",
        Kind.HISTOGRAM,
        "From the claim of a domain until what DNS said was settled.",
    ),
    Metric(
        "queensmtp_domains",
        Kind.GAUGE,
        "Sending domains that stand.",
        "status",
        (
            *("not_started", "pending", "verified", "partially_verified"),
            *("partially_failed", "failed"),
        ),
    ),
    Metric(
        "queensmtp_domain_checks_overdue",
        Kind.GAUGE,
        "Domains whose check is due for more than a minute, counted up to 100,000.",
    ),
    Metric(
        "queensmtp_recipients",
        Kind.GAUGE,
        "Recipients in the queue, each state counted up to 100,000.",
        "state",
        ("waiting", "leased"),
    ),
    Metric(
        "queensmtp_oldest_due_seconds",
        Kind.GAUGE,
        "For how long the recipient that is due longest has been due; 0 when none is.",
    ),
    Metric(
        "queensmtp_returned_mails",
        Kind.COUNTER,
        "Mails to return paths and to the address of feedback loops.",
        "outcome",
        ("failed", "delayed", "complaint", "unclear", "nothing"),
    ),
    Metric(
        "queensmtp_operator_mails",
        Kind.COUNTER,
        "Mails to postmaster and abuse.",
        "outcome",
        ("forwarded", "dropped"),
    ),
    Metric(
        "queensmtp_webhook_deliveries_pending",
        Kind.GAUGE,
        "Webhook deliveries that have no final outcome, counted up to 100,000.",
    ),
    Metric(
        "queensmtp_audit_entries_unsealed",
        Kind.GAUGE,
        "Audit entries that no leaf holds yet, counted up to 100,000.",
    ),
    Metric(MEASURED_AT, Kind.GAUGE, "When the gauges were measured, in seconds since 1970."),
)


def is_allowed(authorization: str, *, token: str) -> bool:
    """Whether a request presented the token, in constant time."""
    given = authorization.removeprefix(BEARER) if authorization.startswith(BEARER) else ""
    return hmac.compare_digest(given.encode("utf-8", "replace"), token.encode())


def bound_of(seconds: float) -> str:
    """The bucket of a histogram that a duration falls in."""
    return next(bound for bound in BOUNDS if seconds <= float(bound))


def text_of(values: Values) -> bytes:
    """The exposition. A gauge that was never measured is left out; a counter begins at 0."""
    registry = CollectorRegistry()
    registry.register(_Told(values))
    return generate_latest(registry)


class _Told(Collector):
    def __init__(self, values: Values) -> None:
        self._values = values

    def collect(self) -> Iterator[Family]:
        for metric in METRICS:
            yield _family(metric, self._values)


def _family(metric: Metric, values: Values) -> Family:
    if metric.kind == Kind.HISTOGRAM:
        return _histogram(metric, values)
    labels = [metric.label] if metric.label else []
    if metric.kind == Kind.COUNTER:
        counter = CounterMetricFamily(metric.name, metric.meaning, labels=labels)
        for option in metric.options:
            counter.add_metric([option] if labels else [], values.get((metric.name, option), 0))
        return counter
    gauge = GaugeMetricFamily(metric.name, metric.meaning, labels=labels)
    for option in metric.options:
        if (metric.name, option) in values:
            gauge.add_metric([option] if labels else [], values[metric.name, option])
    return gauge


def _histogram(metric: Metric, values: Values) -> Family:
    counted, buckets = 0.0, []
    for bound in BOUNDS:
        counted += values.get((metric.name, bound), 0)
        buckets.append((bound, counted))
    family = HistogramMetricFamily(metric.name, metric.meaning, labels=[])
    family.add_metric([], buckets, sum_value=values.get((metric.name, SUM), 0))
    return family
