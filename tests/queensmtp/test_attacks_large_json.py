"""Bodies that are small on the wire and huge in memory."""

import tracemalloc

import orjson
import pytest

from queensmtp import json_body
from queensmtp.errors import MalformedRequest

MEGABYTE = 1_000_000


@pytest.mark.parametrize("piece", [b"{}", b"[]", b'{"a":{}}'])
def test_lists_and_objects_without_end_are_refused_before_they_are_made(piece: bytes) -> None:
    body = b"[" + b",".join([piece] * (3 * MEGABYTE // len(piece))) + b"]"
    tracemalloc.start()
    try:
        with pytest.raises(MalformedRequest, match="too many"):
            json_body.read(body)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert peak < MEGABYTE


def test_a_large_text_and_an_attachment_in_numbers_are_taken() -> None:
    body = {"html": "p { color: red } " * 20_000, "attachments": [{"content": [7] * MEGABYTE}]}

    assert json_body.read(orjson.dumps(body)) == body
