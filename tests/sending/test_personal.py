"""What makes a message personal: links, pixel, unsubscribe. And that nothing else changes."""

import html
import re
import time
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from queensmtp import addresses
from queensmtp.ids import new_id
from sending import content_rules, links, mime, personal
from sending.contents import Content
from sending.links import Linker, Place
from sending.personal import Wishes

KEYS = [(1, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=")]
PLACE = Place(new_id(), new_id())
LINKER = Linker("https://links.example", KEYS, PLACE)


def content(**more: object) -> Content:
    given = {
        "sender": addresses.parse("Hive <hello@hive.example>"),
        "to": (addresses.parse("ann@wasp.example"),),
        "subject": "Hello",
        "message_id": "1@hive.example",
        "date": datetime(2026, 11, 26, tzinfo=UTC),
        "html": "<p>Hi</p>",
        **more,
    }
    return Content(**given)  # type: ignore[arg-type]


def tracked(body: str) -> list[str]:
    """Where the links of a tracked body lead in the end; those left alone as they are."""
    found = []
    for value in re.findall(r'(?i)href\s*=\s*["\']([^"\']*)', personal.track_clicks(body, LINKER)):
        parts = html.unescape(value).removeprefix("https://links.example/t/c/").split("/")
        click = links.find_click(parts[0], parts[-1], keys=KEYS) if len(parts) == 2 else None
        found.append(click[1] if click else html.unescape(value))
    return found


def test_links_of_the_web_lead_past_us_and_on_to_where_they_led() -> None:
    body = (
        '<A class="x" HREF="https://shop.example/?a=1&amp;b=ü">one</A>'
        "<a href='http://shop.example/two#x'>two</a><area href=\"https://shop.example/3\">"
    )
    assert tracked(body) == [
        "https://shop.example/?a=1&b=ü",
        "http://shop.example/two#x",
        "https://shop.example/3",
    ]
    assert personal.track_clicks(body, LINKER).count("https://links.example/t/c/") == 3


@pytest.mark.parametrize(
    "target",
    [
        *("mailto:a@b.example", "tel:+1", "#top", "/path", "javascript:alert(1)", "https://"),
        *(
            "https://[",
            "https://a b.example",
            "ftp://a.example",
            f"https://a.example/{'x' * 1_500}",
        ),
        *("cid:logo", "data:text/html,x", "https://a.example/\u202e", "{{{UNSUBSCRIBE_URL}}}"),
    ],
)
def test_every_other_link_stays_as_it_is(target: str) -> None:
    body = f'<p><a href="{target}">x</a></p>'
    assert personal.track_clicks(body, LINKER) == body


@given(st.text(max_size=300))
def test_a_body_without_links_is_not_touched(body: str) -> None:
    if "href" not in body.lower():
        assert personal.track_clicks(body, LINKER) == body


@pytest.mark.parametrize("piece", ["<a ", "<a href=", '<a href="', "<a\n", "<area x='", "</body"])
def test_a_hostile_body_costs_no_more_than_its_length(piece: str) -> None:
    began = time.process_time()
    body = piece * 40_000
    personal.add_pixel(personal.track_clicks(body, LINKER), LINKER)
    assert time.process_time() - began < 5


def test_the_pixel_stands_before_the_end_of_the_body() -> None:
    body = "<html><body>Hi</body ></html>"
    pixelled = personal.add_pixel(body, LINKER)
    assert re.fullmatch(
        r'<html><body>Hi<img src="https://[^"]+\.gif"[^>]+></body ></html>', pixelled
    )
    assert personal.add_pixel("Hi", LINKER).startswith('Hi<img src="https://links.example/t/o/')


def test_marketing_mail_carries_a_one_click_unsubscribe() -> None:
    made = personal.for_recipient(
        content(
            text=f"Leave: {personal.PLACEHOLDER}",
            html=f'<a href="{personal.PLACEHOLDER}">Leave</a>',
            headers=(("X-Order", "7"),),
        ),
        Wishes(marketing=True, clicks=True),
        LINKER,
    )
    url = LINKER.unsubscribe()
    assert made.headers == (
        ("X-Order", "7"),
        ("List-Unsubscribe", f"<{url}>"),
        ("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"),
    )
    assert made.text == f"Leave: {url}"
    assert made.html == f'<a href="{url}">Leave</a>'
    assert content_rules.validate_content(made) == []
    assert f"List-Unsubscribe: <{url}>\r\n".encode() in mime.build(made)


def test_a_way_of_the_customers_own_stands() -> None:
    own = (("List-Unsubscribe", "<mailto:leave@hive.example>"),)
    made = personal.for_recipient(content(headers=own), Wishes(marketing=True), LINKER)
    assert made.headers == own


def test_nothing_happens_that_was_not_asked_for() -> None:
    plain = content(text="x", html='<a href="https://shop.example/">x</a>')
    assert personal.for_recipient(plain, Wishes(), LINKER) == plain


def test_a_link_is_worth_nothing_for_another_purpose_or_target() -> None:
    pixel = LINKER.pixel().rpartition("/")[2].removesuffix(".gif")
    assert links.find_place(pixel, links.OPEN, keys=KEYS) == PLACE
    assert links.find_place(pixel, links.UNSUBSCRIBE, keys=KEYS) is None
    token, encoded = LINKER.click("https://shop.example/").rsplit("/", 2)[1:]
    evil = LINKER.click("https://evil.example/").rpartition("/")[2]
    assert links.find_click(token, encoded, keys=KEYS) == (PLACE, "https://shop.example/")
    assert links.find_click(token, evil, keys=KEYS) is None
    assert links.find_click(pixel, encoded, keys=KEYS) is None


@given(st.text(max_size=100), st.text(max_size=100))
def test_nothing_makes_the_readers_fail(token: str, encoded: str) -> None:
    assert links.find_place(token, links.OPEN, keys=KEYS) is None
    assert links.find_click(token, encoded, keys=KEYS) is None
