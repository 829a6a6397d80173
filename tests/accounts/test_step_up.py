"""Secrets ask who is there again, unless the person just said so."""

import pytest
from allauth.account.authentication import AUTHENTICATION_METHODS_SESSION_KEY
from django.test import Client

from accounts.roles import Role
from apikeys.models import ApiKey
from auditlog.models import Entry
from queensmtp.tenancy import tenant
from tests.console import get, post, sign_in, text
from tests.factories.cast import PASSWORD, Cast

CONFIRM = "/accounts/reauthenticate/"
FORM = {"name": "Shop", "environment": "development", "preset": "send", "expires": "90"}


@pytest.fixture
def alice(cast: Cast) -> Client:
    """Alice, who signed in a while ago."""
    client = sign_in(cast.alice.user)
    grow_old(client)
    return client


def grow_old(client: Client) -> None:
    session = client.session
    records = session[AUTHENTICATION_METHODS_SESSION_KEY]
    session[AUTHENTICATION_METHODS_SESSION_KEY] = [{**one, "at": 0} for one in records]
    session.save()


def test_someone_who_just_signed_in_is_not_asked(cast: Cast) -> None:
    assert get(sign_in(cast.alice.user), "/console/keys/new").status_code == 200


def test_a_page_about_secrets_asks_again(alice: Client) -> None:
    response = get(alice, "/console/keys/new")
    assert response.headers["Location"] == f"{CONFIRM}?next=%2Fconsole%2Fkeys%2Fnew"


def test_the_wrong_password_opens_nothing(alice: Client, cast: Cast) -> None:
    get(alice, "/console/keys/new")
    post(alice, CONFIRM, {"password": "not the password at all", "next": "/console/keys/new"})
    assert get(alice, "/console/keys/new").status_code == 302
    with tenant(cast.hive.pk):
        assert Entry.objects.filter(event="user.sign_in_failed").exists()


def test_a_confirmation_holds_and_is_recorded(alice: Client, cast: Cast) -> None:
    post(alice, CONFIRM, {"password": PASSWORD, "next": "/console/keys/new"})
    assert get(alice, "/console/keys/new").status_code == 200
    with tenant(cast.hive.pk):
        assert Entry.objects.filter(event="user.identity_confirmed").count() == 1


def test_what_was_typed_survives_the_question(alice: Client) -> None:
    assert post(alice, "/console/keys/new", {**FORM, "step": "review"}).status_code == 302
    answer = post(alice, CONFIRM, {"password": PASSWORD, "next": "/console/keys/new"})
    assert "Review the key" in text(answer)
    assert "Shop" in text(answer)


def test_a_kept_form_asks_for_the_right_again(alice: Client, cast: Cast) -> None:
    """Between the form and the confirmation Alice's role was changed."""
    post(alice, "/console/keys/new", {**FORM, "step": "review"})
    with tenant(cast.hive.pk):
        cast.alice.membership.role = Role.VIEWER
        cast.alice.membership.save()
    answer = post(alice, CONFIRM, {"password": PASSWORD, "next": "/console/keys/new"})
    assert answer.status_code == 403
    with tenant(cast.hive.pk):
        assert not ApiKey.objects.exists()
