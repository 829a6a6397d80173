import base64
import hmac
import re
import struct
import time

import pytest
from allauth.mfa.models import Authenticator
from django.test import Client

from auditlog.models import Entry
from queensmtp.tenancy import tenant
from tests.console import LOGIN, get, post, sign_in, text
from tests.factories.cast import PASSWORD, Cast

SET_UP = "/accounts/2fa/totp/activate/"
SECOND_STEP = "/accounts/2fa/authenticate/"


def code_for(secret: str, *, steps_ago: int = 0) -> str:
    """RFC 6238, from the secret that the page shows."""
    counter = struct.pack(">Q", int(time.time()) // 30 - steps_ago)
    digest = hmac.new(base64.b32decode(secret), counter, "sha1").digest()
    offset = digest[-1] & 15
    number = struct.unpack(">I", digest[offset : offset + 4])[0] & 0x7FFFFFFF
    return f"{number % 1_000_000:06}"


def set_up(client: Client) -> str:
    found = re.search(r'id="authenticator_secret"[^>]*value="(\w+)"', text(get(client, SET_UP)))
    assert found
    assert post(client, SET_UP, {"code": code_for(found[1])}).status_code == 302
    return found[1]


@pytest.fixture
def secret(cast: Cast) -> str:
    return set_up(sign_in(cast.bob.user))


def after_password(cast: Cast) -> Client:
    client = Client()
    response = post(client, LOGIN, {"login": cast.bob.user.email, "password": PASSWORD})
    assert response.headers["Location"] == SECOND_STEP
    return client


def test_the_password_alone_opens_nothing(cast: Cast, secret: str) -> None:
    client = after_password(cast)
    for path in ("/console", "/console/keys/new", "/accounts/2fa/", "/accounts/password/change/"):
        assert get(client, path).headers["Location"].startswith(LOGIN)


def test_a_code_typed_at_the_end_of_its_time_still_opens(cast: Cast, secret: str) -> None:
    client = after_password(cast)
    late, too_late = code_for(secret, steps_ago=1), code_for(secret, steps_ago=4)
    assert post(client, SECOND_STEP, {"code": too_late}).status_code == 200
    assert post(client, SECOND_STEP, {"code": late}).status_code == 302


def test_a_code_opens_once_only(cast: Cast, secret: str) -> None:
    code = code_for(secret)
    assert post(after_password(cast), SECOND_STEP, {"code": code}).status_code == 302
    client = after_password(cast)
    assert post(client, SECOND_STEP, {"code": code}).status_code == 200
    assert get(client, "/console").status_code == 302
    with tenant(cast.hive.pk):
        assert Entry.objects.get(event="user.mfa_failed").outcome == "failed"


def test_a_recovery_code_opens_once(cast: Cast, secret: str) -> None:
    codes = Authenticator.objects.get(type="recovery_codes").wrap().get_unused_codes()
    client = after_password(cast)
    assert post(client, SECOND_STEP, {"code": codes[0]}).status_code == 302
    assert get(client, "/console").status_code == 200
    assert post(after_password(cast), SECOND_STEP, {"code": codes[0]}).status_code == 200


def test_the_secret_rests_encrypted(cast: Cast, secret: str) -> None:
    for authenticator in Authenticator.objects.all():
        assert secret not in str(authenticator.data)
        assert "AQ" in str(authenticator.data)  # The mark of our format, in base64.


def test_factors_come_and_go_on_the_record(cast: Cast) -> None:
    client = sign_in(cast.bob.user)
    set_up(client)
    post(client, "/accounts/2fa/recovery-codes/generate/")
    post(client, "/accounts/2fa/totp/deactivate/")
    with tenant(cast.hive.pk):
        found = list(Entry.objects.filter(event__startswith="user.").order_by("id"))
    assert [(entry.event, entry.changes) for entry in found[1:]] == [
        ("user.mfa_added", {"type": "totp"}),
        ("user.recovery_codes_renewed", {}),
        ("user.recovery_codes_renewed", {}),
        ("user.mfa_removed", {"type": "totp"}),
    ]


def test_a_password_reset_does_not_pass_the_second_factor(
    cast: Cast, secret: str, mailoutbox: list[object]
) -> None:
    client = Client()
    post(client, "/accounts/password/reset/", {"email": cast.bob.user.email})
    found = re.search(r"https://\S+(/accounts/password/reset/key/\S+/)", str(mailoutbox[0].body))  # type: ignore[attr-defined]
    assert found
    form = get(client, found[1]).headers["Location"]
    new = {"password1": "a new and longer passphrase", "password2": "a new and longer passphrase"}
    post(client, form, new)
    assert get(client, "/console").headers["Location"].startswith(LOGIN)
    login = {"login": cast.bob.user.email, "password": new["password1"]}
    assert post(Client(), LOGIN, login).headers["Location"] == SECOND_STEP


def test_the_reset_link_leads_to_the_configured_host_only(cast: Cast) -> None:
    answer = Client().post(
        "/accounts/password/reset/",
        {"email": cast.bob.user.email},
        secure=True,
        headers={"host": "evil.example"},
    )
    assert answer.status_code == 400


def test_a_reset_is_answered_alike_for_known_and_unknown(
    cast: Cast, mailoutbox: list[object]
) -> None:
    def answer(email: str) -> tuple[int, str]:
        response = post(Client(), "/accounts/password/reset/", {"email": email})
        return response.status_code, response.headers["Location"]

    assert answer("bob@bob.example") == answer("nobody@nowhere.example")
