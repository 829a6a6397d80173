import base64
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from queensmtp.ids import new_id
from sending import return_paths, signed_tokens

OLD = (1, base64.b64encode(bytes(32)).decode())
NEW = (2, base64.b64encode(bytes(range(32))).decode())
HOST = "bounces.hive.example"


def made(recipient_id: UUID) -> str:
    return return_paths.address_for(recipient_id, keys=[NEW, OLD], host=HOST)


def found(address: str) -> UUID | None:
    return return_paths.find_recipient(address, keys=[NEW, OLD])


@given(st.uuids())
def test_it_leads_back_to_its_recipient_in_either_case(recipient_id: UUID) -> None:
    address = made(recipient_id)
    assert len(address.partition("@")[0]) <= 64
    assert found(address) == found(address.upper()) == recipient_id


def test_an_older_key_still_opens_what_it_made() -> None:
    id = new_id()
    address = return_paths.address_for(id, keys=[OLD], host=HOST)
    assert found(address) == id
    assert return_paths.find_recipient(address, keys=[NEW]) is None


def test_no_single_changed_letter_passes() -> None:
    local, _, host = made(new_id()).partition("@")
    for at in range(len(return_paths.PREFIX), len(local) - 1):
        for other in "a7":
            if local[at] != other:
                assert found(f"{local[:at]}{other}{local[at + 1 :]}@{host}") is None


@pytest.mark.parametrize(
    "address",
    ["", "@", "b-", f"b-@{HOST}", f"postmaster@{HOST}", f"b-{'a' * 44}@{HOST}", f"b-ä@{HOST}"],
)
def test_other_addresses_name_nobody(address: str) -> None:
    assert found(address) is None


def test_it_leads_back_through_the_host_of_a_customer() -> None:
    id = new_id()
    assert found(made(id).replace(HOST, "send.hive.example")) == id


def test_a_token_for_another_purpose_is_worth_nothing_here() -> None:
    token = signed_tokens.seal("link", new_id().bytes, keys=[NEW], mac_size=return_paths.MAC_SIZE)
    assert found(f"b-{signed_tokens.as_base32(token)}@{HOST}") is None


@given(st.binary(max_size=60))
def test_base64_has_one_spelling(token: bytes) -> None:
    text = signed_tokens.as_base64(token)
    assert signed_tokens.from_base64(text) == token
    assert signed_tokens.from_base64(f"{text}=") is None
    assert signed_tokens.from_base64(f"{text}!") is None
