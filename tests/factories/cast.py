"""The cast: Alice owns Hive, Bob is her colleague, Charlie owns another account."""

from dataclasses import dataclass
from datetime import datetime

from django.utils import timezone

from accounts import actions as accounts
from accounts.models import Account, Membership, User
from accounts.roles import Role
from domains import actions as domains
from domains import checking
from domains.judging import Judgement, Outcome
from domains.models import Domain
from queensmtp.actors import Actor, Origin, system_actor
from queensmtp.tenancy import tenant
from tests.roles import as_role

PASSWORD = "correct horse battery staple"
ORIGIN = Origin(ip="127.0.0.1", user_agent="tests", request_id="request-1")


@dataclass(frozen=True)
class Seat:
    """A person at work in an account."""

    user: User
    account: Account
    membership: Membership

    @property
    def actor(self) -> Actor:
        return Actor(
            type="user",
            id=str(self.user.pk),
            label=self.user.email,
            account_id=self.account.pk,
            origin=ORIGIN,
        )


@dataclass(frozen=True)
class Cast:
    alice: Seat
    bob: Seat
    charlie: Seat
    hive: Account
    wasp: Account


def make_cast() -> Cast:
    alice, bob, charlie = (make_person(name) for name in ("alice", "bob", "charlie"))
    system = system_actor(None, "tests")
    hive = accounts.create_account(name="Hive", owner=alice, by=system)
    wasp = accounts.create_account(name="Wasp", owner=charlie, by=system)
    with tenant(hive.pk):
        of_bob = accounts.add_member(
            account=hive, user=bob, role=Role.DEVELOPER, by=system_actor(hive.pk, "tests")
        )
        of_alice = Membership.objects.get(user=alice)
    with tenant(wasp.pk):
        of_charlie = Membership.objects.get(user=charlie)
    return Cast(
        alice=Seat(alice, hive, of_alice),
        bob=Seat(bob, hive, of_bob),
        charlie=Seat(charlie, wasp, of_charlie),
        hive=hive,
        wasp=wasp,
    )


def make_person(name: str) -> User:
    return User.objects.create_user(f"{name}@{name}.example", PASSWORD, name=name.title())


def make_domain(account: Account, name: str, *, verified: bool = True) -> Domain:
    """A domain of an account with real DKIM keys."""
    by = system_actor(account.pk, "tests")
    with tenant(account.pk):
        domain = domains.create(by=by, name=name)
    return show_in_dns(domain) if verified else domain


def show_in_dns(domain: Domain, *, now: datetime | None = None) -> Domain:
    """Settle a check that found every record as it should stand."""
    with tenant(domain.account_id):
        asked = [*domain.to_publish(), *domain.advised()]
    shown = {one.slug: Judgement(Outcome.SHOWN, (one.value,), "") for one in asked}
    with as_role("worker"):
        checking.settle(
            domain_id=domain.pk, name=domain.name, judged=shown, now=now or timezone.now()
        )
    with tenant(domain.account_id):
        return Domain.objects.get(pk=domain.pk)


__all__ = ["PASSWORD", "Cast", "Seat", "make_cast", "make_domain", "make_person", "show_in_dns"]
