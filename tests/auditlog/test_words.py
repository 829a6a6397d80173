"""The words by which an entry is found."""

from hypothesis import given
from hypothesis import strategies as st

from auditlog import words

letters = st.text("aAß .-_@é\uff21\u0130", max_size=12)


@given(text=letters, asked=letters)
def test_a_text_has_the_words_that_it_is_indexed_by(text: str, asked: str) -> None:
    wanted = words.wanted(asked)
    assert words.are_in(text, wanted) == set(wanted).issubset(words.of_text(text))


def test_a_long_word_is_found_by_all_of_it() -> None:
    long = "x" * 2 * words.LONGEST_WORD
    assert words.are_in(f"shop {long}", words.wanted(long))
    assert not words.are_in(f"shop {long}", words.wanted("y" + long))
