"""Stores the mail of many requests by one commit (docs/adr/0060).

The mail of one key goes into one statement, which tests again that the key lives, its account is
open and the domains are verified: a message whose domain is not is left out, and all of a dead
key. Each message has its own recipients, idempotency answer and audit entry, as if it had come
alone. What cannot be stored so is stored alone, by the statement of one, which knows why not.
"""

from collections import defaultdict
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction

from apikeys.policy import KeyRecord
from auditlog.entries import Entry
from auditlog.entries import many_params as many_entry_params
from queensmtp import hot, together
from queensmtp.actors import Actor
from sending import rows, statements
from sending.gates import Idempotency
from sending.quotas import Spending
from sending.rows import Draft

# How many live, how many stored, and what each quota has used by then.
Counts = tuple[int, int, Sequence[int] | None]


@dataclass(frozen=True, slots=True)
class Order:
    """One message to be stored, and who asks for it."""

    draft: Draft
    now: datetime
    key: KeyRecord
    actor: Actor
    via: str
    entry: Entry
    idempotency: Idempotency | None
    spending: Spending | None

    @property
    def is_plain(self) -> bool:
        """Scheduled mail is told of in its own transaction."""
        return self.draft.submission.scheduled_at is None

    @property
    def pile(self) -> tuple[str, ...]:
        """What goes into one statement. In this order counters are locked, whoever stores them:
        by account, then by the counter that keys share (docs/adr/0067)."""
        key, endpoint = self.key, self.idempotency.endpoint if self.idempotency else ""
        counter = key.quota_counter_id or key.id
        today = str(self.spending.today) if self.spending else ""  # Nothing binds the sandbox.
        return str(key.account_id), str(counter), str(key.id), endpoint, today


Pile = list[Order]


class _Incomplete(Exception):
    """Quotas were charged for more than was stored."""


def store(orders: Sequence[Order]) -> dict[UUID, Counts]:
    """Store what can be stored together; the counts of what was, by the ids of the drafts."""
    piles = _piles(orders)
    try:
        return _commit(piles)
    except Exception as error:
        if hot.may_be_done(error):
            raise
    # The pile that failed is left to be stored one by one, the others need not be.
    stored: dict[UUID, Counts] = {}
    held: set[UUID] = set()
    for pile in piles if len(piles) > 1 else []:
        account_id = pile[0].key.account_id
        if account_id in held or len(held) == together.LEFT_AT_MOST:
            continue
        try:
            stored |= _commit([pile])
        except Exception as error:
            if hot.may_be_done(error):
                raise
            if hot.waited_too_long(error):
                held.add(account_id)
    return stored


def _piles(orders: Sequence[Order]) -> list[Pile]:
    """Without repeats of an idempotency key: who comes second gets the answer of the first."""
    piles, seen = defaultdict(list), set()
    for order in orders:
        if order.idempotency is not None:
            request = (order.key.account_id, order.idempotency.endpoint, order.idempotency.digest)
            if request in seen:
                continue
            seen.add(request)
        piles[order.pile].append(order)
    return [piles[name] for name in sorted(piles)]


def _commit(piles: Sequence[Pile]) -> dict[UUID, Counts]:
    """One statement that spends no quota is a transaction of its own."""
    is_one = len(piles) == 1 and piles[0][0].spending is None
    unit: AbstractContextManager[Any] = nullcontext() if is_one else transaction.atomic()
    stored: dict[UUID, Counts] = {}
    with unit:
        for pile in piles:
            stored |= _run(pile)
    return stored


def _run(pile: Pile) -> dict[UUID, Counts]:
    first = pile[0]
    drafts = [order.draft for order in pile]
    domains = sorted({draft.sender.domain for draft in drafts})
    params: list[Any] = [str(first.key.account_id), domains, first.key.id]
    statement = statements.GROUP
    if first.idempotency is not None:
        statement = statements.GROUP_IDEMPOTENT
        params += rows.many_idempotency_params(
            [(one.idempotency, one.draft, one.now) for one in pile if one.idempotency]
        )
    params += rows.group_message_params(
        drafts,
        key=first.key,
        request_ids=[one.actor.origin.request_id for one in pile],
        vias=[one.via for one in pile],
        times=[one.now for one in pile],
    )
    params += rows.many_recipient_params(drafts, now=first.now)
    params += many_entry_params([(one.draft.id, one.entry) for one in pile])
    spending = first.spending
    if spending is not None:
        statement = statements.SPENDING[statement]
        params += [*spending.counters(), [one.allowed for one in spending.quotas]]
        params.append(sum(one.spending.cost for one in pile if one.spending))
    row = hot.fetch_one(statement, params)
    assert row is not None
    ids, used = set(row[0]), row[1] if spending else None
    if used is not None and len(ids) < len(pile):
        raise _Incomplete
    return _counts([one for one in pile if one.draft.id in ids], used)


def _counts(stored: Pile, used: Sequence[int] | None) -> dict[UUID, Counts]:
    """As if they had come one after the other."""
    counts: dict[UUID, Counts] = {}
    behind = 0
    for order in reversed(stored):
        counts[order.draft.id] = (1, 1, [count - behind for count in used] if used else None)
        behind += order.spending.cost if order.spending else 0
    return counts
