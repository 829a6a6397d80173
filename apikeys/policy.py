"""Whether a key may do a thing: the one policy, for HTTP and SMTP alike. Pure.

The order of the conditions is the order of `design.md` 1; `docs/security.md` lists them for a
tester to tick. Each function answers None, or the first refusal.
"""

import base64
import hashlib
import hmac
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol
from uuid import UUID

import orjson

from apikeys import allowlist, sending_domains, tokens
from apikeys.tokens import Token
from queensmtp import scopes
from queensmtp.errors import (
    ApiError,
    FieldError,
    Forbidden,
    InsufficientScope,
    InvalidApiKey,
    IpNotAllowed,
)


class Reason(StrEnum):
    """Why a key was refused. The owner sees it in the audit log; the caller does not."""

    UNKNOWN = "unknown_key"
    WRONG_SECRET = "wrong_secret"
    TAMPERED = "row_was_tampered_with"
    DECOY = "decoy"
    IP_NOT_ALLOWED = "ip_not_allowed"
    REVOKED = "revoked"
    EXPIRED = "expired"
    OVERLAP_ENDED = "overlap_ended"
    ACCOUNT_CLOSED = "account_closed"
    SCOPE = "insufficient_scope"
    DOMAIN = "domain_not_allowed"
    RECIPIENT = "recipient_not_allowed"


class DomainNotAllowed(Forbidden):
    """The key may not send from this domain."""

    name = "domain_not_allowed"


class RecipientNotAllowed(Forbidden):
    """The key may not write to this recipient."""

    name = "recipient_not_allowed"


class Limited(Protocol):
    """Whatever says from where and to whom a key may send."""

    @property
    def domains(self) -> tuple[str, ...] | None: ...
    @property
    def allowed_recipients(self) -> tuple[str, ...] | None: ...


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """What the policy knows of a key: exactly the columns that the MAC covers, and a label."""

    id: UUID
    account_id: UUID
    public_id: str
    digest: bytes
    pepper_version: int
    mac: bytes
    environment: str
    scopes: tuple[str, ...]
    domains: tuple[str, ...] | None
    allowed_cidrs: tuple[str, ...] | None
    allowed_recipients: tuple[str, ...] | None
    rate_requests: int | None
    rate_per_seconds: int | None
    expires_at: datetime | None
    overlap_ends_at: datetime | None
    revoked_at: datetime | None
    name: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    account_is_active: bool = True
    is_decoy: bool = False
    learning_until: datetime | None = None
    daily_quota: int | None = None
    # Whose counter its quota is taken from, when it is not its own.
    quota_counter_id: UUID | None = None
    account_plan: str = ""

    def expected_mac(self, *, pepper: str) -> bytes:
        """HMAC-SHA-256 over every column that decides, under the pepper of the digest."""
        covered = [
            "api-key-row-1",
            str(self.id),
            str(self.account_id),
            self.public_id,
            self.digest.hex(),
            self.pepper_version,
            self.environment,
            sorted(self.scopes),
            self.domains,
            self.allowed_cidrs,
            self.allowed_recipients,
            self.rate_requests,
            self.rate_per_seconds,
            *(_instant(at) for at in (self.expires_at, self.overlap_ends_at, self.revoked_at)),
        ]
        if self.is_decoy:
            # Only then, so that rows from before there were decoys keep their MAC.
            covered.append("decoy")
        if self.learning_until is not None:
            covered.append(f"learning {_instant(self.learning_until)}")
        if self.daily_quota is not None or self.quota_counter_id is not None:
            covered.append(f"quota {self.daily_quota} {self.quota_counter_id}")
        return hmac.new(base64.b64decode(pepper), orjson.dumps(covered), hashlib.sha256).digest()


@dataclass(frozen=True, slots=True)
class Refusal:
    """The reason for the owner and the error for the caller."""

    reason: Reason
    error: ApiError

    @property
    def names_real_key(self) -> bool:
        """Whether the caller held the true secret, or at least a row was found for it."""
        return self.reason not in (Reason.UNKNOWN, Reason.WRONG_SECRET)


# Compared against when no row was found, so that a miss costs what a hit costs.
NO_DIGEST = bytes(32)


def authenticate(
    record: KeyRecord | None,
    token: Token,
    *,
    address: str | None,
    now: datetime,
    peppers: Mapping[int, str],
) -> Refusal | None:
    """Gate 2: secret, whether it is bait, address, then whether the key lives."""
    newest = next(iter(peppers.values()))
    pepper = peppers.get(record.pepper_version, newest) if record else newest
    presented = tokens.digest(token, pepper=pepper)
    is_true = tokens.same(presented, record.digest if record else NO_DIGEST)
    if record is None:
        return Refusal(Reason.UNKNOWN, InvalidApiKey())
    if not is_true:
        return Refusal(Reason.WRONG_SECRET, InvalidApiKey())
    if not tokens.same(record.expected_mac(pepper=pepper), record.mac):
        return Refusal(Reason.TAMPERED, InvalidApiKey())
    if record.is_decoy and record.revoked_at is None:
        # From wherever and however late: who holds it found what was laid out for a thief.
        return Refusal(Reason.DECOY, InvalidApiKey())
    if is_outside(record, address) and not is_learning(record, now):
        return Refusal(Reason.IP_NOT_ALLOWED, _ip_not_allowed(address))
    reason = _why_dead(record, now)
    return Refusal(reason, InvalidApiKey()) if reason else None


def is_outside(record: KeyRecord, address: str | None) -> bool:
    """Whether the key has an allowlist and the address is not in it."""
    return record.allowed_cidrs is not None and not allowlist.allows(record.allowed_cidrs, address)


def is_learning(record: KeyRecord, now: datetime) -> bool:
    """Until then the allowlist refuses nobody; who would have been refused is recorded instead."""
    return record.learning_until is not None and now < record.learning_until


def authorise(record: KeyRecord, *, scope: str) -> Refusal | None:
    """Gate 3: the scope that the endpoint declares."""
    if scope in scopes.granted(record.scopes):
        return None
    held = ", ".join(sorted(record.scopes)) or "none"
    message = (
        f"This endpoint needs the scope `{scope}`; this API key has {held}. "
        "An admin of the account can change that."
    )
    return Refusal(Reason.SCOPE, InsufficientScope(message))


def may_send_from(record: Limited, domain: str) -> Refusal | None:
    """Gate 3: the from-domain. No list means every verified domain of the account."""
    if record.domains is None or sending_domains.allows(record.domains, domain):
        return None
    message = (
        f"This API key may send from {', '.join(record.domains)}; `from` is {domain}. "
        "An admin of the account can add it."
    )
    error = DomainNotAllowed(message, errors=[FieldError("from", "domain_not_allowed", message)])
    return Refusal(Reason.DOMAIN, error)


def may_send_to(record: Limited, addresses: Iterable[str]) -> Refusal | None:
    """Gate 3: the key's recipient rule, `@domain` or a whole address."""
    if record.allowed_recipients is None:
        return None
    allowed = frozenset(record.allowed_recipients)
    for address in addresses:
        if address not in allowed and address[address.rindex("@") :] not in allowed:
            message = (
                f"This API key may write only to {', '.join(record.allowed_recipients)}; "
                f"{address} is not among them. An admin of the account can add it."
            )
            errors = [FieldError("to", "recipient_not_allowed", message)]
            return Refusal(Reason.RECIPIENT, RecipientNotAllowed(message, errors=errors))
    return None


def _why_dead(record: KeyRecord, now: datetime) -> Reason | None:
    if record.revoked_at is not None:
        return Reason.REVOKED
    if record.overlap_ends_at is not None and record.overlap_ends_at <= now:
        return Reason.OVERLAP_ENDED
    if record.expires_at is not None and record.expires_at <= now:
        return Reason.EXPIRED
    return None if record.account_is_active else Reason.ACCOUNT_CLOSED


def _ip_not_allowed(address: str | None) -> IpNotAllowed:
    return IpNotAllowed(
        f"This API key may not be used from {address or 'an unknown address'}; "
        "an admin of the account can add the address to its allowlist."
    )


def _instant(at: datetime | None) -> int | None:
    """Microseconds since the epoch: what Postgres keeps of a time."""
    return None if at is None else round(at.timestamp() * 1_000_000)
