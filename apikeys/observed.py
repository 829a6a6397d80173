"""What the audit log tells of a key's requests: from where they came, and why some were refused.

Every request that names a real key leaves an entry there, found by `auditlog_entry_by_key`.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connection
from django.utils import timezone

from apikeys import allowlist
from apikeys.gate import LEARNED
from apikeys.models import ApiKey
from apikeys.policy import Reason
from auditlog.models import Entry, EntryQuerySet

# Read at most, so that a page about a busy key costs what one about a quiet key does.
COUNTED_AT_MOST = 10_000
REHEARSED = 1_000
REFUSALS_SHOWN = 50
A_DAY = timedelta(days=1)

BY_ADDRESS = """
SELECT host(ip), max(created_at), count(*),
       count(*) FILTER (WHERE outcome = 'refused' AND changes->>'reason' = %s),
       count(*) FILTER (WHERE jsonb_exists(changes, %s))
FROM ({newest}) AS newest (ip, created_at, outcome, changes)
GROUP BY ip ORDER BY 3 DESC, 2 DESC
"""


@dataclass(frozen=True, slots=True)
class Source:
    """The requests from one address; the newest comes first."""

    ip: str | None
    last_at: datetime
    request_count: int
    # Those that the allowlist refused, and those that it would have refused had it not learned.
    refused_count: int
    learned_count: int

    @property
    def passed_count(self) -> int:
        return self.request_count - self.refused_count


@dataclass(frozen=True, slots=True)
class Traffic:
    """Some of a key's newest requests, by the addresses from which they came."""

    sources: list[Source]
    # There may be more than was looked at.
    is_cut: bool = False

    @property
    def request_count(self) -> int:
        return sum(one.request_count for one in self.sources)

    @property
    def learned_count(self) -> int:
        return sum(one.learned_count for one in self.sources)

    def passed(self) -> "Traffic":
        """Only the addresses that the allowlist lets in today."""
        return Traffic([one for one in self.sources if one.passed_count], self.is_cut)

    def outside(self, ranges: Iterable[str] | None) -> "Traffic":
        """What an allowlist of these ranges would refuse."""
        if ranges is None:
            return Traffic([])
        held = allowlist.Ranges(ranges)
        return Traffic([one for one in self.sources if not held.allow(one.ip)], self.is_cut)


def last_day(key: ApiKey) -> Traffic:
    """The requests of the last 24 hours that were let in: what ends when the key ends."""
    used = _requests(key).within(timezone.now() - A_DAY, None).exclude(outcome="refused")
    return _traffic(used, COUNTED_AT_MOST)


def newest(key: ApiKey, *, at_most: int = REHEARSED) -> Traffic:
    """The newest requests that presented this key, whatever became of them."""
    return _traffic(_requests(key), at_most)


def refusals(key: ApiKey, *, at_most: int = REFUSALS_SHOWN) -> list[Entry]:
    """The newest requests of this key that failed or were refused, guesses at it included."""
    entries = Entry.objects.of_account(key.account_id).filter(key_id=key.pk).order_by("-id")
    # An equality each, so that both find `auditlog_entry_by_outcome` however busy the key is.
    found = [
        entry
        for outcome in ("refused", "failed")
        for entry in entries.filter(outcome=outcome)[:at_most]
    ]
    return sorted(found, key=lambda entry: entry.id, reverse=True)[:at_most]


def _requests(key: ApiKey) -> EntryQuerySet:
    entries = Entry.objects.of_account(key.account_id)
    return entries.filter(key_id=key.pk, actor_type="key").order_by("-id")


def _traffic(entries: EntryQuerySet, at_most: int) -> Traffic:
    """Counted by the database: ten thousand rows would take ten times as long to fetch."""
    columns = entries.values_list("ip", "created_at", "outcome", "changes")
    newest, params = columns[:at_most].query.sql_with_params()
    with connection.cursor() as cursor:
        cursor.execute(BY_ADDRESS.format(newest=newest), [Reason.IP_NOT_ALLOWED, LEARNED, *params])
        sources = [Source(*row) for row in cursor.fetchall()]
    return Traffic(sources, is_cut=sum(one.request_count for one in sources) == at_most)
