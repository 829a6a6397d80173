import pytest

from queensmtp import json_body
from queensmtp.errors import MalformedRequest


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b"", {}),
        (b"{}", {}),
        (b'{"a": [1, "b", null]}', {"a": [1, "b", None]}),
        ('{"ä": "ö"}'.encode(), {"ä": "ö"}),
        (b"[" * 100 + b"]" * 100, None),
    ],
)
def test_reads_json(body: bytes, value: object) -> None:
    read = json_body.read(body)

    assert value is None or read == value


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"{} {}",
        b"\xef\xbb\xbf{}",
        '{"a": 1}'.encode("utf-16"),
        b'{"a": "\xff"}',
        b'{"a": "\\ud800"}',
        b'{"a": NaN}',
        b'{"a": Infinity}',
        b'{"a": 1, "a": 2}',
        b'{"a": {"b": 1, "b": 1}}',
        b"[" * 101 + b"]" * 101,
        b"[" * 100_000 + b"]" * 100_000,
        b'{"a":' * 50_000,
    ],
)
def test_refuses_what_is_no_strict_json(body: bytes) -> None:
    with pytest.raises(MalformedRequest):
        json_body.read(body)


def test_names_the_field_that_is_given_twice() -> None:
    with pytest.raises(MalformedRequest, match="`to` twice"):
        json_body.read(b'{"from": 1, "to": 2, "to": 3}')
