"""The roles table times every page of the console."""

from collections import defaultdict
from typing import Any
from uuid import UUID

import pytest
from django.test import Client
from django.urls import URLPattern, reverse

from accounts import actions
from accounts.models import Account
from accounts.roles import RIGHTS, Right, Role
from auditlog.models import Entry
from queensmtp.actors import system_actor
from queensmtp.ids import new_id
from queensmtp.tenancy import tenant
from queensmtp.urls import console_urlpatterns
from tests.console import get, post, sign_in, text
from tests.factories.cast import Cast, make_person
from tests.factories.keys import make_key

PAGES = [
    pattern
    for pattern in console_urlpatterns
    if isinstance(pattern, URLPattern) and hasattr(pattern.callback, "right")
]
# These belong to the person, not to an account, and so need no right.
WITHOUT_RIGHT = {"console_profile", "console_switch_account", "console_theme"}


def with_role(account: Account, role: Role) -> Client:
    person = make_person(role.value)
    with tenant(account.pk):
        actions.add_member(
            account=account, user=person, role=role, by=system_actor(account.pk, "tests")
        )
    return sign_in(person)


def address_of(pattern: URLPattern, ids: dict[str, UUID]) -> str:
    names = pattern.pattern.converters
    return reverse(pattern.name or "", kwargs={name: ids[name] for name in names})


def some_ids(account: Account) -> dict[str, UUID]:
    """A key and an entry that are there; of everything else, one that is not."""
    key, _ = make_key(account)
    with tenant(account.pk):
        entry = Entry.objects.of_account(account.pk).first()
    assert entry is not None
    return defaultdict(new_id, key_id=key.pk, entry_id=entry.pk)


def test_every_page_says_which_right_opens_it() -> None:
    named = {p.name for p in console_urlpatterns if isinstance(p, URLPattern)} - {None}
    assert named - {page.name for page in PAGES} == WITHOUT_RIGHT


@pytest.mark.parametrize("role", list(Role))
def test_a_role_opens_its_pages_and_no_others(cast: Cast, role: Role) -> None:
    client, ids = with_role(cast.hive, role), some_ids(cast.hive)
    for page in PAGES:
        path, right = address_of(page, ids), Right(page.callback.right)  # type: ignore[attr-defined]
        statuses = {get(client, path).status_code, post(client, path).status_code} - {405}
        assert statuses, f"{path} takes neither GET nor POST"
        assert max(statuses) < 500
        assert (statuses == {403}) == (right not in RIGHTS[role]), (role.value, path, statuses)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_stranger_is_led_to_the_sign_in(cast: Cast, client: Client, page: Any) -> None:
    path = address_of(page, some_ids(cast.hive))
    answers = [a for a in (get(client, path), post(client, path)) if a.status_code != 405]
    assert answers
    for answer in answers:
        assert answer.status_code == 302
        assert answer.headers["Location"].startswith("/accounts/login/?next=/console")


@pytest.mark.parametrize("page", [p for p in PAGES if p.pattern.converters], ids=lambda p: p.name)
def test_charlie_gets_404(cast: Cast, page: Any) -> None:
    path = address_of(page, some_ids(cast.hive))
    charlie = sign_in(cast.charlie.user)
    found = {get(charlie, path).status_code, post(charlie, path).status_code}
    assert found <= {404, 405}
    assert 404 in found


def test_a_refusal_is_in_the_audit_log(cast: Cast) -> None:
    viewer = with_role(cast.hive, Role.VIEWER)
    response = get(viewer, reverse("audit_list"))
    assert "viewer" in text(response)
    with tenant(cast.hive.pk):
        entry = Entry.objects.get(event="user.access_refused")
    assert (entry.outcome, entry.target_id) == ("refused", "/console/audit-log")
    assert entry.changes == {"right": "audit:read"}
