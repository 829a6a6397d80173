"""django-anymail's Resend backend, as it is installed: only its URL and key are set."""

from datetime import UTC, datetime, timedelta
from email.mime.image import MIMEImage
from typing import Any

import pytest
from anymail.exceptions import AnymailRequestsAPIError
from anymail.message import AnymailMessage
from django.core.mail import get_connection

from queensmtp.tenancy import tenant
from sending.models import Message
from sending.serializers import content_of
from sending.submissions import Sealed
from tests.factories.cast import Cast

BACKEND = "anymail.backends.resend.EmailBackend"


@pytest.fixture(autouse=True)
def backend(api_url: str, token: str, settings: Any) -> None:
    settings.ANYMAIL = {"RESEND_API_URL": api_url, "RESEND_API_KEY": token}


def message(**fields: Any) -> AnymailMessage:
    return AnymailMessage(
        **{
            "subject": "Grüße",
            "body": "Hi",
            "from_email": "Hätte <hello@hive.example>",
            "to": ["Ann <ann@wasp.example>"],
            "connection": get_connection(BACKEND),
            **fields,
        }
    )


def stored(cast: Cast) -> list[tuple[Message, Sealed]]:
    with tenant(cast.hive.pk):
        found = []
        for one in Message.objects.order_by("pk"):
            content = content_of(one)
            assert content is not None
            found.append((one, content))
        return found


def test_sends_text_html_and_files(hive: Cast) -> None:
    mail = message(cc=["bea@wasp.example"], bcc=["cy@wasp.example"], reply_to=["d@hive.example"])
    mail.attach_alternative("<p>Hi <img src='cid:x'></p>", "text/html")
    mail.attach("a.txt", "Zeile äöü", "text/plain")
    mail.attach(MIMEImage(b"\x89PNG", "png"))
    mail.tags, mail.metadata = ["order"], {"number": 17}

    assert mail.send() == 1

    ((one, content),) = stored(hive)
    assert mail.anymail_status.message_id == str(one.pk)
    assert (one.sender, one.subject) == ("Hätte <hello@hive.example>", "Grüße")
    assert (one.cc, one.bcc, one.reply_to) == (
        ["bea@wasp.example"],
        ["cy@wasp.example"],
        ["d@hive.example"],
    )
    assert (content.text, content.html) == ("Hi", "<p>Hi <img src='cid:x'></p>")
    assert content.attachments[0].data.decode() == "Zeile äöü"
    assert dict(content.headers) == {"X-Tags": '["order"]', "X-Metadata": '{"number": 17}'}


def test_sends_an_inline_image(hive: Cast) -> None:
    mail = message()
    content_id = mail.attach_inline_image(b"\x89PNG", filename="logo.png", subtype="png")
    mail.attach_alternative(f"<img src='cid:{content_id}'>", "text/html")
    mail.send()

    ((_, content),) = stored(hive)
    assert content.attachments[0].content_id == content_id


def test_html_without_text_is_sent(hive: Cast) -> None:
    mail = message(body="<b>Hi</b>", subject="")
    mail.content_subtype = "html"
    mail.send()

    ((one, content),) = stored(hive)
    assert (one.subject, content.html) == ("", "<b>Hi</b>")


def test_schedules(hive: Cast) -> None:
    at = datetime.now(UTC) + timedelta(hours=1)
    mail = message()
    mail.send_at = at
    mail.send()

    ((one, _),) = stored(hive)
    assert one.scheduled_at is not None
    assert abs(one.scheduled_at - at) < timedelta(seconds=1)


def test_a_message_for_each_recipient_goes_as_a_batch(hive: Cast) -> None:
    mail = message(to=["ann@wasp.example", "bea@wasp.example"])
    mail.merge_metadata = {"ann@wasp.example": {"n": 1}, "bea@wasp.example": {"n": 2}}
    mail.send()

    first, second = (one for one, _ in stored(hive))
    assert (first.to, second.to) == (["ann@wasp.example"], ["bea@wasp.example"])
    assert first.via == "batch"
    recipients = mail.anymail_status.recipients
    assert recipients["ann@wasp.example"].message_id == str(first.pk)
    assert recipients["bea@wasp.example"].message_id == str(second.pk)


def test_a_refusal_is_raised_with_our_words(hive: Cast) -> None:
    with pytest.raises(AnymailRequestsAPIError) as refused:
        message(from_email="a@evil.example").send()
    assert refused.value.status_code == 403
    assert "not verified" in str(refused.value)
