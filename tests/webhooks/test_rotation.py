"""W10: whoever holds the old or the new secret verifies, at every second of the overlap."""

from datetime import UTC, datetime, timedelta

import pytest

from queensmtp import crypto
from queensmtp.tenancy import tenant
from tests.factories.cast import Cast
from tests.factories.webhooks import deliver, enqueue, make_endpoint, secret_of
from tests.http_receiver import HttpReceiver
from tests.roles import as_role
from webhooks import actions, secret_actions, signing, signing_secrets
from webhooks.errors import TooManySecrets
from webhooks.models import Endpoint, SigningSecret

URL = "https://hook.example/"


def rotate(cast: Cast, endpoint: Endpoint | None = None, *, overlap_seconds: int = 3600) -> str:
    with tenant(cast.hive.pk):
        return secret_actions.rotate(
            by=cast.alice.actor, endpoint=endpoint, overlap_seconds=overlap_seconds
        )


def live(endpoint: Endpoint, *, after: float = 0) -> list[str]:
    at = datetime.now(UTC) + timedelta(seconds=after)
    key = (endpoint.account_id, endpoint.pk)
    with tenant(endpoint.account_id):
        return signing_secrets.live_of_endpoints([key], now=at)[endpoint.pk]


def test_both_secrets_sign_until_the_overlap_ends(cast: Cast) -> None:
    endpoint = make_endpoint(cast.hive, URL)
    old = secret_of(endpoint)

    new = rotate(cast, endpoint, overlap_seconds=60)

    assert live(endpoint) == live(endpoint, after=58) == [new, old]
    assert live(endpoint, after=61) == [new]
    assert secret_of(endpoint) == new


def test_without_overlap_the_old_one_stops_at_once(cast: Cast) -> None:
    endpoint = make_endpoint(cast.hive, URL)
    new = rotate(cast, endpoint, overlap_seconds=0)
    assert live(endpoint) == [new]


def test_the_accounts_rotation_reaches_endpoints_without_a_secret_of_their_own(
    cast: Cast,
) -> None:
    own, shared = make_endpoint(cast.hive, URL), make_endpoint(cast.hive, URL)
    first = secret_of(shared)
    of_own = rotate(cast, own, overlap_seconds=0)

    new = rotate(cast)

    assert live(shared) == [new, first]
    assert live(own) == [of_own]


def test_an_endpoint_made_during_an_overlap_gets_the_current_secret(cast: Cast) -> None:
    make_endpoint(cast.hive, URL)
    new = rotate(cast)
    assert secret_of(make_endpoint(cast.hive, URL)) == new


def test_the_first_rotation_of_an_endpoint_keeps_a_running_overlap_of_its_account(
    cast: Cast,
) -> None:
    endpoint = make_endpoint(cast.hive, URL)
    first = secret_of(endpoint)
    second = rotate(cast, overlap_seconds=30)

    third = rotate(cast, endpoint, overlap_seconds=3600)

    assert live(endpoint) == [third, second, first]
    assert live(endpoint, after=31) == [third, second]


def test_rotations_within_overlaps_are_bounded(cast: Cast) -> None:
    endpoint = make_endpoint(cast.hive, URL)
    for _ in range(secret_actions.LIVE_SECRETS_MAX - 1):
        rotate(cast, endpoint)
    with pytest.raises(TooManySecrets):
        rotate(cast, endpoint)

    assert len(live(endpoint)) == secret_actions.LIVE_SECRETS_MAX <= signing.MOST_SIGNATURES


def test_during_the_overlap_a_delivery_verifies_with_either(cast: Cast) -> None:
    with HttpReceiver() as receiver:
        endpoint = make_endpoint(cast.hive, receiver.url)
        old = secret_of(endpoint)
        new = rotate(cast, endpoint)
        enqueue(cast.hive)
        deliver()

    [received] = receiver.requests
    for secret in (old, new):
        signing.verify(secrets=[secret], headers=received.headers, body=received.body)
    with pytest.raises(signing.VerificationError):
        signing.verify(secrets=[signing.new_secret()], headers=received.headers, body=received.body)


def test_a_secret_that_ran_out_is_deleted_by_the_next_rotation(cast: Cast) -> None:
    make_endpoint(cast.hive, URL)
    for _ in range(4):
        rotate(cast, overlap_seconds=0)
    with tenant(cast.hive.pk):
        assert SigningSecret.objects.count() == 2


def test_a_secret_copied_to_another_row_does_not_open(cast: Cast) -> None:
    make_endpoint(cast.hive, URL)
    make_endpoint(cast.wasp, URL)
    with tenant(cast.wasp.pk):
        stolen = SigningSecret.objects.get().secret
    with tenant(cast.hive.pk):
        row = SigningSecret.objects.get()
        row.secret = stolen
        with pytest.raises(crypto.CannotDecrypt):
            signing_secrets.opened(row)


def test_a_damaged_secret_delays_only_its_own_account(cast: Cast) -> None:
    with HttpReceiver() as receiver:
        make_endpoint(cast.hive, receiver.url)
        make_endpoint(cast.wasp, receiver.url)
        with tenant(cast.hive.pk):
            SigningSecret.objects.update(secret=b"\1\1" + b"x" * 60)
        enqueue(cast.hive)
        enqueue(cast.wasp)
        assert deliver() == 2

    assert len(receiver.requests) == 1


def test_removing_an_endpoint_removes_its_own_secrets(cast: Cast) -> None:
    endpoint = make_endpoint(cast.hive, URL)
    rotate(cast, endpoint)
    with tenant(cast.hive.pk):
        actions.remove_endpoint(by=cast.alice.actor, endpoint=endpoint)
        assert SigningSecret.objects.filter(endpoint=endpoint).count() == 0
        assert SigningSecret.objects.filter(endpoint=None).count() == 1


def test_every_second_of_the_overlap_verifies(cast: Cast) -> None:
    """W10: with the old secret to the last second, with the new one from the first."""
    endpoint = make_endpoint(cast.hive, URL)
    old = secret_of(endpoint)
    new = rotate(cast, endpoint, overlap_seconds=60)
    with tenant(cast.hive.pk):
        ends_at = SigningSecret.objects.filter(expires_at__isnull=False).latest("id").expires_at
    assert ends_at is not None
    began = ends_at - timedelta(seconds=60)

    def verifies(at: datetime, secret: str) -> bool:
        whose = (endpoint.account_id, endpoint.pk)
        with as_role("worker"):
            live = signing_secrets.live_of_endpoints({whose}, now=at)[endpoint.pk]
        seconds = int(at.timestamp())
        headers = signing.sign(secrets=live, id="e1", timestamp=seconds, body=b"{}")
        try:
            signing.verify(secrets=[secret], headers=headers, body=b"{}", now=seconds)
        except signing.VerificationError:
            return False
        return True

    moments = [began + timedelta(seconds=second) for second in range(60)]
    moments.append(ends_at - timedelta(microseconds=1))
    assert all(verifies(at, secret) for at in moments for secret in (old, new))
    assert [verifies(ends_at, secret) for secret in (old, new)] == [False, True]
