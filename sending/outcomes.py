"""From outcomes to rows: reports for the queue, events for the timeline and for webhooks."""

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from queensmtp.ids import new_id
from sending import backoff, bounces
from sending.backoff import Schedule
from sending.courier import Outcome
from sending.models import DeliveryEvent, Message
from sending.parcels import Carried
from sending.queue import Claimed, Lost, Report
from sending.states import State
from webhooks.payloads import WebhookEvent

EVENT_OF_STATE = {
    State.DELIVERED: "email.delivered",
    State.SENT: "email.sent",
    State.DEFERRED: "email.delivery_delayed",
    State.IN_DOUBT: "email.delivery_delayed",
    State.BOUNCED: "email.bounced",
    State.FAILED: "email.failed",
    State.SUPPRESSED: "email.suppressed",
}
LEASE_RAN_OUT = "The worker stopped in the middle: the message may have arrived. Trying again."


@dataclass(frozen=True, slots=True)
class Told:
    """An outcome as it is kept: a report to the queue and the event that tells of it."""

    report: Report
    event: DeliveryEvent


def told(carried: Carried, *, schedule: Schedule, now: datetime) -> list[Told]:
    """Judge each recipient's outcome: final, or tried again at a time."""
    pairs = zip(carried.parcel.claimed, carried.outcomes, strict=True)
    return [_tell(carried, claimed, one, schedule, now) for claimed, one in pairs]


def lost_event(lost: Lost, *, now: datetime) -> DeliveryEvent:
    """A lease that ran out, as an event."""
    return DeliveryEvent(
        id=new_id(),
        account_id=lost.account_id,
        message_id=lost.message_id,
        recipient_id=lost.id,
        type=EVENT_OF_STATE[State.IN_DOUBT],
        created_at=now,
        data={"attempt": lost.attempt, "state": State.IN_DOUBT, "reply": LEASE_RAN_OUT},
    )


def webhook_event(
    event: DeliveryEvent, message: Message, address: str, *, headers: Sequence[Any] = ()
) -> WebhookEvent:
    """The webhook of an event (wire contract 7.2). `headers` are the message's own custom ones."""
    data: dict[str, Any] = {
        "email_id": str(message.pk),
        "message_id": f"<{message.message_id}>",
        "created_at": message.created_at.isoformat(),
        "from": message.sender,
        "to": [address],
        "subject": message.subject,
        "tags": {tag["name"]: tag["value"] for tag in message.tags},
        "headers": [{"name": name, "value": value} for name, value in headers],
    }
    if event.type == "email.bounced":
        data["bounce"] = _bounce(event.data)
    if event.type == "email.failed":
        data["failed"] = {"reason": event.data["reply"]}
    if event.type == "email.clicked":
        data["click"] = _click(event)
    if event.type == "email.suppressed":
        data["suppressed"] = {"message": event.data["reply"], "type": "OnAccountSuppressionList"}
    return WebhookEvent(event.id, event.type, event.created_at, data)


def addresses_of(claims: Iterable[Claimed | Lost]) -> dict[UUID, str]:
    return {one.id: one.address for one in claims}


def _tell(
    carried: Carried, claimed: Claimed, outcome: Outcome, schedule: Schedule, now: datetime
) -> Told:
    state, due_at = outcome.state, None
    if state in (State.DEFERRED, State.IN_DOUBT):
        due_at = backoff.next_attempt_at(
            now=now,
            accepted_at=carried.parcel.message.leaves_at,
            attempt=claimed.attempt,
            schedule=schedule,
            chance=random.random(),
        )
        state = state if due_at else State.FAILED
    report = Report(
        claimed=claimed,
        state=state,
        due_at=due_at,
        finished_at=None if due_at else now,
        code=outcome.code,
        enhanced=outcome.enhanced,
        reply=outcome.reply,
        mx_host=outcome.proof.mx_host,
        tls_version=outcome.proof.tls_version,
        tls_cipher=outcome.proof.tls_cipher,
    )
    return Told(report, _event(carried, report, now, mta_sts=outcome.proof.mta_sts))


def _event(carried: Carried, report: Report, now: datetime, *, mta_sts: str) -> DeliveryEvent:
    claimed = report.claimed
    data = {
        "attempt": claimed.attempt,
        "state": report.state,
        "claimed_at": carried.began_at.isoformat(),
        "dkim": list(carried.signatures),
        "mx_host": report.mx_host,
        "tls_version": report.tls_version,
        "tls_cipher": report.tls_cipher,
        "mta_sts": mta_sts,
        "code": report.code or None,
        "enhanced_code": report.enhanced,
        "reply": report.reply,
        "next_attempt_at": report.due_at.isoformat() if report.due_at else None,
    }
    return DeliveryEvent(
        id=new_id(),
        account_id=claimed.account_id,
        message_id=claimed.message_id,
        recipient_id=claimed.id,
        type=EVENT_OF_STATE[State(report.state)],
        created_at=now,
        data=data,
    )


def _click(event: DeliveryEvent) -> dict[str, Any]:
    return {
        "ipAddress": event.data["ip"],
        "link": event.data["link"],
        "timestamp": event.created_at.isoformat(),
        "userAgent": event.data["user_agent"],
    }


def _bounce(data: dict[str, Any]) -> dict[str, str]:
    """anymail looks for these words in the message."""
    kind = bounces.kind_of(data)
    told = " ".join(str(data[name]) for name in ("code", "enhanced_code", "reply") if data[name])
    return {
        "message": f"The recipient's server sent a bounce message: {data['reply']}",
        "type": kind.type,
        "subType": kind.sub_type,
        "diagnosticCode": f"smtp; {told}",
    }
