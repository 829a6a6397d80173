"""The allowlist's page: tried on what the key really did, and only then put in force."""

from collections.abc import Iterable

import pytest
from django.test import Client
from django.utils import timezone

from apikeys import observed
from apikeys.models import ApiKey
from auditlog import actions as audit
from queensmtp.actors import Actor, Origin
from queensmtp.ids import new_id
from queensmtp.tenancy import tenant
from tests.console import get, post, sign_in, text
from tests.factories.cast import Cast
from tests.factories.keys import make_key


@pytest.fixture
def alice(cast: Cast) -> Client:
    return sign_in(cast.alice.user)


def use(key: ApiKey, addresses: Iterable[str], *, reason: str = "") -> None:
    """Entries as requests with this key leave them."""
    with tenant(key.account_id):
        for ip in addresses:
            audit.record(
                by=Actor(
                    type="key",
                    id=str(key.pk),
                    label=key.name,
                    account_id=key.account_id,
                    origin=Origin(ip, "curl/8", str(new_id())),
                    key_id=key.pk,
                ),
                event="email.submitted",
                outcome="refused" if reason else "allowed",
                changes={"reason": reason} if reason else {},
            )


def page_of(key: ApiKey) -> str:
    return f"/console/keys/{key.pk}/addresses"


def ranges_of(key: ApiKey) -> list[str] | None:
    with tenant(key.account_id):
        return ApiKey.objects.get(pk=key.pk).allowed_cidrs


def test_it_shows_your_own_address_and_warns_of_a_lock_out(alice: Client, cast: Cast) -> None:
    open_key, _ = make_key(cast.hive)
    shut_key, _ = make_key(cast.hive, allowed_cidrs=("203.0.113.0/24",))
    assert "We see you at <code>127.0.0.1</code>. From there the key works" in text(
        get(alice, page_of(open_key))
    )
    assert "outside the list in force" in text(get(alice, page_of(shut_key)))


def test_a_trial_says_how_many_requests_would_be_refused_and_saves_nothing(
    alice: Client, cast: Cast
) -> None:
    key, _ = make_key(cast.hive)
    use(key, ["203.0.113.1"] * 5 + ["198.51.100.7"] * 3 + ["2001:db8::1"] * 2)
    form = {"allowed_cidrs": "203.0.113.0/24", "step": "try", "learning": "now"}
    page = text(post(alice, page_of(key), form))
    assert "Of the last 10 requests 5 would be refused." in page
    assert '<span class="mono">198.51.100.7</span>: 3' in page
    assert '<span class="mono">2001:db8::1</span>: 2' in page
    assert ranges_of(key) is None


def test_a_trial_looks_at_the_newest_thousand(cast: Cast) -> None:
    key, _ = make_key(cast.hive)
    use(key, ["198.51.100.7", *["203.0.113.1"] * 3])
    with tenant(cast.hive.pk):
        assert observed.newest(key, at_most=3).outside(["203.0.113.0/24"]).request_count == 0
        assert observed.newest(key, at_most=4).outside(["203.0.113.0/24"]).request_count == 1


def test_what_would_break_the_keys_use_is_saved_only_when_confirmed(
    alice: Client, cast: Cast
) -> None:
    key, _ = make_key(cast.hive)
    use(key, ["198.51.100.7"])
    form = {"allowed_cidrs": "203.0.113.0/24", "learning": "now"}
    page = text(post(alice, page_of(key), {**form, "step": "save"}))
    assert "Nothing is saved yet" in page
    assert ranges_of(key) is None
    post(alice, page_of(key), {**form, "step": "confirm"})
    assert ranges_of(key) == ["203.0.113.0/24"]


def test_what_was_refused_before_needs_no_confirmation(alice: Client, cast: Cast) -> None:
    key, _ = make_key(cast.hive, allowed_cidrs=("203.0.113.0/24",))
    use(key, ["198.51.100.7"], reason="ip_not_allowed")
    post(
        alice, page_of(key), {"allowed_cidrs": "203.0.113.0/25", "step": "save", "learning": "now"}
    )
    assert ranges_of(key) == ["203.0.113.0/25"]


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ("10.0.0.1/8", "did you mean 10.0.0.0/8"),
        ("0.0.0.0/0", "no limit"),
        ("::/0", "no limit"),
        ("10.0.0.0/7", "wider than /8"),
        ("2001::/31", "wider than /32"),
        ("10.0.0.0/255.0.0.0", "write an address or a range"),
        ("localhost", "write an address or a range"),
    ],
)
def test_a_careless_range_is_refused(alice: Client, cast: Cast, typed: str, message: str) -> None:
    key, _ = make_key(cast.hive)
    page = text(
        post(alice, page_of(key), {"allowed_cidrs": typed, "step": "confirm", "learning": "now"})
    )
    assert message.lower() in page.lower()
    assert ranges_of(key) is None


def test_a_wide_range_is_taken_from_who_means_it(alice: Client, cast: Cast) -> None:
    key, _ = make_key(cast.hive)
    form = {
        "allowed_cidrs": "10.0.0.0/7",
        "allow_wide_cidrs": "on",
        "step": "save",
        "learning": "now",
    }
    post(alice, page_of(key), form)
    assert ranges_of(key) == ["10.0.0.0/7"]


def test_it_proposes_what_lets_pass_what_passes_now(alice: Client, cast: Cast) -> None:
    key, _ = make_key(cast.hive)
    use(key, ["203.0.113.9", "198.51.100.7", "2001:db8:1::5"])
    use(key, ["192.0.2.66"], reason="ip_not_allowed")
    page = text(get(alice, page_of(key), propose="1"))
    assert "198.51.100.7/32\n203.0.113.9/32\n2001:db8:1::/64</textarea>" in page
    assert "not in force until you save it" in page
    assert ranges_of(key) is None


def test_the_refused_attempts_are_listed_with_their_reason(alice: Client, cast: Cast) -> None:
    key, _ = make_key(cast.hive, allowed_cidrs=("203.0.113.0/24",))
    other, _ = make_key(cast.hive)
    use(key, ["192.0.2.66"], reason="ip_not_allowed")
    use(other, ["192.0.2.77"], reason="ip_not_allowed")
    page = text(get(alice, page_of(key)))
    assert "192.0.2.66" in page
    assert "not in the key&#x27;s allowlist" in page
    assert "192.0.2.77" not in page


def test_revoking_says_what_it_will_break(alice: Client, cast: Cast) -> None:
    key, _ = make_key(cast.hive)
    path = f"/console/keys/{key.pk}/revoke"
    assert "Nothing used it in the last 24 hours" in text(get(alice, path))
    use(key, ["203.0.113.9"] * 3 + ["198.51.100.7"])
    use(key, ["192.0.2.66"], reason="ip_not_allowed")
    page = text(get(alice, path))
    assert "Nobody can undo this" in page
    assert "4 requests, from" in page
    assert '<span class="mono">203.0.113.9</span>: 3' in page
    assert "192.0.2.66" not in page


def test_the_last_day_is_no_longer_than_a_day(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    key, _ = make_key(cast.hive)
    use(key, ["203.0.113.9"])
    with tenant(cast.hive.pk):
        assert observed.last_day(key).request_count == 1
        later = timezone.now() + observed.A_DAY
        monkeypatch.setattr(timezone, "now", lambda: later)
        assert observed.last_day(key).request_count == 0
