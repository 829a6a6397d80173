import re
import zlib

from hypothesis import given
from hypothesis import strategies as st

from apikeys import tokens
from apikeys.tokens import ALPHABET, Environment, Token

PEPPER = "cGVwcGVycGVwcGVycGVwcGVycGVwcGVycGVwcGVycCE="


def test_a_token_has_the_published_shape() -> None:
    for environment, prefix in (
        ("development", "dev"),
        ("staging", "stag"),
        ("production", "prod"),
    ):
        text = tokens.mint(Environment(environment)).text
        assert re.fullmatch(rf"qs_{prefix}_[0-9A-Za-z]{{54}}", text)


def test_the_checksum_is_crc32_in_base62() -> None:
    text = tokens.mint(Environment.PRODUCTION).text
    number = 0
    for digit in text[-6:]:
        number = number * 62 + ALPHABET.index(digit)

    assert number == zlib.crc32(text[:-6].encode())


def test_parses_what_it_minted() -> None:
    token = tokens.mint(Environment.STAGING)

    assert tokens.parse(token.text) == token


@given(at=st.integers(0, 61), to=st.sampled_from(ALPHABET))
def test_one_changed_character_is_no_token(at: int, to: str) -> None:
    text = tokens.mint(Environment.PRODUCTION).text
    changed = text[:at] + to + text[at + 1 :]

    assert changed == text or tokens.parse(changed) is None


@given(st.text())
def test_takes_any_text(text: str) -> None:
    assert tokens.parse(text) is None


def test_variants_of_a_token_are_no_tokens() -> None:
    text = tokens.mint(Environment.PRODUCTION).text
    fullwidth = "".join(chr(ord(one) + 0xFEE0) if one.isdigit() else one for one in text)
    for variant in (text.swapcase(), text + " ", " " + text, text + "\n", text + "\0", fullwidth):
        assert variant == text or tokens.parse(variant) is None


def test_the_digest_depends_on_token_and_pepper() -> None:
    token, other = (tokens.mint(Environment.PRODUCTION) for _ in range(2))
    other_pepper = "A" * 43 + "="

    assert tokens.same(tokens.digest(token, pepper=PEPPER), tokens.digest(token, pepper=PEPPER))
    assert tokens.digest(token, pepper=PEPPER) != tokens.digest(other, pepper=PEPPER)
    assert tokens.digest(token, pepper=PEPPER) != tokens.digest(token, pepper=other_pepper)


def test_a_token_does_not_show_itself() -> None:
    token = tokens.mint(Environment.PRODUCTION)

    assert token.text not in repr(token)
    assert token.text not in f"{token}"


def test_two_tokens_are_never_alike() -> None:
    minted: list[Token] = [tokens.mint(Environment.PRODUCTION) for _ in range(1_000)]
    assert len({one.public_id for one in minted}) == 1_000
