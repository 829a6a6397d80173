"""Threat M2: mutated messages that we accepted are one message each behind a real mail server.

Run by `make mtas`, not with the suite: the servers are Debian's own.
"""

import time
from collections import Counter
from collections.abc import Iterator
from types import ModuleType

import pytest

from queensmtp.tenancy import tenant
from sending import actions, courier, transports
from sending.mailrooms import Limits, Port
from sending.models import Recipient
from tests.factories.cast import make_cast, make_domain
from tests.factories.keys import make_key
from tests.mtas.servers import MTAS
from tests.mtas.ways import Relay, free_port, room
from tests.roles import as_role
from tests.sending.conversations import close_all
from tests.sending.deliveries import To, delivering_to_sink
from tests.sending.returns import listening
from tests.sending.running import submitting
from tests.sending.test_attacks_dialogue import numbers_of, submit_all
from tests.smtp_sink import SmtpSink

pytestmark = pytest.mark.django_db(transaction=True)

COUNT = 300
RECIPIENTS = 2
QUIET_SECONDS = 5
ARRIVE_SECONDS = 120.0


@pytest.fixture
def door() -> Iterator[int]:
    with submitting(Port("localhost", Limits(100_000))) as number:
        yield number
    close_all()


@pytest.mark.parametrize("mta", MTAS.values(), ids=MTAS)
def test_each_submission_is_one_message_behind_it(
    door: int, mta: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    cast = make_cast()
    make_domain(cast.hive, "good.example")
    accepted = submit_all(door, make_key(cast.hive)[1], COUNT)
    assert COUNT // 2 < len(accepted) < COUNT

    with delivering_to_sink(monkeypatch) as sink, listening() as returns, room() as folder:
        way = Relay(free_port(), sink.port, returns, return_host="send.good.example")
        with mta.running(way, folder) as port:
            # Each is on disk before it is answered, which may take its time.
            monkeypatch.setattr(courier.configured(), "delivery_seconds", ARRIVE_SECONDS)
            monkeypatch.setattr(transports, "configured", lambda: To(port, is_final=False))
            with as_role("worker"):
                actions.deliver_due()
            with tenant(cast.hive.pk):
                told = Counter(Recipient.objects.values_list("state", "reply"))
            assert {state for state, _ in told} == {"sent"}, told
            wait_until_quiet(sink, len(accepted) * RECIPIENTS)

    assert numbers_of(sink) == Counter({str(one).encode(): RECIPIENTS for one in accepted})
    assert len(sink.messages) == len(accepted) * RECIPIENTS
    assert [line for line in sink.commands if "evil@" in line] == []


def wait_until_quiet(sink: SmtpSink, count: int) -> None:
    """Until all are there, and then some time in which one too many could come."""
    ends_at = time.monotonic() + ARRIVE_SECONDS
    while len(sink.messages) < count and time.monotonic() < ends_at:
        time.sleep(0.2)
    time.sleep(QUIET_SECONDS)
