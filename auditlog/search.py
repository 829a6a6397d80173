"""Searches a log, newest first, in a time that does not depend on how the filters meet.

What is in whole segments is found by their postings, newest segment first, and looked at again
row by row. The rest, a few thousand of the newest entries at most, is searched row by row.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import islice
from uuid import UUID

from auditlog import postings, words
from auditlog.filters import Filters
from auditlog.models import Entry, EntryQuerySet, Indexed, Posting, Segment
from auditlog.postings import Question
from queensmtp import hot
from queensmtp.errors import refuse_field
from queensmtp.pagination import Cursor, Page, page

# Postings of so many segments are read at once: few at first, where most searches end.
FIRST_SEGMENTS, MOST_SEGMENTS = 8, 512

# The oldest entry that no segment holds: sealed since the last whole one, or not yet. Materialized,
# or Postgres would walk the leaves in the order of their entries to find the first.
OLDEST_BEYOND = """
WITH beyond AS MATERIALIZED (
    SELECT entry_id FROM auditlog_leaf
    WHERE account_id = %(account_id)s AND leaf_index >= %(first)s
    UNION ALL
    SELECT entry_id FROM auditlog_pending WHERE account_id = %(account_id)s
)
SELECT entry_id FROM beyond ORDER BY entry_id LIMIT 1
"""

# The best of the entries that stand in some leaves: a common token has thousands in a segment, and
# their ids would cost more to bring here than all the rest of a search.
OLDEST_OF_LEAVES = """
SELECT entry_id FROM auditlog_leaf
WHERE account_id = %s AND leaf_index = ANY (%s::bigint[]) AND entry_id >= %s AND entry_id < %s
ORDER BY entry_id LIMIT %s
"""
NEWEST_OF_LEAVES = OLDEST_OF_LEAVES.replace("ORDER BY entry_id", "ORDER BY entry_id DESC")
LOWEST_ID, HIGHEST_ID = UUID(int=0), UUID(int=2**128 - 1)


def find(account_id: UUID, filters: Filters, cursor: Cursor) -> Page[Entry]:
    """Return one page of what the filters find; an unknown cursor is 422."""
    rows = Entry.objects.of_account(account_id).matching(filters)
    if _is_whole_table(filters):
        return page(rows, cursor)
    _check_cursor(rows, filters, cursor)
    hunt = _Hunt(
        account_id=account_id,
        filters=filters,
        rows=rows,
        question=postings.question(filters),
        is_descending=cursor.before is None,
        bound=cursor.before or cursor.after,
        wanted=cursor.limit + 1,
    )
    found = hunt.run()
    shown = found[: cursor.limit]
    return Page(shown if hunt.is_descending else shown[::-1], has_more=len(found) > cursor.limit)


def _is_whole_table(filters: Filters) -> bool:
    """Whether everything is wanted, or all but ordinary reads: both have an index in their order,
    as have the entries of a target and of a request, which are few."""
    if filters.words:
        return False
    others = [group for group in postings.question(filters).groups if group != postings.SHOWN]
    return not others or _is_narrow(filters)


def _is_narrow(filters: Filters) -> bool:
    return bool(filters.request_id or (filters.target and filters.target.id))


def _check_cursor(rows: EntryQuerySet, filters: Filters, cursor: Cursor) -> None:
    for name, position in (("after", cursor.after), ("before", cursor.before)):
        if position:
            found = rows.filter(pk=position).first()
            if found is None or not found.has_words(filters.words):
                raise refuse_field(name, "unknown_cursor", "no item of this list has this id.")


@dataclass
class _Hunt:
    """One search on its way: what it looks for, and what it has found."""

    account_id: UUID
    filters: Filters
    rows: EntryQuerySet
    question: Question
    is_descending: bool
    bound: UUID | None
    wanted: int
    found: dict[UUID, Entry] = field(default_factory=dict)

    def run(self) -> list[Entry]:
        indexed = Indexed.objects.filter(account_id=self.account_id).first()
        leaf_count = indexed.leaf_count if indexed else 0
        if _is_narrow(self.filters):
            self._look_at_rows(self.rows)
            return self._best()
        segments = self._segments()
        if self.is_descending:
            self._look_beyond(leaf_count)
            self._look_into(segments)
        else:
            self._look_into(segments)
            self._look_beyond(leaf_count)
        return self._best()

    def _best(self) -> list[Entry]:
        ids = sorted(self.found, reverse=self.is_descending)[: self.wanted]
        return [self.found[id] for id in ids]

    def _segments(self) -> list[Segment]:
        """Return the segments that may hold what is wanted, the nearest to the bound first."""
        low, high = self._bounds()
        found = Segment.objects.filter(
            account_id=self.account_id, highest__gte=low, lowest__lt=high
        )
        return list(found.order_by("-highest" if self.is_descending else "lowest"))

    def _bounds(self) -> tuple[UUID, UUID]:
        """Return the lowest id that is wanted, and the lowest beyond the highest."""
        low, high = self.filters.id_bounds()
        low, high = low or LOWEST_ID, high or HIGHEST_ID
        if self.bound and self.is_descending:
            return low, min(high, self.bound)
        return (max(low, _next(self.bound)) if self.bound else low), high

    def _look_beyond(self, leaf_count: int) -> None:
        params = {"account_id": self.account_id, "first": leaf_count}
        oldest = hot.fetch_one(OLDEST_BEYOND, params)
        if oldest:
            self._look_at_rows(self.rows.filter(id__gte=oldest[0]))

    def _look_at_rows(self, rows: EntryQuerySet) -> None:
        if not self.filters.words:
            self._keep(self._bounded(rows)[: self.wanted])
            return
        # Words are no column of the table.
        labels = self._bounded(rows).values_list("id", "target_label").iterator(1_000)
        fitting = (id for id, label in labels if words.are_in(label, self.filters.words))
        self._keep(self.rows.filter(id__in=list(islice(fitting, self.wanted))))

    def _look_into(self, segments: list[Segment]) -> None:
        at, step = 0, FIRST_SEGMENTS
        while at < len(segments):
            if not self._look_into_some(segments[at : at + step]):
                return
            at, step = at + step, min(4 * step, MOST_SEGMENTS)

    def _look_into_some(self, segments: list[Segment]) -> bool:
        """Look into these; return whether what lies beyond them may still be better."""
        read = self._postings(segments)
        hits: list[int] = []
        for segment in segments:
            if self._has_better_than(segment):
                return False
            bits = self.question.places(read.get(segment.number, {}))
            hits += [segment.number * postings.WIDTH + place for place in postings.places_of(bits)]
            if len(hits) >= self.wanted:
                self._resolve(hits)
                hits = []
        self._resolve(hits)
        return True

    def _has_better_than(self, segment: Segment) -> bool:
        """Whether enough was found that nothing in this segment, nor after it, comes before it."""
        if len(self.found) < self.wanted:
            return False
        last = self._best()[-1].id
        return last > segment.highest if self.is_descending else last < segment.lowest

    def _postings(self, segments: list[Segment]) -> dict[int, dict[str, bytes]]:
        numbers = [segment.number for segment in segments]
        read: dict[int, dict[str, bytes]] = {}
        rows = Posting.objects.filter(
            account_id=self.account_id,
            token__in=self.question.tokens,
            segment__gte=min(numbers),
            segment__lte=max(numbers),
        )
        for token, number, places in rows.values_list("token", "segment", "places"):
            read.setdefault(number, {})[token] = bytes(places)
        return read

    def _resolve(self, hits: list[int]) -> None:
        """Read the entries of these leaves, the best first, until enough of them are right."""
        query = NEWEST_OF_LEAVES if self.is_descending else OLDEST_OF_LEAVES
        low, high = self._bounds()
        right_count, most = 0, self.wanted
        while hits and right_count < self.wanted:
            found = hot.fetch_all(query, [self.account_id, hits, low, high, most])
            ids = [id for (id,) in found]
            rows = [one for one in self.rows.filter(id__in=ids) if self._has_words(one)]
            self._keep(rows)
            if len(ids) < most:
                return
            low, high = (low, ids[-1]) if self.is_descending else (_next(ids[-1]), high)
            right_count, most = right_count + len(rows), 4 * most

    def _bounded(self, rows: EntryQuerySet) -> EntryQuerySet:
        if self.bound and self.is_descending:
            rows = rows.filter(id__lt=self.bound)
        elif self.bound:
            rows = rows.filter(id__gt=self.bound)
        return rows.order_by("-id" if self.is_descending else "id")

    def _has_words(self, entry: Entry) -> bool:
        return entry.has_words(self.filters.words)

    def _keep(self, rows: Iterable[Entry]) -> None:
        self.found.update((row.id, row) for row in rows)


def _next(id: UUID) -> UUID:
    return UUID(int=id.int + 1)
