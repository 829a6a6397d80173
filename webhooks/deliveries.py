"""One attempt, from the claimed row to its report: sign, send, judge."""

import logging
import random
import time
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import UTC, datetime

from django.conf import settings

from queensmtp import crypto, outbound
from queensmtp.errors import DeliveryFailure, PermanentFailure, TemporaryFailure
from queensmtp.outbound import Request, Response
from webhooks import endpoint_urls, schedule, signing
from webhooks.outbox import Claimed, Report
from webhooks.schedule import Verdict

USER_AGENT = "QueenSMTP-Webhooks/1"
RESPONSE_CHARACTERS = 1_000

# What a tenant may know of an address that did not answer: a delivery log that told closed from
# filtered from internal would be a port scanner.
UNREACHABLE = "unreachable"
SHOWN_REASONS = frozenset(
    {
        outbound.Reason.INVALID_URL,
        outbound.Reason.BLOCKED_PORT,
        outbound.Reason.CERTIFICATE,
        outbound.Reason.TLS,
        outbound.Reason.TIMEOUT,
        outbound.Reason.PROTOCOL,
    }
)

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Flight:
    """A delivery that is on the wire."""

    claimed: Claimed
    future: Future[Response]
    sent_at: datetime
    started: float

    @property
    def elapsed_seconds(self) -> float:
        return time.monotonic() - self.started


def start(claimed: Claimed, *, secrets: Sequence[str]) -> Flight:
    """Sign with a fresh timestamp and send; the body is what was stored."""
    sent_at = datetime.now(UTC)
    try:
        future = outbound.submit(_request(claimed, secrets, sent_at))
    except DeliveryFailure as failure:
        future = Future()
        future.set_exception(failure)
    return Flight(claimed, future, sent_at, time.monotonic())


def finish(flight: Flight, *, now: datetime) -> Report:
    """What the answer, or its absence, means for the delivery."""
    try:
        response = flight.future.result()
    except PermanentFailure as failure:
        return _failed(flight, failure.reason, schedule.FAILED)
    except DeliveryFailure as failure:
        return _failed(flight, failure.reason, _next_try(flight, now=now))
    except Exception:
        # A bug of ours must cost this delivery a retry, not its whole batch.
        logger.exception("webhook_attempt_broke", extra={"delivery": str(flight.claimed.id)})
        return _failed(flight, "internal", _next_try(flight, now=now))
    return _answered(flight, response, now=now)


def _request(claimed: Claimed, secrets: Sequence[str], sent_at: datetime) -> Request:
    if not secrets:
        raise TemporaryFailure("No signing secret of the endpoint is readable.", reason="unsigned")
    return Request(
        url=_url(claimed),
        headers={
            "Content-Type": "application/json",
            "User-Agent": USER_AGENT,
            **signing.sign(
                secrets=secrets,
                id=str(claimed.event_id),
                timestamp=int(sent_at.timestamp()),
                body=claimed.body,
            ),
        },
        body=claimed.body,
        timeout=settings.WEBHOOK_TIMEOUT_SECONDS,
    )


def _url(claimed: Claimed) -> str:
    if claimed.credentials is None:
        return claimed.url
    try:
        credentials = endpoint_urls.opened(
            claimed.credentials, account_id=claimed.account_id, endpoint_id=claimed.endpoint_id
        )
    except crypto.CannotDecrypt:
        logger.error("credentials_unreadable", extra={"endpoint": str(claimed.endpoint_id)})
        raise TemporaryFailure("The credentials are not readable.", reason="unreadable") from None
    return endpoint_urls.joined(claimed.url, credentials)


def _answered(flight: Flight, response: Response, *, now: datetime) -> Report:
    verdict = schedule.after_answer(
        status=response.status,
        retry_after=response.headers.get("retry-after"),
        try_number=flight.claimed.try_number,
        now=now,
        pauses=settings.WEBHOOK_RETRY_SECONDS,
        random=random.random,
    )
    return Report(
        claimed=flight.claimed,
        verdict=verdict,
        sent_at=flight.sent_at,
        status=response.status,
        reason="" if verdict is schedule.DELIVERED else f"http_{response.status}",
        latency_milliseconds=round(response.elapsed_seconds * 1000),
        response=_text(response.body),
    )


def _failed(flight: Flight, reason: str, verdict: Verdict) -> Report:
    is_shown = reason in SHOWN_REASONS
    return Report(
        claimed=flight.claimed,
        verdict=verdict,
        sent_at=flight.sent_at,
        status=None,
        reason=reason if is_shown else UNREACHABLE,
        # How long it took to be refused tells closed from filtered, too.
        latency_milliseconds=round(flight.elapsed_seconds * 1000) if is_shown else None,
        response="",
    )


def _next_try(flight: Flight, *, now: datetime) -> Verdict:
    return schedule.after_failure(
        try_number=flight.claimed.try_number,
        now=now,
        pauses=settings.WEBHOOK_RETRY_SECONDS,
        random=random.random,
    )


def _text(body: bytes) -> str:
    """Postgres stores no NUL."""
    return body.decode("utf-8", "replace").replace("\0", "\ufffd")[:RESPONSE_CHARACTERS]
