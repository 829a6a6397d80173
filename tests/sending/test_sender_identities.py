"""A bare From that is a sender identity gets its name and its reply-to, by every door."""

import email
from email.policy import default
from typing import Any

import pytest

from domains import senders
from domains.models import Domain
from queensmtp import addresses
from queensmtp.tenancy import tenant
from sending import actions
from sending.models import Message
from tests.factories.cast import Cast, Seat, make_domain, show_in_dns
from tests.factories.keys import make_key
from tests.roles import as_role
from tests.sending.doors import DOORS, GOOD, by_http, by_smtp, raw
from tests.smtp_sink import SmtpSink

NAME, REPLY_TO = "Support", "help@good.example"


@pytest.fixture(autouse=True)
def _domain(cast: Cast) -> None:
    make_domain(cast.hive, "good.example")


def make_identity(seat: Seat, address: str = GOOD, **named: Any) -> None:
    given = {"name": NAME, "reply_to": REPLY_TO, **named}
    with tenant(seat.account.pk):
        senders.create(by=seat.actor, email=addresses.parse(address), **given)


def stored(cast: Cast, door: str, **fields: Any) -> tuple[str, list[str] | None]:
    """The From and the Reply-To of a message that came in by a door."""
    _, token = make_key(cast.hive)
    if door == "smtp":
        sender, reply_to = fields.get("from", GOOD), fields.get("reply_to")
        more = [f"Reply-To: {reply_to}"] if reply_to else []
        answer = by_smtp(token, raw(f"From: {sender}", *more))
    else:
        answer = by_http(door, token, fields)
    assert answer.is_accepted, answer
    with tenant(cast.hive.pk):
        messages = Message.objects.order_by("pk")
        message = messages[1] if door == "batch" else messages[0]
    return message.sender, message.reply_to


@pytest.mark.parametrize("door", DOORS)
def test_a_bare_address_gets_name_and_reply_to(cast: Cast, door: str) -> None:
    make_identity(cast.alice)
    assert stored(cast, door) == (f"{NAME} <{GOOD}>", [REPLY_TO])


@pytest.mark.parametrize("door", DOORS)
def test_what_the_request_names_itself_stays(cast: Cast, door: str) -> None:
    make_identity(cast.alice)
    named = stored(cast, door, **{"from": f"Alice <{GOOD}>"})
    assert named == (f"Alice <{GOOD}>", None)


@pytest.mark.parametrize("door", DOORS)
def test_a_reply_to_of_its_own_stays(cast: Cast, door: str) -> None:
    make_identity(cast.alice)
    own = stored(cast, door, reply_to="own@good.example")
    assert own == (f"{NAME} <{GOOD}>", ["own@good.example"])


@pytest.mark.parametrize("door", DOORS)
def test_without_an_identity_the_bytes_are_as_asked_for(cast: Cast, door: str) -> None:
    make_identity(cast.alice, "other@good.example")
    assert stored(cast, door) == (GOOD, None)


def test_an_identity_may_have_only_one_of_them(cast: Cast) -> None:
    make_identity(cast.alice, name="", reply_to=REPLY_TO)
    assert stored(cast, "api") == (GOOD, [REPLY_TO])


def test_the_case_of_the_address_stays_as_it_was_asked_for(cast: Cast) -> None:
    make_identity(cast.alice)
    asked = {"from": "Alice@GOOD.example"}
    assert stored(cast, "api", **asked)[0] == f"{NAME} <Alice@good.example>"


def test_the_identity_of_another_account_lends_nothing(cast: Cast) -> None:
    """The name was Charlie's for a while, and so was an identity at it."""
    make_domain(cast.wasp, "good.example")
    make_identity(cast.charlie)
    with tenant(cast.hive.pk):
        hives = Domain.objects.get(name="good.example")
    show_in_dns(hives)
    assert stored(cast, "api") == (GOOD, None)


@pytest.mark.parametrize(
    "name",
    [
        "Ann, Bob & Co.",
        'The "Best" \\ Shop',
        "Bücher (Köln)",
        "a@b",
        "O'Neill",
        "50% off; today",
        "日本 <x",
    ],
)
@pytest.mark.parametrize("door", ["api", "batch"])
def test_any_name_is_written_as_it_would_have_been_asked_for(
    cast: Cast, door: str, name: str
) -> None:
    make_identity(cast.alice, name=name)
    sender, _ = stored(cast, door)
    mailbox = addresses.parse(sender)
    assert (mailbox.name, mailbox.address) == (name, GOOD)
    assert sender == str(mailbox)


def test_the_reader_sees_it(cast: Cast, sink: SmtpSink) -> None:
    make_identity(cast.alice)
    stored(cast, "api")
    with as_role("worker"):
        actions.deliver_due()
    (got,) = sink.messages
    message = email.message_from_bytes(got.content, policy=default)
    assert (message["From"], message["Reply-To"]) == (f"{NAME} <{GOOD}>", REPLY_TO)
