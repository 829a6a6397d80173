"""The People page: another role, or none, by plain forms."""

import pytest
from django.test import Client

from accounts import actions
from accounts.models import Membership
from accounts.roles import Role
from auditlog.models import Entry
from queensmtp.tenancy import tenant
from tests.accounts.test_step_up import grow_old
from tests.console import get, post, sign_in, text
from tests.factories.cast import Cast, Seat

PEOPLE = "/console/people"


@pytest.fixture
def alice(cast: Cast) -> Client:
    return sign_in(cast.alice.user)


def page_of(seat: Seat) -> str:
    return f"{PEOPLE}/{seat.membership.pk}"


def role_of(seat: Seat) -> str | None:
    with tenant(seat.account.pk):
        found = Membership.objects.filter(pk=seat.membership.pk).first()
    return found.role if found else None


def make_admin(cast: Cast) -> Client:
    with tenant(cast.hive.pk):
        actions.change_role(membership=cast.bob.membership, role=Role.ADMIN, by=cast.alice.actor)
    return sign_in(cast.bob.user)


def test_an_owner_gives_another_role(cast: Cast, alice: Client) -> None:
    assert page_of(cast.bob) in text(get(alice, PEOPLE))
    assert post(alice, page_of(cast.bob), {"role": "viewer"}).headers["Location"] == PEOPLE
    assert role_of(cast.bob) == Role.VIEWER
    with tenant(cast.hive.pk):
        entry = Entry.objects.get(event="member.role_changed")
    assert entry.changes["role"] == {"before": "developer", "after": "viewer"}


def test_an_owner_removes_a_member_after_a_question(cast: Cast, alice: Client) -> None:
    bob = sign_in(cast.bob.user)
    assert "bob@bob.example" in text(get(alice, f"{page_of(cast.bob)}/remove"))
    assert role_of(cast.bob) == Role.DEVELOPER
    assert post(alice, f"{page_of(cast.bob)}/remove").headers["Location"] == PEOPLE
    assert role_of(cast.bob) is None
    assert get(bob, "/console").status_code == 403
    with tenant(cast.hive.pk):
        assert Entry.objects.filter(event="member.removed").exists()


def test_the_last_owner_stays(cast: Cast, alice: Client) -> None:
    assert "last owner" in text(post(alice, f"{page_of(cast.alice)}/remove"))
    assert "last owner" in text(post(alice, page_of(cast.alice), {"role": "viewer"}))
    assert role_of(cast.alice) == Role.OWNER


def test_an_admin_neither_makes_nor_unmakes_an_owner(cast: Cast) -> None:
    bob = make_admin(cast)
    assert page_of(cast.alice) not in text(get(bob, PEOPLE))
    assert "Only an owner" in text(post(bob, f"{page_of(cast.alice)}/remove"))
    assert "Only an owner" in text(post(bob, page_of(cast.alice), {"role": "viewer"}))
    assert "Select a valid choice" in text(post(bob, page_of(cast.bob), {"role": "owner"}))
    assert (role_of(cast.alice), role_of(cast.bob)) == (Role.OWNER, Role.ADMIN)


def test_who_leaves_is_led_out(cast: Cast) -> None:
    bob = make_admin(cast)
    assert post(bob, f"{page_of(cast.bob)}/remove").headers["Location"] == "/console"
    assert get(bob, "/console").status_code == 403


def test_both_ask_who_is_there(cast: Cast, alice: Client) -> None:
    grow_old(alice)
    for path in (page_of(cast.bob), f"{page_of(cast.bob)}/remove"):
        assert "reauthenticate" in get(alice, path).headers["Location"]


def test_charlie_changes_nobody_of_hive(cast: Cast) -> None:
    charlie = sign_in(cast.charlie.user)
    for path in (page_of(cast.bob), f"{page_of(cast.bob)}/remove"):
        assert post(charlie, path, {"role": "viewer"}).status_code == 404
    assert role_of(cast.bob) == Role.DEVELOPER
