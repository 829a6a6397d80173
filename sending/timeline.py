"""What happened to a message, in order, in words for people."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.utils.dateparse import parse_datetime

from sending.models import DeliveryEvent, Message, Recipient
from sending.states import State

TITLES = {
    "scheduled": "Scheduled",
    "delivered": "Delivered",
    "sent": "Taken by the relay",
    "delivery_delayed": "Put off, to be tried again",
    "deferred": "Put off, to be tried again",
    "in_doubt": "In doubt: it may have arrived",
    "bounced": "Refused for good",
    "failed": "Given up",
    "suppressed": "Not sent: the address is suppressed",
    "canceled": "Canceled",
    "complained": "Marked as spam by the recipient",
    "opened": "Opened",
    "clicked": "A link was clicked",
    "unsubscribed": "Unsubscribed from marketing mail",
    "unclear_report": "A mail system answered, and it is not clear what it says",
}
TONES = {
    "delivered": "good",
    "sent": "good",
    "opened": "good",
    "clicked": "good",
    "delivery_delayed": "warn",
    "deferred": "warn",
    "in_doubt": "warn",
    "suppressed": "warn",
    "unsubscribed": "warn",
    "unclear_report": "warn",
    "bounced": "bad",
    "failed": "bad",
    "complained": "bad",
}
# Why a visit is taken for a program's.
AUTOMATIC = {
    "method": "only the header was asked for",
    "prefetch": "a program fetched it ahead",
    "user_agent": "the program is a scanner, a preview or a proxy",
    "too_quick": "it came at once after the delivery",
}
WAITING = {State.QUEUED, State.SENDING, State.DEFERRED, State.IN_DOUBT, State.SCHEDULED}


@dataclass(frozen=True)
class Step:
    title: str
    at: datetime | None
    icon: str
    tone: str = "plain"
    recipient: str = ""
    facts: Sequence[tuple[str, str]] = field(default_factory=tuple)


def steps(
    message: Message, recipients: Sequence[Recipient], events: Iterable[DeliveryEvent]
) -> list[Step]:
    addresses = {one.pk: one.address for one in recipients}
    found = [_accepted(message)]
    for event in events:
        found.extend(_attempt(event, addresses.get(event.recipient_id, "")))
    found.extend(_waiting(one) for one in recipients if one.state in WAITING)
    return found


def _accepted(message: Message) -> Step:
    facts = (("Request", message.request_id), ("Message-ID", f"<{message.message_id}>"))
    doors = {"batch": "API, in a batch", "console": "the console, sent again"}
    title = f"Accepted over {doors.get(message.via, message.via.upper())}"
    return Step(title, message.created_at, icon="inbox", tone="good", facts=facts)


def _attempt(event: DeliveryEvent, address: str) -> list[Step]:
    data, name = event.data, event.type.removeprefix("email.")
    found = []
    claimed_at = _moment(data.get("claimed_at"))
    if claimed_at:
        attempt = (("Attempt", str(data.get("attempt", 1))),)
        found.append(Step("Claimed by a worker", claimed_at, "timer", "notice", address, attempt))
    if data.get("dkim"):
        found.append(
            Step("Signed", claimed_at, "shield-check", "good", address, _signatures(data["dkim"]))
        )
    tone = TONES.get(name, "plain")
    title = TITLES.get(name, name.replace("_", " ").capitalize())
    icon = {"good": "circle-check", "warn": "clock", "bad": "circle-x"}.get(tone, "circle-dot")
    found.append(Step(title, event.created_at, icon, tone, address, _replies(data)))
    return found


def _signatures(dkim: Sequence[dict[str, Any]]) -> list[tuple[str, str]]:
    return [
        ("DKIM", f"d={one.get('d')} s={one.get('s')} a={one.get('a')}")
        for one in dkim
        if isinstance(one, dict)
    ]


def _replies(data: dict[str, Any]) -> list[tuple[str, str]]:
    code = " ".join(str(data[name]) for name in ("code", "enhanced_code") if data.get(name))
    tls = " ".join(str(data[name]) for name in ("tls_version", "tls_cipher") if data.get(name))
    facts = (
        ("Server", data.get("mx_host")),
        ("TLS", tls),
        ("Code", code),
        ("Its words", data.get("reply")),
        ("Reason", data.get("reason")),
        ("Link", data.get("link")),
        ("Address", data.get("ip")),
        ("Program", data.get("user_agent")),
        ("No person", AUTOMATIC.get(str(data.get("automatic")))),
    )
    return [(name, str(value)) for name, value in facts if value]


def _waiting(recipient: Recipient) -> Step:
    facts = [("Attempts so far", str(recipient.attempts))] if recipient.attempts else []
    if recipient.state == State.SENDING:
        return Step("A worker has it", None, "send", "notice", recipient.address, facts)
    return Step("Waits for its turn", recipient.due_at, "clock", "notice", recipient.address, facts)


def _moment(text: object) -> datetime | None:
    return parse_datetime(text) if isinstance(text, str) else None
