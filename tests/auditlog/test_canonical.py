import json
import math
import struct
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditlog.canonical import LARGEST_INTEGER, NotCanonical, encode

text = st.text(st.characters(exclude_categories=["Cs"]))
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-LARGEST_INTEGER, LARGEST_INTEGER)
    | st.floats(allow_nan=False, allow_infinity=False)
    | text
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner) | st.dictionaries(text, inner), max_leaves=20
)

# RFC 8785 appendix B: the bits of a double and its canonical form.
RFC_NUMBERS = [
    ("0000000000000000", "0"),
    ("8000000000000000", "0"),
    ("0000000000000001", "5e-324"),
    ("8000000000000001", "-5e-324"),
    ("7fefffffffffffff", "1.7976931348623157e+308"),
    ("ffefffffffffffff", "-1.7976931348623157e+308"),
    ("4340000000000000", "9007199254740992"),
    ("c340000000000000", "-9007199254740992"),
    ("4430000000000000", "295147905179352830000"),
    ("44b52d02c7e14af5", "9.999999999999997e+22"),
    ("44b52d02c7e14af6", "1e+23"),
    ("44b52d02c7e14af7", "1.0000000000000001e+23"),
    ("444b1ae4d6e2ef4e", "999999999999999700000"),
    ("444b1ae4d6e2ef4f", "999999999999999900000"),
    ("444b1ae4d6e2ef50", "1e+21"),
    ("3eb0c6f7a0b5ed8c", "9.999999999999997e-7"),
    ("3eb0c6f7a0b5ed8d", "0.000001"),
    ("41b3de4355555553", "333333333.3333332"),
    ("41b3de4355555554", "333333333.33333325"),
    ("41b3de4355555555", "333333333.3333333"),
    ("41b3de4355555556", "333333333.3333334"),
    ("41b3de4355555557", "333333333.33333343"),
    ("becbf647612f3696", "-0.0000033333333333333333"),
    ("43143ff3c1cb0959", "1424953923781206.2"),
]


@pytest.mark.parametrize(("bits", "expected"), RFC_NUMBERS)
def test_numbers_are_written_as_the_rfc_lists_them(bits: str, expected: str) -> None:
    (number,) = struct.unpack(">d", bytes.fromhex(bits))
    assert encode(number).decode() == expected


def test_the_example_of_the_rfc() -> None:
    value = {
        "numbers": [333333333.33333329, 1e30, 4.50, 2e-3, 0.000000000000000000000000001],
        "string": "\u20ac$\u000f\u000aA'\u0042\u0022\u005c\\\"/",
        "literals": [None, True, False],
    }
    assert encode(value).decode() == (
        '{"literals":[null,true,false],'
        '"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],'
        '"string":"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}'
    )


def test_names_sort_by_utf16_code_units_as_the_rfc_says() -> None:
    names = ["\u20ac", "\r", "\ufb33", "1", "\U0001f600", "\u0080", "\u00f6"]
    ordered = list(json.loads(encode(dict.fromkeys(names, 0))))
    assert ordered == ["\r", "1", "\u0080", "\u00f6", "\u20ac", "\U0001f600", "\ufb33"]


@given(values)
def test_it_reads_back_as_the_same_value(value: object) -> None:
    # JSON numbers are doubles to JCS; Python would read the large ones as integers.
    assert json.loads(encode(value), parse_int=float) == value


@given(values)
def test_what_was_read_back_has_the_same_bytes(value: object) -> None:
    canonical = encode(value)
    assert encode(json.loads(canonical, parse_int=float)) == canonical


@given(st.dictionaries(text, scalars, min_size=2))
def test_the_order_of_names_does_not_matter(value: dict[str, object]) -> None:
    assert encode(dict(reversed(value.items()))) == encode(value)


@given(st.dictionaries(st.text("abcxyz_.-"), st.integers(-9, 9) | text))
def test_without_doubles_it_is_what_the_standard_library_sorts(value: dict[str, object]) -> None:
    plain = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    assert encode(value) == plain.encode()


# A list keeps an object out of the quick way, which writes with orjson.
@given(st.dictionaries(st.text("ab.é\uffff\U0001f600"), scalars | st.dictionaries(text, scalars)))
def test_the_quick_way_writes_the_same_bytes(value: dict[str, object]) -> None:
    assert b"[%b]" % encode(value) == encode([value])


def test_the_quick_way_writes_every_character_the_same() -> None:
    everything = "".join(chr(code) for code in range(0x110000) if not 0xD800 <= code <= 0xDFFF)
    assert b"[%b]" % encode({"a": everything}) == encode([{"a": everything}])


@pytest.mark.parametrize(
    "value",
    [
        *[
            math.nan,
            math.inf,
            2**53,
            -(2**53),
            "\ud800",
            {"\ud800": 1},
            {1: "a"},
            b"bytes",
            object(),
        ],
        *[{"a": 2**53}, {"a": {"b": "\ud800"}}, {"a": {"b": UUID(int=1)}}, {"a": {1: "b"}}],
    ],
)
def test_what_has_no_canonical_form_is_refused(value: object) -> None:
    with pytest.raises(NotCanonical):
        encode(value)
