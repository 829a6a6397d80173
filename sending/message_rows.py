"""Messages as rows of a table: each with its recipients' states, read together."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sending.models import Message, Recipient
from sending.states import last_event


@dataclass(frozen=True)
class Row:
    message: Message
    status: str
    first: str
    others_count: int
    recipients: Sequence[Recipient]


def of(messages: Iterable[Message]) -> list[Row]:
    messages, recipients = list(messages), defaultdict(list)
    for one in Recipient.objects.filter(message__in=[message.pk for message in messages]):
        recipients[one.message_id].append(one)
    return [_row(message, recipients[message.pk]) for message in messages]


def status_of(recipients: Sequence[Recipient]) -> str:
    return last_event(one.outcome for one in recipients) if recipients else "queued"


def _row(message: Message, recipients: Sequence[Recipient]) -> Row:
    return Row(
        message=message,
        status=status_of(recipients),
        first=message.to[0] if message.to else "",
        others_count=max(0, len(recipients) - 1),
        recipients=recipients,
    )
