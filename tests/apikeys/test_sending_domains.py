import pytest

from apikeys import sending_domains
from queensmtp.addresses import AddressRefused


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("GOOD.example", "good.example"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("*.Good.example", "*.good.example"),
    ],
)
def test_an_entry_is_kept_in_the_normal_form_of_mail(text: str, normal: str) -> None:
    assert sending_domains.read(text) == normal


@pytest.mark.parametrize(
    "text",
    [
        *("*", "*.", "*.example", "a.*.example", "**.good.example", "good.example.", "[127.0.0.1]"),
        *("ｇood.example", "good。example", "localhost", "go od.example", ""),
    ],
)
def test_what_is_no_domain_is_refused(text: str) -> None:
    with pytest.raises(AddressRefused):
        sending_domains.read(text)


@pytest.mark.parametrize(
    ("asked", "own", "is_within"),
    [
        (None, None, True),
        (("a.example",), None, True),
        (None, ("a.example",), False),
        (("a.example",), ("a.example", "b.example"), True),
        (("news.a.example",), ("*.a.example",), True),
        (("a.example",), ("*.a.example",), False),
        (("*.a.example",), ("a.example",), False),
        (("*.a.example",), ("*.a.example",), True),
        (("*.news.a.example",), ("*.a.example",), True),
        (("*.a.example",), ("*.news.a.example",), False),
        (("*.evila.example",), ("*.a.example",), False),
    ],
)
def test_a_key_gives_no_wider_domains_than_its_own(
    asked: tuple[str, ...] | None, own: tuple[str, ...] | None, is_within: bool
) -> None:
    assert sending_domains.within(asked, own) == is_within
