"""Finds messages by words in subjects and tags, which no index knows, so many at a time.

A page looks through a bounded number of messages, says how far it came, and the next page goes on
there: so an account may look back as far as it keeps messages, and no request takes for ever.
"""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from queensmtp.ids import timestamp_of
from sending.models import MessageQuerySet

LOOKED_THROUGH = 20_000
# A file is waited for.
LOOKED_THROUGH_FOR_CSV = 200_000


@dataclass(frozen=True, slots=True)
class Stretch:
    """The messages that are looked at, newest first, and the last of them if there are more."""

    messages: MessageQuerySet
    last: UUID | None = None

    @property
    def back_to(self) -> datetime | None:
        return timestamp_of(self.last) if self.last else None


def newest(messages: MessageQuerySet, *, below: UUID | None, at_most: int) -> Stretch:
    """The newest of these messages that are older than `below`."""
    if below:
        messages = messages.filter(pk__lt=below)
    ids = messages.order_by("-pk").values_list("pk", flat=True)
    last_and_next = list(ids[at_most - 1 : at_most + 1])
    if len(last_and_next) < 2:
        return Stretch(messages)
    return Stretch(messages.filter(pk__gte=last_and_next[0]), last_and_next[0])
