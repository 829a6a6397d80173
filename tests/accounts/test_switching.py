import pytest
from django.test import Client

from accounts import actions
from accounts.roles import Role
from auditlog.models import Entry
from queensmtp.actors import system_actor
from queensmtp.tenancy import tenant
from tests.console import get, post, sign_in, text
from tests.factories.cast import Cast

SWITCH = "/console/switch-account"


@pytest.fixture
def bob(cast: Cast) -> Client:
    """Bob, who belongs to both accounts."""
    with tenant(cast.wasp.pk):
        actions.add_member(
            account=cast.wasp,
            user=cast.bob.user,
            role=Role.VIEWER,
            by=system_actor(cast.wasp.pk, "tests"),
        )
    return sign_in(cast.bob.user)


def test_a_person_works_in_the_account_they_choose(bob: Client, cast: Cast) -> None:
    assert "<h1>Hive</h1>" in text(get(bob, "/console"))
    assert post(bob, SWITCH, {"account": str(cast.wasp.pk)}).status_code == 302
    assert "<h1>Wasp</h1>" in text(get(bob, "/console"))
    with tenant(cast.wasp.pk):
        assert Entry.objects.get(event="user.account_entered").actor_label == "bob@bob.example"


def test_each_account_has_its_own_role(bob: Client, cast: Cast) -> None:
    assert get(bob, "/console/keys/new").status_code == 200
    post(bob, SWITCH, {"account": str(cast.wasp.pk)})
    assert get(bob, "/console/keys/new").status_code == 403


@pytest.mark.parametrize("account", ["", "nonsense", "00000000-0000-0000-0000-000000000000"])
def test_what_is_no_account_of_theirs_is_not_found(bob: Client, account: str) -> None:
    assert post(bob, SWITCH, {"account": account}).status_code == 404


def test_the_people_of_an_account_are_its_own(cast: Cast) -> None:
    page = text(get(sign_in(cast.charlie.user), "/console/people"))
    assert "charlie@charlie.example" in page
    assert "alice@alice.example" not in page


def test_charlie_cannot_enter_hive(cast: Cast) -> None:
    charlie = sign_in(cast.charlie.user)
    assert post(charlie, SWITCH, {"account": str(cast.hive.pk)}).status_code == 404
    assert "<h1>Wasp</h1>" in text(get(charlie, "/console"))


def test_a_planted_choice_is_ignored(cast: Cast) -> None:
    charlie = sign_in(cast.charlie.user)
    session = charlie.session
    session["account_id"] = str(cast.hive.pk)
    session.save()
    assert "<h1>Wasp</h1>" in text(get(charlie, "/console"))
