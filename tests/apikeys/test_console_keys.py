"""The console's key pages, driven as plain forms: no line of JavaScript runs here."""

import re
from collections.abc import Mapping
from datetime import timedelta
from html import unescape
from uuid import UUID

import pytest
from django.http import HttpResponse
from django.test import Client
from django.utils import timezone

from apikeys import actions, tokens
from apikeys.models import ApiKey, StoppedKey
from apikeys.tokens import Environment
from auditlog.models import Entry
from queensmtp.tenancy import tenant
from tests.console import get, post, sign_in, text
from tests.factories.cast import Cast, make_domain
from tests.factories.keys import make_key

NEW = "/console/keys/new"
FORM = {
    "name": "Shop",
    "environment": "production",
    "preset": "send",
    "domains": "good.example",
    "allowed_cidrs": "203.0.113.0/24\n2001:db8::/48",
    "expires": "30",
}
TURN = re.compile(r'<a class="button" href="([^"]+)">(?:<svg.*?</svg>)?(\w+)', re.DOTALL)
HIDDEN = re.compile(r'<input type="hidden" name="(\w+)" value="([^"]*)">')


@pytest.fixture
def alice(cast: Cast) -> Client:
    return sign_in(cast.alice.user)


def hidden_fields(response: HttpResponse) -> dict[str, str]:
    return {name: unescape(value) for name, value in HIDDEN.findall(text(response))}


def create(client: Client, form: Mapping[str, str] = FORM) -> tuple[str, dict[str, str]]:
    """The token that the reveal page shows, and the form that led there."""
    summary = post(client, NEW, {**form, "step": "review"})
    final = {**hidden_fields(summary), "step": "create"}
    page = text(post(client, NEW, final))
    found = tokens.PATTERN.search(page)
    assert found, "no token was shown"
    return found[0], final


def only_key(cast: Cast) -> ApiKey:
    with tenant(cast.hive.pk):
        return ApiKey.objects.get()


def test_a_key_is_made_in_three_plain_forms(alice: Client, cast: Cast) -> None:
    token, _ = create(alice)
    key = only_key(cast)
    assert token.startswith(key.prefix)
    assert token.endswith(key.last4)
    assert (key.name, key.environment, key.scopes) == ("Shop", "production", ["email:send"])
    assert key.domains == ["good.example"]
    assert key.allowed_cidrs == ["203.0.113.0/24", "2001:db8::/48"]
    assert key.created_by == "alice@alice.example"
    assert key.expires_at is not None
    assert timedelta(days=29) < key.expires_at - timezone.now() <= timedelta(days=30)


def test_the_same_form_makes_no_second_key(alice: Client, cast: Cast) -> None:
    token, form = create(alice)
    again = alice.post(NEW, form, secure=True, follow=True)
    assert token not in text(again)  # type: ignore[arg-type]
    assert "made its key already" in text(again)  # type: ignore[arg-type]
    only_key(cast)


def test_two_posts_at_the_same_moment_make_one_key(alice: Client, cast: Cast) -> None:
    summary = post(alice, NEW, {**FORM, "step": "review"})
    form = {**hidden_fields(summary), "step": "create"}
    session = alice.session
    tickets_before = dict(session.items())
    post(alice, NEW, form)
    session = alice.session
    session.update(tickets_before)
    session.save()
    assert not tokens.PATTERN.search(text(alice.post(NEW, form, secure=True, follow=True)))  # type: ignore[arg-type]
    only_key(cast)


def test_the_token_is_on_no_other_page(alice: Client, cast: Cast) -> None:
    token, _ = create(alice)
    key = only_key(cast)
    secret = token.removeprefix(key.prefix)
    pages = ["/console", "/console/keys", f"/console/keys/{key.pk}", "/console/audit-log"]
    for path in pages:
        assert secret not in text(get(alice, path))
    with tenant(cast.hive.pk):
        assert secret not in str(list(Entry.objects.values()))


def test_the_reveal_is_never_stored(alice: Client) -> None:
    summary = post(alice, NEW, {**FORM, "step": "review"})
    page = post(alice, NEW, {**hidden_fields(summary), "step": "create"})
    assert "no-store" in page.headers["Cache-Control"]
    assert "Location" not in page.headers
    assert not tokens.PATTERN.search(str(dict(alice.session.items())))


def test_the_summary_keeps_what_was_typed(alice: Client) -> None:
    summary = post(alice, NEW, {**FORM, "step": "review"})
    back = post(alice, NEW, {**hidden_fields(summary), "step": "edit"})
    assert 'value="Shop"' in text(back)
    assert "203.0.113.0/24" in text(back)


def test_the_summary_warns_of_a_lock_out_and_of_no_end(alice: Client) -> None:
    summary = text(post(alice, NEW, {**FORM, "expires": "never", "step": "review"}))
    assert "127.0.0.1" in summary
    assert "not among the allowed ones" in summary
    assert "never expires" in summary


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("name", "", "This field is required"),
        ("allowed_cidrs", "10.0.0.1/8", "did you mean 10.0.0.0/8"),
        ("allowed_cidrs", "0.0.0.0/0", "no limit"),
        ("allowed_cidrs", "10.0.0.0/7", "wider than /8"),
        ("domains", "not a domain", "is not what belongs here"),
        ("environment", "test", "Select a valid choice"),
        ("preset", "custom", "at least one scope"),
        ("expires", "date", "Give the date"),
        ("expires", "schedule", "Give the days"),
        ("rate_requests", "5", "per_seconds"),
        ("labels", "no colon", "has no colon"),
    ],
)
def test_what_is_wrong_is_named_and_linked(
    alice: Client, cast: Cast, field: str, value: str, message: str
) -> None:
    page = unescape(text(post(alice, NEW, {**FORM, field: value, "step": "create"})))
    assert 'role="alert"' in page
    assert message in page
    assert 'href="#id_' in page
    with tenant(cast.hive.pk):
        assert not ApiKey.objects.exists()


@pytest.mark.parametrize("field", ["name", "notes", "labels", "domains"])
def test_a_key_typed_into_a_field_is_not_kept(alice: Client, cast: Cast, field: str) -> None:
    secret = tokens.mint(Environment.PRODUCTION).text
    page = unescape(text(post(alice, NEW, {**FORM, field: f"a: {secret}", "step": "create"})))
    assert "holds an API key or a signing secret" in page
    with tenant(cast.hive.pk):
        assert not ApiKey.objects.exists()


def test_the_form_says_which_box_to_tick_for_a_wide_range(alice: Client) -> None:
    page = text(post(alice, NEW, {**FORM, "allowed_cidrs": "10.0.0.0/7", "step": "review"}))
    assert "tick the box below if you mean it" in page


def test_a_decoy_and_a_schedule_are_made_by_the_form(alice: Client, cast: Cast) -> None:
    form = {**FORM, "is_decoy": "on", "expires": "schedule", "rotate_every_days": "90"}
    summary = text(post(alice, NEW, {**form, "step": "review"}))
    assert "It never works" in summary
    assert "unless it is rotated before" in summary
    create(alice, form)
    key = only_key(cast)
    assert key.is_decoy
    assert key.rotate_every_seconds == 90 * 86_400


@pytest.mark.parametrize(
    ("form", "shown"),
    [
        ({"domains": "good.example"}, "hello@good.example"),
        ({"domains": "*.good.example"}, "hello@your-domain.example"),
        ({"domains": ""}, "hello@hive.example"),
        ({"preset": "audit"}, "/v1/audit-log"),
    ],
)
def test_the_reveal_page_tests_the_key_with_what_it_may_do(
    alice: Client, cast: Cast, form: dict[str, str], shown: str
) -> None:
    make_domain(cast.hive, "hive.example")
    summary = post(alice, NEW, {**FORM, **form, "step": "review"})
    page = unescape(text(post(alice, NEW, {**hidden_fields(summary), "step": "create"})))
    command = page[page.index('<pre id="curl">') :].partition("</pre>")[0]
    assert shown in command
    assert tokens.PATTERN.search(command)
    if "emails" in command:
        assert '"to": "alice@alice.example"' in command


def test_a_long_list_of_keys_is_turned_page_by_page(
    alice: Client, cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("apikeys.views.keys.ROWS", 2)
    first, second, third = [str(make_key(cast.hive)[0].pk) for _ in range(3)]

    newest = text(get(alice, "/console/keys", environment="production"))
    assert keys_on(newest) == [third, second]
    assert turn(newest, "Newer") is None
    oldest = text(get(alice, f"/console/keys{turn(newest, 'Older')}"))
    assert keys_on(oldest) == [first]
    assert turn(oldest, "Older") is None
    assert keys_on(text(get(alice, f"/console/keys{turn(oldest, 'Newer')}"))) == [third, second]


def test_a_place_in_the_list_of_another_account_is_unknown(alice: Client, cast: Cast) -> None:
    foreign, _ = make_key(cast.charlie.account)
    assert get(alice, "/console/keys", after=str(foreign.pk)).status_code == 400


def keys_on(page: str) -> list[str]:
    return re.findall(r'class="name" href="/console/keys/([^"]+)"', page)


def turn(page: str, button: str) -> str | None:
    """The address behind a button that turns the page."""
    pages = page.partition('aria-label="Pages"')[2]
    found = {words: unescape(href) for href, words in TURN.findall(pages)}
    return found.get(button)


def test_keys_that_nobody_uses_stand_out(alice: Client, cast: Cast) -> None:
    key, _ = make_key(cast.hive)
    decoy, _ = make_key(cast.hive)
    assert "idle" not in text(get(alice, "/console/keys"))
    long_ago = timezone.now() - timedelta(days=31)
    with tenant(cast.hive.pk):
        ApiKey.objects.filter(pk=key.pk).update(created_at=long_ago)
        ApiKey.objects.filter(pk=decoy.pk).update(created_at=long_ago, is_decoy=True)
    assert "1 key on this page was not used for 30 days" in text(get(alice, "/console/keys"))


def test_a_skipped_summary_makes_no_key(alice: Client, cast: Cast) -> None:
    post(alice, NEW, {**FORM, "step": "create"})
    post(alice, NEW, {**FORM, "step": "create", "ticket": "guessed"})
    with tenant(cast.hive.pk):
        assert not ApiKey.objects.exists()


def test_a_rotation_shows_the_successor_once_and_links_both(alice: Client, cast: Cast) -> None:
    key, _ = make_key(cast.hive)
    path = f"/console/keys/{key.pk}/rotate"
    form = {**hidden_fields(get(alice, path)), "overlap": "custom", "overlap_hours": "0.5"}
    page = text(post(alice, path, form))
    assert tokens.PATTERN.search(page)
    with tenant(cast.hive.pk):
        old = ApiKey.objects.get(pk=key.pk)
        new = ApiKey.objects.get(replaces_id=old.pk)
    assert old.replaced_by_id == new.pk
    assert old.overlap_ends_at is not None
    left = old.overlap_ends_at - timezone.now()
    assert timedelta(minutes=29) < left <= timedelta(minutes=30)
    assert new.masked in text(get(alice, f"/console/keys/{old.pk}"))
    again = alice.post(path, form, secure=True, follow=True)
    assert not tokens.PATTERN.search(text(again))  # type: ignore[arg-type]


def test_an_overlap_is_ended_by_hand(alice: Client, cast: Cast) -> None:
    key, _ = make_key(cast.hive)
    with tenant(cast.hive.pk):
        actions.rotate(by=cast.alice.actor, key=key, overlap_seconds=3600)
    post(alice, f"/console/keys/{key.pk}/end-overlap")
    with tenant(cast.hive.pk):
        assert ApiKey.objects.get(pk=key.pk).is_dead


def test_a_dead_key_is_not_rotated(alice: Client, cast: Cast) -> None:
    key = revoked(cast)
    path = f"/console/keys/{key.pk}/rotate"
    page = text(post(alice, path, {**hidden_fields(get(alice, path)), "overlap": "0"}))
    assert "expired or revoked" in page


def test_revoking_needs_the_exact_name(alice: Client, cast: Cast) -> None:
    key, _ = make_key(cast.hive)
    path = f"/console/keys/{key.pk}/revoke"
    assert "This is not the name" in text(post(alice, path, {"typed_name": "test key"}))
    assert not is_revoked(cast, key.pk)
    post(alice, path, {"typed_name": "Test key", "reason": "Leaked"})
    assert is_revoked(cast, key.pk)


def test_a_key_is_revoked_with_what_it_scheduled_only_when_asked(alice: Client, cast: Cast) -> None:
    kept, stopped = (make_key(cast.hive)[0] for _ in range(2))
    assert f"?key={kept.pk}&amp;status=scheduled" in text(get(alice, f"/console/keys/{kept.pk}"))
    post(alice, f"/console/keys/{kept.pk}/revoke", {"typed_name": "Test key"})
    form = {"typed_name": "Test key", "cancel_scheduled": "on"}
    post(alice, f"/console/keys/{stopped.pk}/revoke", form)

    assert "What it had scheduled is being canceled" in text(get(alice, "/console/keys"))
    with tenant(cast.hive.pk):
        assert [one.key_id for one in StoppedKey.objects.all()] == [stopped.pk]


def test_dead_keys_are_shown_on_request(alice: Client, cast: Cast) -> None:
    key = revoked(cast)
    assert key.masked not in text(get(alice, "/console/keys"))
    assert key.masked in text(get(alice, "/console/keys", state="all"))


def test_hostile_names_are_shown_as_text(alice: Client, cast: Cast) -> None:
    create(alice, {**FORM, "name": "<script>alert(1)</script>"})
    assert "<script>alert" not in text(get(alice, "/console/keys"))


def revoked(cast: Cast) -> ApiKey:
    key, _ = make_key(cast.hive)
    with tenant(cast.hive.pk):
        return actions.revoke(by=cast.alice.actor, key=key)


def is_revoked(cast: Cast, key_id: UUID) -> bool:
    with tenant(cast.hive.pk):
        return ApiKey.objects.get(pk=key_id).revoked_at is not None
