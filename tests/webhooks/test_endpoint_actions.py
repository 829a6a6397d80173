from collections.abc import Callable

import pytest
from django.db import IntegrityError, connection, transaction

from auditlog import actions as audit
from auditlog.models import Entry
from queensmtp.ids import new_id
from queensmtp.tenancy import tenant
from tests.factories.cast import Cast
from tests.factories.webhooks import deliver, enqueue, make_endpoint
from tests.http_receiver import HttpReceiver
from webhooks import actions, secret_actions
from webhooks.models import Delivery, Endpoint, EndpointStatus, SigningSecret

URL = "https://hook.example/"


def states(cast: Cast) -> list[str]:
    with tenant(cast.hive.pk):
        return list(Delivery.objects.order_by("id").values_list("state", flat=True))


def test_disabling_gives_up_what_waits_and_enabling_starts_afresh(cast: Cast) -> None:
    with HttpReceiver() as receiver:
        endpoint = make_endpoint(cast.hive, receiver.url)
        enqueue(cast.hive)
        with tenant(cast.hive.pk):
            actions.update_endpoint(
                by=cast.alice.actor, endpoint=endpoint, status=EndpointStatus.DISABLED
            )
        enqueue(cast.hive)
        assert deliver() == 0
        with tenant(cast.hive.pk):
            actions.update_endpoint(
                by=cast.alice.actor, endpoint=endpoint, status=EndpointStatus.ENABLED
            )
        enqueue(cast.hive)
        assert deliver() == 1

    assert states(cast) == ["canceled", "delivered"]
    assert len(receiver.requests) == 1


def test_removing_gives_up_what_waits(cast: Cast) -> None:
    endpoint = make_endpoint(cast.hive, "https://user:secret@hook.example/")
    enqueue(cast.hive)
    with tenant(cast.hive.pk):
        actions.remove_endpoint(by=cast.alice.actor, endpoint=endpoint)
        found = Endpoint.objects.get(pk=endpoint.pk)

    assert found.credentials is None
    assert states(cast) == ["canceled"]


def test_every_change_leaves_its_entry_and_no_entry_holds_a_secret(cast: Cast) -> None:
    by = cast.alice.actor
    with tenant(cast.hive.pk):
        endpoint = actions.create_endpoint(
            by=by, url="https://user:canary@hook.example/", events=["email.sent"]
        )
        secrets = [secret_actions.reveal(by=by, endpoint=endpoint)]
        secrets.append(secret_actions.rotate(by=by, endpoint=endpoint))
        secrets.append(secret_actions.rotate(by=by))
        actions.update_endpoint(by=by, endpoint=endpoint, events=["email.bounced"])
        actions.remove_endpoint(by=by, endpoint=endpoint)
        entries = list(Entry.objects.filter(event__startswith="webhook.").order_by("id"))

    assert [entry.event for entry in entries] == [
        "webhook.created",
        "webhook.secret_revealed",
        "webhook.secret_rotated",
        "webhook.secret_rotated",
        "webhook.updated",
        "webhook.removed",
    ]
    written = "".join(f"{entry.changes}{entry.target_label}{entry.target_id}" for entry in entries)
    for secret in (*secrets, "canary"):
        assert secret not in written
    assert {entry.actor_id for entry in entries} == {by.id}


@pytest.mark.parametrize(
    "act",
    [
        lambda by, endpoint: actions.create_endpoint(by=by, url=URL, events=["email.sent"]),
        lambda by, endpoint: actions.update_endpoint(
            by=by, endpoint=endpoint, url="https://other.example/"
        ),
        lambda by, endpoint: actions.remove_endpoint(by=by, endpoint=endpoint),
        lambda by, endpoint: secret_actions.rotate(by=by, endpoint=endpoint),
        lambda by, endpoint: secret_actions.rotate(by=by),
    ],
)
def test_without_its_entry_no_change_is_kept(
    cast: Cast, monkeypatch: pytest.MonkeyPatch, act: Callable[..., object]
) -> None:
    endpoint = make_endpoint(cast.hive, URL)

    def state() -> object:
        with tenant(cast.hive.pk):
            return (
                list(Endpoint.objects.order_by("id").values_list("id", "url", "removed_at")),
                list(SigningSecret.objects.order_by("id").values_list("id", "expires_at")),
            )

    before = state()

    def fail(**_: object) -> None:
        raise RuntimeError("The log cannot be written.")

    monkeypatch.setattr(audit, "record", fail)
    with pytest.raises(RuntimeError), tenant(cast.hive.pk):
        act(cast.alice.actor, endpoint)

    assert state() == before


def test_an_endpoint_of_another_tenant_cannot_be_given_a_delivery_or_a_secret(
    cast: Cast,
) -> None:
    """Foreign keys ignore row-level security, so they name the account too."""
    theirs = make_endpoint(cast.wasp, URL)
    with tenant(cast.hive.pk), pytest.raises(IntegrityError), transaction.atomic():
        SigningSecret.objects.create(account_id=cast.hive.pk, endpoint=theirs, secret=b"x")
        _check_constraints()
    with tenant(cast.hive.pk), pytest.raises(IntegrityError), transaction.atomic():
        Delivery.objects.create(
            account_id=cast.hive.pk,
            endpoint=theirs,
            event_id=new_id(),
            event_type="email.sent",
            body=b"{}",
            due_at=theirs.created_at,
        )


def _check_constraints() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
