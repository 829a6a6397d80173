"""What comes back to the bounce listener, and what it changed. The mail is Hive's."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from django.conf import settings
from django.db import connections

from contacts.models import Suppression
from queensmtp.tenancy import tenant
from sending import return_paths, return_port
from sending.mailrooms import Limits, Port
from sending.models import DeliveryEvent, Recipient
from sending.return_port import ReturnMailroom
from tests.factories.cast import Cast, make_domain
from tests.factories.emails import make_email
from tests.roles import as_role
from tests.sending.running import running
from webhooks import actions as webhooks
from webhooks.models import Delivery


def delivered(cast: Cast, *, state: str = "delivered", **body: Any) -> Recipient:
    make_domain(cast.hive, "hive.example")
    with tenant(cast.hive.pk):
        webhooks.create_endpoint(
            by=cast.alice.actor,
            url="https://hooks.example/in",
            events=["email.bounced", "email.complained", "suppression.added"],
        )
    email_id = make_email(cast.hive, headers={"X-Order": "7"}, **body)
    with tenant(cast.hive.pk):
        Recipient.objects.filter(message_id=email_id).update(state=state)
        return Recipient.objects.get(message_id=email_id)


def path_of(recipient: Recipient) -> str:
    return return_paths.address_for(
        recipient.pk, keys=settings.LINK_KEYS, host=settings.RETURN_PATH_HOST
    )


def report(recipient: Recipient, content: bytes) -> str:
    with as_role("worker"):
        return return_port.take([path_of(recipient)], content)


def again(recipient: Recipient, cast: Cast) -> Recipient:
    with tenant(cast.hive.pk):
        return Recipient.objects.get(pk=recipient.pk)


def events(cast: Cast) -> list[DeliveryEvent]:
    with tenant(cast.hive.pk):
        return list(DeliveryEvent.objects.order_by("pk"))


def suppressions(cast: Cast) -> list[tuple[str, str]]:
    with tenant(cast.hive.pk):
        return list(Suppression.objects.values_list("email", "origin"))


def told(cast: Cast) -> list[Any]:
    with tenant(cast.hive.pk):
        return [json.loads(bytes(one.body)) for one in Delivery.objects.order_by("pk")]


@contextmanager
def listening() -> Iterator[int]:
    """The number of a port where the bounce listener answers, as its process would."""
    with ThreadPoolExecutor(1) as executor:
        # Kept until the end: a context manager that is forgotten is left.
        role = as_role("worker")
        executor.submit(role.__enter__).result()
        with running(Port("bounces.localhost", Limits(100_000)), ReturnMailroom(executor)) as port:
            yield port
        executor.submit(connections.close_all).result()
