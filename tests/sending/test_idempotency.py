import pytest
from hypothesis import given
from hypothesis import strategies as st

from sending import idempotency

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters()),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@pytest.mark.parametrize("key", ["a", "x" * 256, "order 17/2026", "~!"])
def test_a_key_of_printable_ascii_is_taken(key: str) -> None:
    assert idempotency.is_key(key)


@pytest.mark.parametrize("key", ["", "x" * 257, "x" * 10_000, "a\0", "🐝", "a\r\nb", "ä", "a\t"])
def test_any_other_key_is_not(key: str) -> None:
    assert not idempotency.is_key(key)


@given(body=st.dictionaries(st.text(), JSON))
def test_the_order_of_names_makes_no_difference(body: dict[str, object]) -> None:
    turned = dict(reversed(body.items()))
    assert idempotency.fingerprint(body) == idempotency.fingerprint(turned)


@given(one=JSON, other=JSON)
def test_different_bodies_have_different_fingerprints(one: object, other: object) -> None:
    same = idempotency.fingerprint(one) == idempotency.fingerprint(other)
    assert same == (repr(one) == repr(other) or one == other and type(one) is type(other))


def test_a_lone_surrogate_has_a_fingerprint_too() -> None:
    assert idempotency.fingerprint({"text": "\ud800"})


def test_an_envelope_is_a_sender_and_a_set_of_recipients() -> None:
    one = idempotency.envelope_fingerprint(sender="a@b.co", recipients=["x@y.co", "z@y.co"])
    assert one == idempotency.envelope_fingerprint(
        sender="a@b.co", recipients=["z@y.co", "x@y.co", "z@y.co"]
    )
    assert one != idempotency.envelope_fingerprint(sender="a@b.co", recipients=["x@y.co"])
