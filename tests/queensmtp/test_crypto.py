from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from queensmtp import crypto

PLACE: dict[str, Any] = {
    "account_id": UUID(int=7),
    "table": "sending_message",
    "column": "content",
    "row_id": "row",
}
ELSEWHERE = [
    {"account_id": UUID(int=8)},
    {"table": "domains_dkimkey"},
    {"column": "subject"},
    {"row_id": "another"},
]


@given(st.binary())
def test_opens_what_it_closed(plaintext: bytes) -> None:
    assert crypto.decrypt(crypto.encrypt(plaintext, **PLACE), **PLACE) == plaintext


@pytest.mark.parametrize("elsewhere", ELSEWHERE)
def test_does_not_open_elsewhere(elsewhere: dict[str, Any]) -> None:
    value = crypto.encrypt(b"secret", **PLACE)
    with pytest.raises(crypto.CannotDecrypt):
        crypto.decrypt(value, **{**PLACE, **elsewhere})


def test_does_not_open_when_one_bit_changed() -> None:
    value = crypto.encrypt(b"secret", **PLACE)
    for at in range(len(value)):
        changed = value[:at] + bytes([value[at] ^ 1]) + value[at + 1 :]
        with pytest.raises(crypto.CannotDecrypt):
            crypto.decrypt(changed, **PLACE)


def test_the_old_key_still_opens_after_a_new_one_was_put_in_front(settings: Any) -> None:
    value = crypto.encrypt(b"secret", **PLACE)
    crypto._cipher.cache_clear()
    settings.ENCRYPTION_KEYS = [(9, "A" * 43 + "="), *settings.ENCRYPTION_KEYS]

    assert crypto.decrypt(value, **PLACE) == b"secret"
    assert crypto.encrypt(b"new", **PLACE)[1] == 9
    crypto._cipher.cache_clear()
