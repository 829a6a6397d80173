"""What `/metrics` tells of sending domains."""

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import timedelta
from enum import StrEnum

from django.db.models import Count
from django.utils import timezone

from domains.judging import Judgement, Outcome
from domains.models import Domain, DomainStatus
from queensmtp import measures
from queensmtp.metrics import SUM, Values, bound_of

CHECKS, CHECK_SECONDS = "queensmtp_domain_checks", "queensmtp_domain_check_seconds"
DOMAINS, OVERDUE = "queensmtp_domains", "queensmtp_domain_checks_overdue"
# A worker looks every two seconds; what it has not begun by now waits for something.
OVERDUE_AFTER = timedelta(minutes=1)


class CheckOutcome(StrEnum):
    """What became of one check."""

    VERIFIED = "verified"
    INCOMPLETE = "incomplete"
    # To one of its questions no resolver had an answer.
    UNANSWERED = "unanswered"
    # The domain was removed while DNS was asked.
    REMOVED = "removed"
    ERROR = "error"


def outcome_of(settled: Domain | None, judged: Mapping[str, Judgement]) -> CheckOutcome:
    if settled is None:
        return CheckOutcome.REMOVED
    if any(one.outcome == Outcome.UNKNOWN for one in judged.values()):
        return CheckOutcome.UNANSWERED
    is_verified = settled.status == DomainStatus.VERIFIED
    return CheckOutcome.VERIFIED if is_verified else CheckOutcome.INCOMPLETE


def count(checks: Iterable[tuple[CheckOutcome, float]]) -> None:
    """Count checks, each with the seconds that it took."""
    counted: Counter[tuple[str, str]] = Counter()
    seconds = 0.0
    for outcome, took in checks:
        counted[CHECKS, outcome.value] += 1
        counted[CHECK_SECONDS, bound_of(took)] += 1
        seconds += took
    if counted:
        measures.add({**counted, (CHECK_SECONDS, SUM): seconds})


def now_standing() -> Values:
    """Domains by status, and the checks that are late."""
    standing = Domain.objects.standing().values_list("status").annotate(number=Count("pk"))
    late = Domain.objects.due(timezone.now() - OVERDUE_AFTER)[: measures.COUNTED_AT_MOST]
    by_status = {(DOMAINS, status.value): 0.0 for status in DomainStatus}
    return {
        **by_status,
        **{(DOMAINS, status): number for status, number in standing},
        (OVERDUE, ""): late.count(),
    }
