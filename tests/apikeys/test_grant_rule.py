"""The conditions of the grant rule, one by one, as docs/security.md numbers them."""

from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from apikeys import policy, reasons, tokens
from apikeys.policy import KeyRecord, Reason, Refusal
from apikeys.tokens import Environment, Token
from queensmtp.errors import InvalidApiKey, IpNotAllowed
from queensmtp.scopes import Scope

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
PEPPER = "cGVwcGVyIG9mIHRoZSB0ZXN0cywgMzIgYnl0ZXMgbG8="
OTHER_PEPPER = "YW5vdGhlciBwZXBwZXIgb2YgdGhlIHRlc3RzLCAzMmI="
TOKEN = tokens.mint(Environment.PRODUCTION)
# What the MAC need not cover: itself, and what decides nothing or stands in another table.
NOT_COVERED = {"mac", "name", "labels", "account_is_active", "account_plan"}


def make_record(token: Token = TOKEN, **columns: Any) -> KeyRecord:
    """A row as `apikeys.actions` writes it: its MAC covers what it says."""
    blank = KeyRecord(
        id=UUID(int=1),
        account_id=UUID(int=2),
        public_id=token.public_id,
        digest=tokens.digest(token, pepper=PEPPER),
        pepper_version=1,
        mac=b"",
        environment="production",
        scopes=(Scope.EMAIL_SEND,),
        domains=None,
        allowed_cidrs=None,
        allowed_recipients=None,
        rate_requests=None,
        rate_per_seconds=None,
        expires_at=None,
        overlap_ends_at=None,
        revoked_at=None,
    )
    record = replace(blank, **columns)
    return replace(record, mac=record.expected_mac(pepper=PEPPER))


def present(
    record: KeyRecord | None, token: Token = TOKEN, *, address: str | None = "203.0.113.7"
) -> Refusal | None:
    return policy.authenticate(record, token, address=address, now=NOW, peppers={1: PEPPER})


def reason_of(refusal: Refusal | None) -> Reason | None:
    return refusal.reason if refusal else None


def test_a_key_that_meets_every_condition_passes() -> None:
    assert present(make_record()) is None


@pytest.mark.parametrize(
    "text",
    [
        TOKEN.text[:-1],
        TOKEN.text + "0",
        f" {TOKEN.text}",
        TOKEN.text.swapcase(),
        TOKEN.text.replace("qs_prod", "qs_test"),
        TOKEN.text[:-1] + chr(ord(TOKEN.text[-1]) + 0xFEE0),
        "",
    ],
)
def test_what_is_not_the_token_byte_for_byte_is_no_token(text: str) -> None:
    assert tokens.parse(text) is None


def test_an_unknown_key_is_refused() -> None:
    assert reason_of(present(None)) is Reason.UNKNOWN


def test_a_true_id_with_another_secret_is_refused() -> None:
    stranger = tokens.mint(Environment.PRODUCTION)
    assert reason_of(present(make_record(), stranger)) is Reason.WRONG_SECRET


def test_a_digest_under_another_pepper_is_refused() -> None:
    digest = tokens.digest(TOKEN, pepper=OTHER_PEPPER)
    assert reason_of(present(make_record(digest=digest))) is Reason.WRONG_SECRET


CHANGED: dict[str, Any] = {
    "id": UUID(int=3),
    "account_id": UUID(int=4),
    "public_id": "000000000000",
    "pepper_version": 2,
    "environment": "staging",
    "scopes": (Scope.EMAIL_SEND, Scope.KEYS_WRITE),
    "domains": ("hive.example",),
    "allowed_cidrs": ("203.0.113.0/24",),
    "allowed_recipients": ("@hive.example",),
    "rate_requests": 100_000,
    "rate_per_seconds": 1,
    "expires_at": NOW + MICROSECOND,
    "overlap_ends_at": NOW + MICROSECOND,
    "revoked_at": NOW,
    "learning_until": NOW + MICROSECOND,
    "is_decoy": True,
    "daily_quota": 1_000,
    "quota_counter_id": UUID(int=5),
}


@pytest.mark.parametrize("column", CHANGED)
def test_a_row_changed_without_the_pepper_is_refused(column: str) -> None:
    changed = replace(make_record(), **{column: CHANGED[column]})
    peppers = {1: PEPPER, 2: PEPPER}
    refusal = policy.authenticate(changed, TOKEN, address=None, now=NOW, peppers=peppers)
    assert reason_of(refusal) is Reason.TAMPERED


def test_the_mac_covers_every_column_that_decides() -> None:
    columns = {one.name for one in fields(KeyRecord)} - NOT_COVERED
    # A changed digest is refused before the MAC is looked at.
    assert set(CHANGED) | {"digest"} == columns


@pytest.mark.parametrize("address", ["198.51.100.1", "::1", "not an address", None])
def test_an_address_outside_the_allowlist_is_refused(address: str | None) -> None:
    refusal = present(make_record(allowed_cidrs=("203.0.113.0/24",)), address=address)
    assert refusal is not None and isinstance(refusal.error, IpNotAllowed)


@pytest.mark.parametrize("address", ["203.0.113.7", "::ffff:203.0.113.7"])
def test_an_address_inside_the_allowlist_passes_however_it_is_written(address: str) -> None:
    assert present(make_record(allowed_cidrs=("203.0.113.0/24",)), address=address) is None


@pytest.mark.parametrize("reason", ["nothing", "revoked", "expired"])
def test_a_learning_key_is_let_in_from_anywhere_and_no_further(reason: str) -> None:
    columns: dict[str, Any] = {
        "nothing": {},
        "revoked": {"revoked_at": NOW},
        "expired": {"expires_at": NOW},
    }[reason]
    record = make_record(
        allowed_cidrs=("203.0.113.0/24",), learning_until=NOW + MICROSECOND, **columns
    )
    wanted = None if reason == "nothing" else Reason(reason)
    assert reason_of(present(record, address="198.51.100.1")) is wanted


def test_learning_ends_with_its_last_instant_and_the_allowlist_holds_again() -> None:
    record = make_record(allowed_cidrs=("203.0.113.0/24",), learning_until=NOW)
    assert reason_of(present(record, address="198.51.100.1")) is Reason.IP_NOT_ALLOWED


def test_an_empty_allowlist_allows_nobody() -> None:
    assert reason_of(present(make_record(allowed_cidrs=()))) is Reason.IP_NOT_ALLOWED


DEAD: list[tuple[Reason, dict[str, Any]]] = [
    (Reason.REVOKED, {"revoked_at": NOW + timedelta(days=1)}),
    (Reason.OVERLAP_ENDED, {"overlap_ends_at": NOW}),
    (Reason.EXPIRED, {"expires_at": NOW}),
    (Reason.ACCOUNT_CLOSED, {"account_is_active": False}),
]


@pytest.mark.parametrize(("reason", "columns"), DEAD)
def test_a_dead_key_is_refused_from_its_last_instant_on(
    reason: Reason, columns: dict[str, Any]
) -> None:
    refusal = present(make_record(**columns))
    assert refusal is not None and refusal.reason is reason
    assert isinstance(refusal.error, InvalidApiKey)


@pytest.mark.parametrize("column", ["expires_at", "overlap_ends_at"])
def test_a_key_lives_until_its_last_instant(column: str) -> None:
    columns: dict[str, Any] = {column: NOW + MICROSECOND}
    assert present(make_record(**columns)) is None


@pytest.mark.parametrize(("reason", "columns"), DEAD)
def test_only_the_holder_of_the_secret_sees_a_403_and_sees_it_before_anything_else(
    reason: Reason, columns: dict[str, Any]
) -> None:
    record = make_record(allowed_cidrs=("198.51.100.0/24",), **columns)
    assert reason_of(present(record)) is Reason.IP_NOT_ALLOWED
    assert reason_of(present(record, tokens.mint(Environment.PRODUCTION))) is Reason.WRONG_SECRET


def test_the_owner_reads_every_reason_in_words() -> None:
    # A key that nobody has, has no owner.
    assert set(Reason) - {Reason.UNKNOWN} <= set(reasons.WORDS)


def test_all_causes_of_a_401_look_alike() -> None:
    refusals = [
        present(None),
        present(make_record(), tokens.mint(Environment.PRODUCTION)),
        present(replace(make_record(), scopes=("keys:write",))),
        *(present(make_record(**columns)) for _, columns in DEAD),
    ]
    seen = {(one.error.status, one.error.name, one.error.message) for one in refusals if one}
    assert len(refusals) == 7 and len(seen) == 1


@pytest.mark.parametrize("held", [scope for scope in Scope if scope is not Scope.EMAIL_SEND])
def test_no_other_scope_sends(held: Scope) -> None:
    refusal = policy.authorise(make_record(scopes=(held,)), scope=Scope.EMAIL_SEND)
    assert reason_of(refusal) is Reason.SCOPE


def test_only_writing_templates_includes_another_scope() -> None:
    granted = {
        (held, wanted)
        for held in Scope
        for wanted in Scope
        if policy.authorise(make_record(scopes=(held,)), scope=wanted) is None
    }
    same = {(scope, scope) for scope in Scope}
    assert granted - same == {(Scope.TEMPLATES_RW, Scope.TEMPLATES_READ)}


@pytest.mark.parametrize(
    "domain", ["evil.example", "sub.good.example", "good.example.evil.example", "evilgood.example"]
)
def test_a_domain_that_is_not_listed_may_not_be_sent_from(domain: str) -> None:
    record = make_record(domains=("good.example",))
    assert reason_of(policy.may_send_from(record, domain)) is Reason.DOMAIN
    assert policy.may_send_from(record, "good.example") is None


@pytest.mark.parametrize(
    ("domain", "is_allowed"),
    [
        ("news.good.example", True),
        ("a.b.good.example", True),
        ("good.example", False),
        ("evilgood.example", False),
        ("news.good.example.evil.example", False),
    ],
)
def test_subdomains_are_opted_in_for_one_domain(domain: str, is_allowed: bool) -> None:
    record = make_record(domains=("*.good.example",))
    assert (policy.may_send_from(record, domain) is None) == is_allowed


@pytest.mark.parametrize("domains", [(), ("other.example",)])
def test_no_domain_left_is_dead_and_never_wider(domains: tuple[str, ...]) -> None:
    assert policy.may_send_from(make_record(domains=domains), "good.example") is not None


@pytest.mark.parametrize(
    "address", ["bea@wasp.example", "ann@sub.hive.example", "ann@evil.example"]
)
def test_one_recipient_outside_the_rule_is_enough_to_refuse(address: str) -> None:
    record = make_record(allowed_recipients=("@hive.example", "ann@wasp.example"))
    allowed = ["x@hive.example", "ann@wasp.example"]
    assert policy.may_send_to(record, allowed) is None
    assert reason_of(policy.may_send_to(record, [*allowed, address])) is Reason.RECIPIENT


def test_an_empty_recipient_rule_allows_nobody() -> None:
    record = make_record(allowed_recipients=())
    assert reason_of(policy.may_send_to(record, ["ann@hive.example"])) is Reason.RECIPIENT
