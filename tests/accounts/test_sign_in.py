import time

import pytest
from django.contrib.auth.hashers import identify_hasher
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.test import Client

from accounts.models import User
from auditlog.models import Entry
from queensmtp.tenancy import PLATFORM_ACCOUNT_ID, tenant
from tests.console import LOGIN, get, post, sign_in, text
from tests.factories.cast import PASSWORD, Cast

TRY = {"login": "bob@bob.example", "password": "not the password at all"}


def entries(cast: Cast, event: str) -> list[Entry]:
    with tenant(cast.hive.pk):
        return list(Entry.objects.filter(event=event))


def test_signing_in_and_out_is_recorded(cast: Cast) -> None:
    client = sign_in(cast.bob.user)
    post(client, "/accounts/logout/")
    assert get(client, "/console").status_code == 302
    for event in ("user.signed_in", "user.signed_out"):
        [entry] = entries(cast, event)
        assert (entry.actor_label, entry.ip) == ("bob@bob.example", "127.0.0.1")


def test_the_cookie_of_a_session_that_ended_opens_nothing(cast: Cast) -> None:
    client = sign_in(cast.bob.user)
    kept = client.cookies["__Host-session"].value
    post(client, "/accounts/logout/")
    thief = Client()
    thief.cookies["__Host-session"] = kept
    assert get(thief, "/console").status_code == 302


def test_a_failed_sign_in_is_recorded_for_the_person_s_account(cast: Cast, client: Client) -> None:
    assert post(client, LOGIN, TRY).status_code == 200
    [entry] = entries(cast, "user.sign_in_failed")
    assert (entry.outcome, entry.actor_label) == ("failed", "bob@bob.example")


def test_an_unknown_address_goes_to_the_platform_and_is_not_kept(
    cast: Cast, client: Client
) -> None:
    post(client, LOGIN, {**TRY, "login": "correct-horse@battery.example"})
    with tenant(PLATFORM_ACCOUNT_ID):
        entry = Entry.objects.get(event="user.sign_in_failed")
    assert "correct-horse" not in str(vars(entry))


def test_known_and_unknown_addresses_get_the_same_answer(cast: Cast) -> None:
    def answer(login: str) -> tuple[int, str]:
        response = post(Client(), LOGIN, {**TRY, "login": login})
        return response.status_code, text(response).replace(login, "")

    known, unknown = answer("bob@bob.example"), answer("nob@bob.example")
    assert known[0] == unknown[0]
    assert without_tokens(known[1]) == without_tokens(unknown[1])


def test_the_sixth_guess_in_five_minutes_is_not_tried(cast: Cast, client: Client) -> None:
    for _ in range(5):
        post(client, LOGIN, TRY)
    response = post(client, LOGIN, {**TRY, "password": PASSWORD})
    assert response.status_code == 200
    assert "Too many" in text(response)


def test_guesses_are_counted_while_valkey_is_down(
    cast: Cast, client: Client, settings: pytest.FixtureRequest
) -> None:
    settings.CACHES = {  # type: ignore[attr-defined]
        "default": {
            "BACKEND": "accounts.throttle_cache.ThrottleCache",
            "LOCATION": "unix:///tmp/no-such-valkey.sock",
        }
    }
    for _ in range(5):
        assert "Too many" not in text(post(client, LOGIN, TRY))
    assert "Too many" in text(post(client, LOGIN, {**TRY, "password": PASSWORD}))


def test_passwords_rest_as_argon2id(cast: Cast) -> None:
    assert identify_hasher(cast.bob.user.password).algorithm == "argon2"
    assert "argon2id" in cast.bob.user.password


@pytest.mark.parametrize("password", ["a" * 14, "a" * 257, "polniypizdec0211", "bob@bob.example"])
def test_weak_and_endless_passwords_are_refused(cast: Cast, password: str) -> None:
    with pytest.raises(ValidationError):
        validate_password(password, cast.bob.user)


@pytest.mark.parametrize("password", [" leading space is kept ", "🐝" * 15, "x7" * 128])
def test_long_passphrases_are_taken_whole(cast: Cast, password: str) -> None:
    validate_password(password, cast.bob.user)
    cast.bob.user.set_password(password)
    assert cast.bob.user.check_password(password)
    assert not cast.bob.user.check_password(password[:-1])


def test_an_endless_password_costs_no_hash(cast: Cast, client: Client) -> None:
    started = time.monotonic()
    response = post(client, LOGIN, {**TRY, "password": "x" * 4096})
    assert response.status_code == 200
    assert "256" in text(response)
    assert time.monotonic() - started < 1
    assert entries(cast, "user.sign_in_failed") == []


def test_the_session_gets_a_new_id_at_sign_in(cast: Cast) -> None:
    client = Client()
    client.session["planted"] = "yes"
    planted = client.session.session_key
    post(client, LOGIN, {"login": "bob@bob.example", "password": PASSWORD})
    assert client.session.session_key != planted


def test_a_disabled_person_is_out_at_once(cast: Cast) -> None:
    client = sign_in(cast.bob.user)
    User.objects.filter(pk=cast.bob.user.pk).update(is_active=False)
    assert get(client, "/console").headers["Location"].startswith(LOGIN)


def test_a_removed_member_is_out_at_once(cast: Cast) -> None:
    client = sign_in(cast.bob.user)
    with tenant(cast.hive.pk):
        cast.bob.membership.delete()
    response = get(client, "/console/messages")
    assert response.status_code == 403
    assert "belong to no account" in text(response)


def test_nobody_signs_up_by_themselves(client: Client, db: None) -> None:
    fields = {"email": "mallory@mallory.example", "password1": PASSWORD}
    assert "By invitation" in text(post(client, "/accounts/signup/", fields))
    assert not User.objects.exists()


def test_the_next_page_is_never_elsewhere(cast: Cast, client: Client) -> None:
    fields = {"login": "bob@bob.example", "password": PASSWORD, "next": "https://evil.example/"}
    assert post(client, LOGIN, fields).headers["Location"] == "/console"


def test_a_changed_password_is_recorded_and_ends_other_sessions(cast: Cast) -> None:
    here, elsewhere = sign_in(cast.bob.user), sign_in(cast.bob.user)
    new = "a new and longer passphrase"
    fields = {"oldpassword": PASSWORD, "password1": new, "password2": new}
    assert post(here, "/accounts/password/change/", fields).status_code == 302
    assert get(here, "/console").status_code == 200
    assert get(elsewhere, "/console").status_code == 302
    assert len(entries(cast, "user.password_changed")) == 1


def test_other_sessions_are_listed_and_ended(cast: Cast) -> None:
    here, elsewhere = sign_in(cast.bob.user), sign_in(cast.bob.user)
    assert "2 sessions" in text(get(here, "/accounts/sessions/"))
    post(here, "/accounts/sessions/")
    assert get(here, "/console").status_code == 200
    assert get(elsewhere, "/console").status_code == 302


def test_pages_are_never_cached(cast: Cast) -> None:
    client = sign_in(cast.bob.user)
    for path in ("/console", "/console/keys", LOGIN):
        assert "no-store" in get(client, path).headers["Cache-Control"]


def without_tokens(page: str) -> list[str]:
    return [line for line in page.splitlines() if "csrf" not in line]
