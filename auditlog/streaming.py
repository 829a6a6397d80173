"""Streams of the log: set up by admins, pushed by a worker, at least once and in leaf order."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, F, OuterRef
from django.utils import timezone

from auditlog import actions, siem
from auditlog.audit import Event
from auditlog.models import Entry, Head, Leaf
from auditlog.streamed import Kind, Stream
from queensmtp import crypto, outbound
from queensmtp.actors import Actor, Target
from queensmtp.errors import DeliveryFailure, refuse_field
from queensmtp.ids import new_id

STREAMS_MAX = 5
BATCH = 500
LEASE = timedelta(minutes=2)
SECONDS_FOR_BATCH = 30.0
LONGEST_REST = timedelta(hours=1)
# The first rest after a failure; each further one doubles it.
FIRST_REST = timedelta(seconds=5)


@dataclass(frozen=True)
class Chosen:
    """What an admin fills in."""

    kind: str
    address: str
    names: str
    authorization: str = ""
    from_now_on: bool = True


@transaction.atomic
def create(*, by: Actor, chosen: Chosen) -> Stream:
    """Begin a stream; from the first leaf, or from the next."""
    account_id = by.tenant_id
    _check(chosen)
    if Stream.objects.filter(account_id=account_id).count() >= STREAMS_MAX:
        raise refuse_field("address", "too_many", f"there are {STREAMS_MAX} streams already.")
    id = new_id()
    head = Head.objects.filter(account_id=account_id).first()
    stream = Stream.objects.create(
        id=id,
        account_id=account_id,
        kind=chosen.kind,
        address=chosen.address,
        fields=chosen.names,
        authorization=_sealed(chosen.authorization, stream_id=str(id), by=by),
        next_leaf=head.size if head and chosen.from_now_on else 0,
    )
    actions.record(
        by=by,
        event=Event.STREAM_CREATED,
        target=_target(stream),
        changes={"kind": stream.kind, "fields": stream.fields, "from_leaf": stream.next_leaf},
    )
    return stream


@transaction.atomic
def switch(*, by: Actor, stream: Stream, is_enabled: bool) -> None:
    """Stop a stream, or let it go on where it stopped."""
    changed = Stream.objects.filter(pk=stream.pk, is_enabled=not is_enabled).update(
        is_enabled=is_enabled, fence=F("fence") + 1, due_at=timezone.now(), failure_count=0
    )
    if changed:
        actions.record(
            by=by,
            event=Event.STREAM_SWITCHED,
            target=_target(stream),
            changes={"enabled": {"before": not is_enabled, "after": is_enabled}},
        )


@transaction.atomic
def remove(*, by: Actor, stream: Stream) -> None:
    actions.record(by=by, event=Event.STREAM_REMOVED, target=_target(stream))
    stream.delete()


def push_due() -> int:
    """Push one batch of each stream that has something to say; return how many arrived."""
    arrived = 0
    tried: set[UUID] = set()
    while (stream := _claim(now=timezone.now(), tried=tried)) is not None:
        tried.add(stream.pk)
        while _push(stream):
            arrived += 1
    return arrived


@transaction.atomic
def _claim(*, now: datetime, tried: set[UUID]) -> Stream | None:
    more = Head.objects.filter(account_id=OuterRef("account_id"), size__gt=OuterRef("next_leaf"))
    stream = (
        Stream.objects.filter(is_enabled=True, due_at__lte=now)
        .filter(Exists(more))
        .exclude(pk__in=tried)
        .select_for_update(skip_locked=True)
        .order_by("due_at")
        .first()
    )
    if stream is not None:
        stream.fence += 1
        stream.due_at = now + LEASE
        stream.save(update_fields=["fence", "due_at"])
    return stream


def _push(stream: Stream) -> bool:
    """Push the next batch; return whether it arrived and there may be more."""
    past, rows = _next(stream)
    if past == stream.next_leaf:
        _report(stream, due_at=timezone.now())
        return False
    try:
        if rows:
            _send(stream, rows)
    except DeliveryFailure as failure:
        _rest(stream, str(failure))
        return False
    stream.next_leaf = past
    now = timezone.now()
    return _report(
        stream, next_leaf=past, sent_at=now, due_at=now + LEASE, failure_count=0, problem=""
    )


def _next(stream: Stream) -> tuple[int, list[siem.Sealed]]:
    """Return where the next batch ends and its entries; those past their retention are no more."""
    leaves = Leaf.objects.filter(account_id=stream.account_id, leaf_index__gte=stream.next_leaf)
    places = dict(leaves.order_by("leaf_index")[:BATCH].values_list("entry_id", "leaf_index"))
    entries = Entry.objects.of_account(stream.account_id).in_bulk(list(places))
    rows = [(entries[id], index) for id, index in places.items() if id in entries]
    return max(places.values(), default=stream.next_leaf - 1) + 1, rows


def _send(stream: Stream, rows: list[siem.Sealed]) -> None:
    if stream.kind == Kind.SYSLOG:
        host, _, port = stream.address.rpartition(":")
        data = siem.syslog(rows, fields=stream.fields, host=settings.AUDIT_LOG_HOST)
        outbound.send_stream(host, int(port), data, timeout=SECONDS_FOR_BATCH)
        return
    headers = {"Content-Type": "application/x-ndjson", **_authorization(stream)}
    request = outbound.Request(
        url=stream.address,
        headers=headers,
        body=siem.ndjson(rows, fields=stream.fields),
        timeout=SECONDS_FOR_BATCH,
    )
    answer = outbound.send(request)
    if not 200 <= answer.status < 300:
        raise DeliveryFailure(f"The receiver answered {answer.status}.", reason="refused")


def _rest(stream: Stream, problem: str) -> None:
    count = stream.failure_count + 1
    rest = min(FIRST_REST * 2 ** min(count - 1, 10), LONGEST_REST)
    _report(stream, due_at=timezone.now() + rest, failure_count=count, problem=problem[:500])


def _report(stream: Stream, **values: object) -> bool:
    ours = Stream.objects.filter(pk=stream.pk, fence=stream.fence, is_enabled=True)
    return bool(ours.update(**values))


def _check(chosen: Chosen) -> None:
    try:
        if chosen.kind == Kind.SYSLOG:
            host, colon, port = chosen.address.rpartition(":")
            if not (colon and port.isascii() and port.isdigit() and len(port) < 6):
                raise refuse_field(
                    "address", "invalid", "give host:port, such as siem.example:6514."
                )
            outbound.check_stream(host, int(port))
        else:
            if outbound.check_url(chosen.address).credentials:
                raise refuse_field(
                    "address", "invalid", "put the credentials into the Authorization header."
                )
    except DeliveryFailure as failure:
        raise refuse_field("address", "invalid", str(failure)) from failure


def _sealed(authorization: str, *, stream_id: str, by: Actor) -> bytes | None:
    if not authorization:
        return None
    if not authorization.isprintable() or not authorization.isascii():
        raise refuse_field("authorization", "invalid", "give one line of plain ASCII.")
    return crypto.encrypt(
        authorization.encode(),
        account_id=by.tenant_id,
        table="auditlog_stream",
        column="authorization",
        row_id=stream_id,
    )


def _authorization(stream: Stream) -> dict[str, str]:
    if stream.authorization is None:
        return {}
    value = crypto.decrypt(
        bytes(stream.authorization),
        account_id=stream.account_id,
        table="auditlog_stream",
        column="authorization",
        row_id=str(stream.pk),
    )
    return {"Authorization": value.decode()}


def _target(stream: Stream) -> Target:
    return Target("audit_stream", str(stream.pk), stream.shown_address)
