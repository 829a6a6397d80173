import pytest

from sending import preview

NONCE = "abc123"


def body_of(html: str) -> str:
    return preview.page(html, nonce=NONCE).partition("<body>")[2]


def sheet_of(html: str) -> str:
    return preview.page(html, nonce=NONCE).partition("<style")[2].partition("</style>")[0]


def test_inline_styles_move_into_the_sheet_of_the_nonce() -> None:
    html = '<p style="color: red">a</p><b style="color: red">b</b>'
    assert body_of(html).startswith('<p class="s0">a</p><b class="s0">b</b>')
    assert sheet_of(html).startswith(f' nonce="{NONCE}">')
    assert ".s0{color: red" in sheet_of(html)
    assert "style=" not in body_of(html)


@pytest.mark.parametrize(
    "html",
    [
        "<script>alert(1)</script>",
        '<p onclick="alert(1)">x</p>',
        '<a href="javascript:alert(1)">x</a>',
        '<iframe src="https://evil.example"></iframe>',
        '<form action="https://evil.example"><input name="a"></form>',
        '<meta http-equiv="refresh" content="0;url=https://evil.example">',
        '<img src="https://evil.example/pixel.gif">',
        "<svg><style><img src=x onerror=alert(1)></style></svg>",
        '<p style="background: url(https://evil.example/a)">x</p>',
        '<p style="color: red} body{background: url(//evil.example)">x</p>',
        "<base href='https://evil.example/'>",
    ],
)
def test_what_could_act_or_fetch_is_gone(html: str) -> None:
    page = preview.page(html, nonce=NONCE)
    for harmful in ("alert", "evil.example", "<form", "<iframe", "<meta http", "onclick"):
        assert harmful not in page


def test_a_link_keeps_its_words() -> None:
    assert "track it</a>" in body_of('<a href="https://shop.example/">track it</a>')


def test_text_stays_text() -> None:
    assert body_of("a &lt;b&gt; c").startswith("a &lt;b&gt; c")


def test_pictures_inside_the_message_stay() -> None:
    assert 'src="data:image/png;base64,AA=="' in body_of('<img src="data:image/png;base64,AA==">')


def test_a_link_leads_to_no_page_of_its_own_making() -> None:
    assert "data:" not in body_of('<a href="data:text/html,<script>alert(1)</script>">x</a>')
