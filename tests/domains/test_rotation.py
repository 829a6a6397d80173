"""DKIM keys are rotated, and each message of the whole time has signatures that verify."""

from datetime import timedelta
from typing import Any

import dkim as dkimpy
import dns.resolver
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from django.conf import settings as django_settings
from django.utils import timezone

from auditlog.models import Entry
from domains import checking, dkim_keys, rotation
from domains.models import DkimKey, DkimState, Domain
from queensmtp import addresses
from queensmtp.errors import ValidationFailed
from queensmtp.tenancy import tenant
from sending import dkim, mime, parcels
from sending.contents import Content
from tests.conftest import generate_once
from tests.domains.test_checks import check, fresh, notices
from tests.domains.test_domains_api import answer
from tests.domains.zone import Zone
from tests.factories.cast import Cast, make_domain
from tests.factories.keys import make_key
from tests.roles import as_role

pytestmark = pytest.mark.django_db

NAME = "hive.example"
ALICE = addresses.parse_address(f"alice@{NAME}")
ANN = addresses.parse_address("ann@wasp.example")


def states(domain: Domain) -> dict[str, str]:
    with tenant(domain.account_id):
        rows = DkimKey.objects.filter(domain=domain)
        return {key.selector: key.state for key in rows}


def selectors(domain: Domain, state: str) -> set[str]:
    return {name for name, found in states(domain).items() if found == state}


class Clock:
    """The send worker's clock: keys are kept for a minute of it."""

    def __init__(self) -> None:
        self.seconds = 1_000.0

    def __call__(self) -> float:
        return self.seconds


class Sender:
    """Signs one message a second with whatever the send worker would sign with."""

    def __init__(self, domain: Domain, monkeypatch: pytest.MonkeyPatch) -> None:
        self.domain, self.clock, self.ring = domain, Clock(), parcels.KeyRing()
        self.sent_count = 0
        self.used: set[str] = set()
        monkeypatch.setattr("sending.parcels.time.monotonic", self.clock)

    def send_for(self, seconds: int) -> None:
        for _ in range(seconds):
            self.clock.seconds += 1
            self.sent_count += 1
            self._send_one()

    def _send_one(self) -> None:
        with as_role("worker"):
            keys = self.ring.of_domains([self.domain.pk])[self.domain.pk]
        content = Content(
            sender=ALICE,
            to=(ANN,),
            cc=(),
            reply_to=(),
            subject=f"Number {self.sent_count}",
            message_id=f"<{self.sent_count}@{NAME}>",
            date=timezone.now(),
            text="Hi",
            html=None,
            headers=(),
            attachments=(),
        )
        built = mime.build(content)
        message = dkim.sign(built, keys=keys, at=int(timezone.now().timestamp())) + built
        assert len(keys) == 2
        self.used |= {key.selector for key in keys}
        for index in range(2):
            assert dkimpy.DKIM(message).verify(idx=index, dnsfunc=ask_zone)


def ask_zone(name: bytes, timeout: int = 5) -> bytes | None:
    """As a receiver asks at this very moment, over the wire."""
    resolver = dns.resolver.Resolver(configure=False)
    resolver.nameservers = django_settings.DOMAIN_DNS_RESOLVERS
    resolver.port = django_settings.DOMAIN_DNS_PORT
    try:
        (record,) = resolver.resolve(name.decode(), "TXT")
    except dns.resolver.NXDOMAIN:
        return None
    return b"".join(record.strings)


def test_every_message_verifies_through_a_whole_rotation(
    cast: Cast, zone: Zone, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Old and new keys that differ: the run's one pair would verify under any selector.
    monkeypatch.setattr(dkim_keys, "generate", generate_once.__wrapped__)
    domain = make_domain(cast.hive, NAME, verified=False)
    zone.publish(domain)
    domain = check(domain)
    old = selectors(domain, DkimState.SIGNING)
    sender, start = Sender(domain, monkeypatch), timezone.now()
    sender.send_for(10)

    with tenant(cast.hive.pk):
        rotation.prepare(by=cast.alice.actor, domain=domain)
    new = selectors(domain, DkimState.NEXT)
    domain = check(domain)
    sender.send_for(70)
    assert sender.used == old, "keys that DNS does not show must not sign"

    # One of the two records is published first: nothing switches yet.
    zone.publish(domain, leave_out=[f"dkim:{max(new)}"])
    domain = check(domain)
    assert selectors(domain, DkimState.NEXT) == new
    sender.send_for(70)
    assert sender.used == old

    zone.publish(domain)
    domain = check(domain)
    assert selectors(domain, DkimState.SIGNING) == new
    assert selectors(domain, DkimState.RETIRING) == old
    assert (domain.status, domain.can_send) == ("verified", True)
    # Workers keep loaded keys for a minute: the old ones still sign, and their records still stand.
    sender.send_for(70)
    assert sender.used == old | new

    domain = check(domain, now=start + timedelta(hours=169))
    assert selectors(domain, DkimState.RETIRED) == old
    assert notices(cast.hive)[-1] == "dkim_key.retired"
    for selector in old:
        del zone.records[f"{selector}._domainkey.{NAME}", "TXT"]
    sender.used.clear()
    sender.send_for(30)
    assert sender.used == new
    domain = check(domain, now=start + timedelta(hours=170))
    assert domain.status == "verified"
    assert sender.sent_count == 250

    with tenant(cast.hive.pk):
        events = Entry.objects.filter(event__startswith="dkim_key.").order_by("pk")
        assert [one.event for one in events] == [
            "dkim_key.prepared",
            "dkim_key.switched",
            "dkim_key.retired",
        ]
        assert not any(
            DkimKey.objects.filter(selector__in=old).values_list("private_key", flat=True)
        )


def test_a_check_after_the_switch_changes_nothing_more(cast: Cast, zone: Zone) -> None:
    domain = make_domain(cast.hive, NAME, verified=False)
    with tenant(cast.hive.pk):
        rotation.prepare(by=cast.alice.actor, domain=domain)
    zone.publish(domain)
    check(domain)
    before = states(domain)
    check(domain)
    assert states(domain) == before


def test_new_keys_are_withdrawn_and_the_old_go_on(cast: Cast, zone: Zone) -> None:
    domain = make_domain(cast.hive, NAME)
    token = make_key(cast.hive)[1]
    path = f"/v1/domains/{domain.pk}/dkim/rotate"
    body = answer("POST", path, token, {}, status=201)
    assert [one["signs"] for one in body["records"] if one["record"] == "DKIM"] == [
        True,
        True,
        False,
        False,
    ]
    assert answer("POST", path, token, {}, status=409)["name"] == "validation_error"
    waiting = selectors(domain, DkimState.NEXT)
    answer("DELETE", path, token)
    assert selectors(domain, DkimState.RETIRED) == waiting
    zone.publish(domain)
    assert check(domain).can_send
    assert len(selectors(domain, DkimState.SIGNING)) == 2


def pem_of(private: Any) -> str:
    return str(
        private.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ).decode()
    )


def test_a_customers_own_key_and_selector_sign(
    cast: Cast, zone: Zone, monkeypatch: pytest.MonkeyPatch
) -> None:
    domain = make_domain(cast.hive, NAME)
    token = make_key(cast.hive)[1]
    own = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    body = {"selector": "mine2026", "private_key": pem_of(own)}
    answered = answer("POST", f"/v1/domains/{domain.pk}/dkim/rotate", token, body, status=201)
    assert "PRIVATE" not in str(answered)
    zone.publish(domain)
    check(domain)
    assert "mine2026" in selectors(domain, DkimState.SIGNING)
    sender = Sender(fresh(domain), monkeypatch)
    sender.send_for(2)
    assert "mine2026" in sender.used
    with tenant(cast.hive.pk):
        written = [str(one.changes) for one in Entry.objects.filter(event="dkim_key.prepared")]
    assert written and "PRIVATE" not in "".join(written)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"private_key": "no key"}, "private_key"),
        ({"private_key": pem_of(ec.generate_private_key(ec.SECP256R1()))}, "private_key"),
        (
            {"private_key": pem_of(rsa.generate_private_key(public_exponent=65537, key_size=1024))},
            "private_key",
        ),
        ({"private_key": 7}, "private_key"),
        ({"selector": "not a selector"}, "selector"),
        ({"selector": "a" * 64}, "selector"),
        ({"selektor": "x"}, "selektor"),
    ],
)
def test_what_is_wrong_is_named(cast: Cast, body: Any, field: str) -> None:
    domain, (_, token) = make_domain(cast.hive, NAME), make_key(cast.hive)
    path = f"/v1/domains/{domain.pk}/dkim/rotate"
    refused = answer("POST", path, token, body, status=422)
    assert refused["errors"][0]["field"] == field
    answer("POST", path, make_key(cast.wasp)[1], {}, status=404)
    answer("POST", path, make_key(cast.hive, scopes=("domains:read",))[1], {}, status=403)


def test_a_selector_is_used_once(cast: Cast) -> None:
    domain = make_domain(cast.hive, NAME)
    with tenant(cast.hive.pk):
        taken = DkimKey.objects.filter(domain=domain)[0].selector
        with pytest.raises(ValidationFailed):
            rotation.prepare(by=cast.alice.actor, domain=domain, selector=taken)


def test_a_claimed_domain_is_checked_with_the_keys_that_it_has_by_then(
    cast: Cast, zone: Zone
) -> None:
    """Keys that are prepared while DNS is asked wait for the next check."""
    domain = make_domain(cast.hive, NAME)
    with as_role("worker"):
        checking.settle(domain_id=domain.pk, name=NAME, judged={}, now=timezone.now())
    assert fresh(domain).can_send
