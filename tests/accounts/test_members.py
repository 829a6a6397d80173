from collections.abc import Iterator

import pytest
from django.db import IntegrityError, connection, transaction

from accounts import actions
from accounts.errors import (
    AlreadyMember,
    LastOwner,
    MayNotChange,
    MoreThanOwn,
    NoMember,
    OwnersOnly,
)
from accounts.models import Account, Membership
from accounts.roles import Role
from accounts.seats import memberships_of
from auditlog.models import Entry
from queensmtp.tenancy import tenant
from tests.factories.cast import Cast, make_person
from tests.roles import as_role


@pytest.fixture
def hive(cast: Cast) -> Iterator[Cast]:
    with tenant(cast.hive.pk):
        yield cast


def test_a_new_account_has_an_owner_and_an_entry(hive: Cast) -> None:
    assert Membership.objects.get(user=hive.alice.user).role == Role.OWNER
    entry = Entry.objects.get(event="account.created")
    assert entry.changes["name"] == {"before": None, "after": "Hive"}


def test_adding_a_member_is_recorded(hive: Cast) -> None:
    dana = make_person("dana")
    actions.add_member(
        account=hive.hive,
        user=dana,
        role=Role.VIEWER,
        by=hive.alice.actor,
        by_membership=hive.alice.membership,
    )
    entry = Entry.objects.get(event="member.added", target_id=str(dana.pk))
    assert (entry.actor_label, entry.changes["role"]["after"]) == ("alice@alice.example", "viewer")


def test_nobody_is_added_twice(hive: Cast) -> None:
    with pytest.raises(AlreadyMember):
        actions.add_member(
            account=hive.hive, user=hive.bob.user, role=Role.ADMIN, by=hive.alice.actor
        )


def test_the_last_owner_cannot_leave(hive: Cast) -> None:
    with pytest.raises(LastOwner):
        actions.remove_member(membership=hive.alice.membership, by=hive.alice.actor)
    with pytest.raises(LastOwner):
        actions.change_role(membership=hive.alice.membership, role=Role.ADMIN, by=hive.alice.actor)
    assert Membership.objects.get(user=hive.alice.user).role == Role.OWNER


def test_an_owner_leaves_when_there_is_another(hive: Cast) -> None:
    actions.change_role(membership=hive.bob.membership, role=Role.OWNER, by=hive.alice.actor)
    actions.remove_member(membership=hive.alice.membership, by=hive.bob.actor)
    assert [member.user for member in Membership.objects.all()] == [hive.bob.user]


def test_only_an_owner_makes_owners(hive: Cast) -> None:
    admin = actions.change_role(
        membership=hive.bob.membership, role=Role.ADMIN, by=hive.alice.actor
    )
    with pytest.raises(OwnersOnly):
        actions.change_role(
            membership=admin, role=Role.OWNER, by=hive.bob.actor, by_membership=admin
        )
    with pytest.raises(OwnersOnly):
        actions.remove_member(
            membership=hive.alice.membership, by=hive.bob.actor, by_membership=admin
        )


def test_who_lost_a_role_while_the_page_was_open_changes_nobody(hive: Cast) -> None:
    dana = make_person("dana")
    viewer = actions.add_member(account=hive.hive, user=dana, role=Role.VIEWER, by=hive.alice.actor)
    seen = actions.change_role(membership=hive.bob.membership, role=Role.OWNER, by=hive.alice.actor)
    actions.change_role(membership=seen, role=Role.ADMIN, by=hive.alice.actor)
    with pytest.raises(OwnersOnly):
        actions.change_role(
            membership=viewer, role=Role.OWNER, by=hive.bob.actor, by_membership=seen
        )
    with pytest.raises(MoreThanOwn):
        actions.invite(
            email="erin@erin.example", role=Role.OWNER, by=hive.bob.actor, by_membership=seen
        )
    actions.remove_member(membership=seen, by=hive.alice.actor)
    with pytest.raises(MayNotChange):
        actions.remove_member(membership=viewer, by=hive.bob.actor, by_membership=seen)
    assert Membership.objects.get(user=dana).role == Role.VIEWER


def test_a_member_whom_somebody_else_removed_is_gone(hive: Cast) -> None:
    actions.remove_member(membership=hive.bob.membership, by=hive.alice.actor)
    with pytest.raises(NoMember):
        actions.change_role(membership=hive.bob.membership, role=Role.VIEWER, by=hive.alice.actor)
    with pytest.raises(NoMember):
        actions.remove_member(membership=hive.bob.membership, by=hive.alice.actor)


def test_a_change_whose_entry_fails_is_not_kept(
    hive: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    with as_role("owner"), connection.cursor() as cursor:
        cursor.execute("REVOKE INSERT ON auditlog_entry FROM app")
    with pytest.raises(Exception, match="permission denied"), transaction.atomic():
        actions.change_role(membership=hive.bob.membership, role=Role.ADMIN, by=hive.alice.actor)
    assert Membership.objects.get(user=hive.bob.user).role == Role.DEVELOPER


def test_a_tenant_sees_its_own_members_and_account_only(cast: Cast) -> None:
    with tenant(cast.wasp.pk):
        assert [account.name for account in Account.objects.all()] == ["Wasp"]
        assert [member.user for member in Membership.objects.all()] == [cast.charlie.user]


def test_nobody_writes_a_membership_into_another_account(cast: Cast) -> None:
    refused = pytest.raises(Exception, match="row-level security")
    with tenant(cast.wasp.pk), refused, transaction.atomic():
        Membership.objects.create(account=cast.hive, user=cast.charlie.user, role=Role.OWNER)


def test_memberships_are_found_before_the_tenant_is_known(cast: Cast) -> None:
    assert [m.account.name for m in memberships_of(cast.bob.user.pk)] == ["Hive"]


def test_a_closed_account_seats_nobody(cast: Cast) -> None:
    with tenant(cast.hive.pk):
        Account.objects.filter(pk=cast.hive.pk).update(status="closed")
    assert memberships_of(cast.bob.user.pk) == []


@pytest.mark.parametrize(
    "table",
    [
        "accounts_user",
        "accounts_membership",
        "account_emailaddress",
        "django_session",
        "mfa_authenticator",
        "usersessions_usersession",
    ],
)
def test_workers_have_no_right_on_people(db: None, table: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT has_any_column_privilege('worker', %s, 'SELECT')", [table])
        assert cursor.fetchone() == (False,)


def test_the_database_keeps_addresses_in_lower_case(cast: Cast) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        type(cast.bob.user).objects.filter(pk=cast.bob.user.pk).update(email="BOB@bob.example")
