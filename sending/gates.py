"""Gates 3 and 4 of `design.md` 1: what a key may do, what was answered before, how fast it goes.

The single accept, the batch and the SMTP session pass through the same ones, in the same order.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson
from django.conf import settings

from apikeys import policy
from apikeys.policy import KeyRecord, Refusal
from queensmtp import hot, ratelimit
from queensmtp.errors import ApiError, FieldError, PayloadTooLarge, RateLimited, Unavailable
from queensmtp.ratelimit import Limit, Verdict
from queensmtp.together import Question, Step
from sending import statements
from sending.errors import DomainNotVerified, OtherRequestUnderKey
from sending.submissions import Submission

# Account, endpoint, and the digest of an idempotency key.
Request = tuple[UUID, str, bytes]


class Refused(Exception):
    """A gate refused. `reason` is the true one, for the owner's audit log."""

    def __init__(self, error: ApiError, *, reason: str | None = None) -> None:
        self.error = error
        self.reason = reason or error.name
        super().__init__(error.message)


@dataclass(frozen=True, slots=True)
class Idempotency:
    """A caller's key for this request, and the fingerprint of what it asks."""

    endpoint: str
    key: str
    fingerprint: bytes

    @property
    def digest(self) -> bytes:
        return hashlib.sha256(self.key.encode()).digest()


def pass_key_rules(submission: Submission, key: KeyRecord) -> None:
    """May the key send from this domain, and to these recipients?"""
    refusal = key_refusal(submission, key)
    if refusal is not None:
        raise Refused(refusal.error, reason=refusal.reason)


def key_refusal(submission: Submission, key: KeyRecord) -> Refusal | None:
    refusal = None
    if submission.sender is not None:
        refusal = policy.may_send_from(key, submission.sender.domain)
    return refusal or policy.may_send_to(key, submission.recipients)


def find_answer(key: KeyRecord, idempotency: Idempotency) -> Any:
    """The answer that this very request got before, or None; another request is refused."""
    row = _REPLAY.ask((key.account_id, idempotency.endpoint, idempotency.digest))
    if row is None:
        return None
    fingerprint, answer = row
    if bytes(fingerprint) != idempotency.fingerprint:
        raise Refused(OtherRequestUnderKey())
    return orjson.loads(answer)


def _find_one(asked: Request) -> tuple[Any, ...] | None:
    account_id, endpoint, digest = asked
    return hot.fetch_one(statements.REPLAY, [str(account_id), endpoint, digest])


def _find_for_many(asked: Sequence[Request]) -> list[tuple[Any, ...] | None]:
    """One query for each account and endpoint."""
    digests = defaultdict(set)
    for account_id, endpoint, digest in asked:
        digests[account_id, endpoint].add(digest)
    found: dict[Request, tuple[Any, ...]] = {}
    for (account_id, endpoint), those in digests.items():
        params = [str(account_id), endpoint, list(those)]
        for digest, *row in hot.fetch_all(statements.REPLAY_MANY, params):
            found[account_id, endpoint, bytes(digest)] = tuple(row)
    return [found.get(one) for one in asked]


_REPLAY = Question(Step.REPLAY, _find_one, _find_for_many)


def answer_of_the_winner(key: KeyRecord, idempotency: Idempotency | None) -> Any:
    """A twin of this request committed while ours waited for it."""
    assert idempotency is not None
    answer = find_answer(key, idempotency)
    if answer is None:
        raise Refused(Unavailable("The same request was under way; send it again."))
    return answer


def pass_rate_limit(key: KeyRecord) -> Verdict:
    """One request, however many messages it carries."""
    verdict = ratelimit.take(f"key:{key.id}", limit_of(key))
    if not verdict.allowed:
        raise Refused(RateLimited(headers=verdict.headers()))
    return verdict


def limit_of(key: KeyRecord) -> Limit:
    """The key's own rate, or the default of the settings."""
    if key.rate_requests is None or key.rate_per_seconds is None:
        return Limit(settings.KEY_RATE_REQUESTS, 1, settings.KEY_RATE_BURST)
    return Limit(key.rate_requests, key.rate_per_seconds, key.rate_requests)


def pass_validation(submission: Submission) -> None:
    try:
        submission.raise_problems()
    except ApiError as error:
        raise Refused(error) from None


def pass_size(submission: Submission) -> None:
    """Texts and files as they are, whatever encoding they came in and will leave in."""
    if submission.size > settings.MESSAGE_MAX_BYTES:
        message = (
            f"The message is larger than {settings.MESSAGE_MAX_BYTES:,} bytes. "
            "Send less, or link to large files."
        )
        raise Refused(PayloadTooLarge(message))


def verified_among(key: KeyRecord, domains: Iterable[str]) -> frozenset[str]:
    """Which of these domains the account has verified."""
    row = hot.fetch_one(statements.VERIFIED_DOMAINS, [str(key.account_id), sorted(domains)])
    return frozenset(row[0] or () if row else ())


def domain_not_verified(domain: str, *, field: str = "from") -> Refused:
    message = (
        f"The domain {domain} is not verified. Add it and its DNS records under Domains, "
        "then send again."
    )
    errors = [FieldError(field, "domain_not_verified", message)]
    return Refused(DomainNotVerified(message, errors=errors), reason="domain_not_verified")
