"""From an owner's form to a new member: by a letter's link, once, and never above the inviter."""

import re
from datetime import timedelta

import pytest
from django.core import mail
from django.test import Client
from django.utils import timezone

from accounts import actions, notices
from accounts.errors import (
    AlreadyInvited,
    AlreadyMember,
    InvitationEnded,
    MoreThanOwn,
    NotInvited,
    TooManyInvitations,
)
from accounts.invitations import token_of
from accounts.models import Invitation, Membership, Notice, User
from accounts.roles import Role
from auditlog.models import Entry
from queensmtp.tenancy import tenant
from tests.accounts.test_step_up import grow_old
from tests.console import get, post, sign_in, text
from tests.factories.cast import ORIGIN, Cast, Seat, make_person
from tests.roles import as_role

INVITE = "/console/people/invite"
DANA = "dana@dana.example"
NEW_PASSWORD = "seven bees in a jar"
LINK = re.compile(r"^https://\S+(/accounts/invitation/\S+)$", re.MULTILINE)


@pytest.fixture
def alice(cast: Cast) -> Client:
    return sign_in(cast.alice.user)


def invite(by: Seat, *, email: str = DANA, role: Role = Role.VIEWER) -> Invitation:
    with tenant(by.account.pk):
        by.membership.refresh_from_db()
        return actions.invite(email=email, role=role, by=by.actor, by_membership=by.membership)


def link_in_letter() -> str:
    """The address in the one letter that waits, as the worker writes it."""
    with as_role("worker"):
        notices.send_due()
    [letter] = mail.outbox
    found = LINK.search(str(letter.body))
    assert found, "the letter has no link"
    return found[1]


def role_of(cast: Cast, email: str) -> str | None:
    with tenant(cast.hive.pk):
        found = Membership.objects.filter(user__email=email).first()
    return found.role if found else None


def test_a_stranger_becomes_a_member_with_plain_forms(
    cast: Cast, alice: Client, client: Client
) -> None:
    assert post(alice, INVITE, {"email": DANA, "role": "compliance"}).status_code == 302
    assert DANA in text(get(alice, "/console/people"))
    link = link_in_letter()

    assert "Join Hive" in text(get(client, link))
    done = post(client, link, {"name": "Dana", "password": NEW_PASSWORD})

    assert done.headers["Location"] == "/accounts/login/"
    assert role_of(cast, DANA) == Role.COMPLIANCE
    dana = sign_in(User.objects.get(email=DANA), password=NEW_PASSWORD)
    assert get(dana, "/console/audit-log").status_code == 200
    assert "open invitation" not in text(get(alice, "/console/people"))


def test_somebody_with_a_sign_in_accepts_with_it_and_nobody_without(
    cast: Cast, client: Client
) -> None:
    invite(cast.alice, email="charlie@charlie.example")
    link = link_in_letter()

    assert "Sign in to accept" in text(post(client, link, {"password": NEW_PASSWORD}))
    assert role_of(cast, "charlie@charlie.example") is None
    charlie = sign_in(cast.charlie.user)
    assert post(charlie, link).headers["Location"] == "/console"
    assert role_of(cast, "charlie@charlie.example") == Role.VIEWER
    assert "Hive" in text(get(charlie, "/console"))


def test_an_invitation_is_for_its_address_alone(cast: Cast) -> None:
    invitation = invite(cast.alice)
    charlie = sign_in(cast.charlie.user)

    assert "another address" in text(post(charlie, link_in_letter()))
    with tenant(cast.hive.pk), pytest.raises(NotInvited):
        actions.accept_invitation(invitation=invitation, user=cast.charlie.user, origin=ORIGIN)
    assert role_of(cast, "charlie@charlie.example") is None


def test_a_link_works_once(cast: Cast, client: Client) -> None:
    invitation, dana = invite(cast.alice), make_person("dana")
    with tenant(cast.hive.pk):
        actions.accept_invitation(invitation=invitation, user=dana, origin=ORIGIN)
        with pytest.raises(InvitationEnded):
            actions.accept_invitation(invitation=invitation, user=dana, origin=ORIGIN)
    assert get(client, f"/accounts/invitation/{token_of(invitation)}").status_code == 404


@pytest.mark.parametrize("change", ["expired", "withdrawn", "forged", "of another account"])
def test_a_link_that_does_not_stand_opens_nothing(cast: Cast, client: Client, change: str) -> None:
    invitation = invite(cast.alice)
    token = token_of(invitation)
    with tenant(cast.hive.pk):
        if change == "expired":
            Invitation.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
        if change == "withdrawn":
            actions.withdraw_invitation(invitation=invitation, by=cast.alice.actor)
    if change == "forged":
        token = token[:-1] + ("A" if token[-1] != "A" else "B")
    if change == "of another account":
        token = token_of(Invitation(id=invitation.pk, account=cast.wasp))
    path = f"/accounts/invitation/{token}"

    assert get(client, path).status_code == 404
    assert post(client, path, {"password": NEW_PASSWORD}).status_code == 404
    assert not User.objects.filter(email=DANA).exists()


def test_who_invites_gives_no_more_than_they_have(cast: Cast) -> None:
    with tenant(cast.hive.pk):
        actions.change_role(membership=cast.bob.membership, role=Role.ADMIN, by=cast.alice.actor)
    with pytest.raises(MoreThanOwn):
        invite(cast.bob, role=Role.OWNER)
    assert 'value="owner"' not in text(get(sign_in(cast.bob.user), INVITE))

    invitation, dana = invite(cast.bob, role=Role.ADMIN), make_person("dana")
    with tenant(cast.hive.pk):
        actions.change_role(
            membership=cast.bob.membership, role=Role.DEVELOPER, by=cast.alice.actor
        )
        with pytest.raises(InvitationEnded):
            actions.accept_invitation(invitation=invitation, user=dana, origin=ORIGIN)
    with pytest.raises(MoreThanOwn):
        invite(cast.bob, email="erin@erin.example")


def test_an_invitation_of_somebody_who_left_ends(cast: Cast) -> None:
    with tenant(cast.hive.pk):
        actions.change_role(membership=cast.bob.membership, role=Role.OWNER, by=cast.alice.actor)
    invitation, dana = invite(cast.bob), make_person("dana")
    with tenant(cast.hive.pk):
        actions.remove_member(membership=cast.bob.membership, by=cast.alice.actor)
        with pytest.raises(InvitationEnded):
            actions.accept_invitation(invitation=invitation, user=dana, origin=ORIGIN)


def test_members_and_invited_people_are_not_invited_again(
    cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(AlreadyMember):
        invite(cast.alice, email="Bob@bob.example")
    invite(cast.alice)
    with pytest.raises(AlreadyInvited):
        invite(cast.alice, email=DANA.upper())
    monkeypatch.setattr(actions, "INVITATIONS_A_DAY", 1)
    with pytest.raises(TooManyInvitations):
        invite(cast.alice, email="erin@erin.example")


def test_each_step_is_in_the_audit_log_and_the_link_is_nowhere(cast: Cast) -> None:
    invitation, dana = invite(cast.alice), make_person("dana")
    path = link_in_letter()
    with tenant(cast.hive.pk):
        actions.accept_invitation(invitation=invitation, user=dana, origin=ORIGIN)
        invited = Entry.objects.get(event="member.invited")
        added = Entry.objects.get(event="member.added", actor_id=str(dana.pk))
        notice = Notice.objects.get(kind="member.invited")
    assert (invited.actor_label, invited.target_label) == ("alice@alice.example", DANA)
    assert added.changes["invited_by"] == str(cast.alice.user.pk)
    token = path.rpartition("/")[2]
    assert token not in f"{notice.text}{invited.changes}{added.changes}"


def test_withdrawing_is_recorded_and_no_letter_leaves_any_more(cast: Cast, alice: Client) -> None:
    invitation = invite(cast.alice)
    path = f"/console/people/invitations/{invitation.pk}/withdraw"
    assert post(alice, path).status_code == 302
    assert post(alice, path).status_code == 302
    assert "does not stand any more" in text(get(alice, "/console/people"))
    with tenant(cast.hive.pk):
        assert Entry.objects.filter(event="member.invitation_withdrawn").count() == 1
    with as_role("worker"):
        assert notices.send_due() == 1
        assert notices.send_due() == 0
    assert mail.outbox == []


def test_inviting_asks_who_is_there(alice: Client) -> None:
    grow_old(alice)
    assert "reauthenticate" in get(alice, INVITE).headers["Location"]


@pytest.mark.parametrize(
    ("form", "words"),
    [
        ({"email": "nobody", "role": "viewer"}, "valid email"),
        ({"email": "dana@bücher.example", "role": "viewer"}, "ASCII form"),
        ({"email": DANA, "role": "queen"}, "Select a valid choice"),
        ({"email": "bob@bob.example", "role": "viewer"}, "member of the account already"),
    ],
)
def test_a_wrong_form_says_what_is_wrong(alice: Client, form: dict[str, str], words: str) -> None:
    answer = post(alice, INVITE, form)
    assert answer.status_code == 200
    assert words in text(answer)


def test_a_weak_password_is_refused(cast: Cast, client: Client) -> None:
    path = f"/accounts/invitation/{token_of(invite(cast.alice))}"
    assert "at least 15 characters" in text(post(client, path, {"password": "short"}))
    assert not User.objects.filter(email=DANA).exists()


def test_charlie_neither_sees_nor_withdraws_it(cast: Cast) -> None:
    invitation, charlie = invite(cast.alice), sign_in(cast.charlie.user)
    assert DANA not in text(get(charlie, "/console/people"))
    path = f"/console/people/invitations/{invitation.pk}/withdraw"
    assert post(charlie, path).status_code == 404
    with tenant(cast.hive.pk):
        assert Invitation.objects.get().ended_at is None


def test_a_closed_account_takes_nobody_in(cast: Cast, client: Client) -> None:
    token = token_of(invite(cast.alice))
    with tenant(cast.hive.pk):
        cast.hive.status = "closed"
        cast.hive.save(update_fields=["status"])
    assert get(client, f"/accounts/invitation/{token}").status_code == 404
