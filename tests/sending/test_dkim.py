import re
from collections.abc import Callable

import dkim as dkimpy
import pytest
from cryptography.hazmat.primitives import serialization
from dkim.canonicalization import Relaxed
from hypothesis import given
from hypothesis import strategies as st

from domains import dkim_keys
from domains.dkim_keys import Algorithm, SigningKey
from sending import dkim

MESSAGE = (
    b"From: Alice <alice@hive.example>\r\n"
    b"To: bob@apiary.example\r\n"
    b"Subject: Hello \t there\r\n folded\r\n"
    b"Date: Sat, 21 Nov 2026 12:00:05 +0000\r\n"
    b"Message-ID: <0193@hive.example>\r\n"
    b"Content-Type: text/plain; charset=utf-8\r\n"
    b"\r\n"
    b"Hi  Bob,\t \r\n\r\nhow are you?  \r\n\r\n\r\n"
)
Verify = Callable[[bytes], bool]
PAIRS = {algorithm: dkim_keys.generate(algorithm) for algorithm in Algorithm}
KEYS = {
    algorithm: dkim_keys.load(
        pair.private_der, domain="hive.example", selector=algorithm.name.lower()
    )
    for algorithm, pair in PAIRS.items()
}


def verify(message: bytes, index: int = 0) -> bool:
    """What dkimpy says of the signature at this place, reading the keys that we publish."""

    def txt(name: bytes, timeout: int = 5) -> bytes:
        selector = name.partition(b"._domainkey.hive.example.")[0].decode().upper()
        return dkim_keys.dns_record(PAIRS[Algorithm[selector]].public_der).encode()

    try:
        return bool(dkimpy.DKIM(message).verify(idx=index, dnsfunc=txt))
    except dkimpy.ValidationError:
        return False


def signed(message: bytes, *keys: SigningKey) -> bytes:
    return dkim.sign(message, keys=keys, at=1_795_262_405) + message


@pytest.fixture(params=list(Algorithm))
def key(request: pytest.FixtureRequest) -> SigningKey:
    return KEYS[request.param]


def test_the_signature_verifies(key: SigningKey) -> None:
    assert verify(signed(MESSAGE, key))


def test_two_keys_give_two_signatures_that_verify() -> None:
    both = signed(MESSAGE, *KEYS.values())
    assert verify(both, 0)
    assert verify(both, 1)


def test_a_key_kept_as_pem_signs_too() -> None:
    pem = KEYS[Algorithm.RSA].private.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    assert verify(signed(MESSAGE, dkim_keys.load(pem, domain="hive.example", selector="rsa")))


def test_the_algorithm_selector_domain_and_time_are_named(key: SigningKey) -> None:
    field = dkim.sign(MESSAGE, keys=[key], at=1_795_262_405).decode()
    assert f"a={key.algorithm};" in field
    assert f"d=hive.example; s={key.selector};" in field
    assert "t=1795262405;" in field
    assert "c=relaxed/relaxed;" in field


def test_there_is_no_body_length(key: SigningKey) -> None:
    assert not re.search(rb"\bl=", dkim.sign(MESSAGE, keys=[key], at=0))


def test_no_line_of_the_field_is_long(key: SigningKey) -> None:
    everything = b"".join(
        name.title().encode() + b": x\r\n" for name in dkim.OVERSIGNED_HEADERS + dkim.SIGNED_HEADERS
    )
    field = dkim.sign(everything + b"\r\n", keys=[key], at=0)
    assert max(map(len, field.split(b"\r\n"))) <= 100
    assert not re.search(rb"\r\n(?![ \t]|$)", field)


@pytest.mark.parametrize("name", dkim.OVERSIGNED_HEADERS)
def test_a_header_added_on_top_breaks_the_signature(key: SigningKey, name: str) -> None:
    assert not verify(f"{name}: evil\r\n".encode() + signed(MESSAGE, key))


@pytest.mark.parametrize("name", dkim.OVERSIGNED_HEADERS)
def test_a_header_added_below_breaks_the_signature(key: SigningKey, name: str) -> None:
    head, body = signed(MESSAGE, key).split(b"\r\n\r\n", 1)
    assert not verify(head + f"\r\n{name}: evil\r\n\r\n".encode() + body)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"alice@", b"mallory@"),
        (b"Hello", b"Goodbye"),
        (b"Bob,", b"Eve,"),
        (b"0193@", b"0194@"),
        (b"text/plain", b"text/html"),
        (b"how are you?", b"how are you?\r\nPay here."),
    ],
)
def test_tampering_breaks_the_signature(key: SigningKey, old: bytes, new: bytes) -> None:
    assert not verify(signed(MESSAGE, key).replace(old, new))


def test_a_body_appended_breaks_the_signature(key: SigningKey) -> None:
    assert not verify(signed(MESSAGE, key) + b"more\r\n")


def test_a_header_that_stands_twice_is_signed_twice(key: SigningKey) -> None:
    message = signed(b"Cc: one@hive.example\r\nCc: two@hive.example\r\n" + MESSAGE, key)
    assert verify(message)
    assert not verify(message.replace(b"one@", b"eve@"))
    assert not verify(message.replace(b"two@", b"eve@"))


def test_relaxed_changes_on_the_way_do_not_break_it(key: SigningKey) -> None:
    message = signed(MESSAGE, key).replace(b"Hello \t there\r\n folded", b"Hello there folded")
    assert verify(message.replace(b"Hi  Bob,\t \r\n", b"Hi \tBob,\r\n"))


def test_a_record_for_rsa_and_for_ed25519_names_its_kind() -> None:
    rsa = dkim_keys.dns_record(PAIRS[Algorithm.RSA].public_der)
    assert rsa.startswith("v=DKIM1; k=rsa; p=MIIB")
    ed25519 = dkim_keys.dns_record(PAIRS[Algorithm.ED25519].public_der)
    assert re.fullmatch(r"v=DKIM1; k=ed25519; p=[0-9A-Za-z+/]{43}=", ed25519)


LINES = st.lists(
    st.lists(st.sampled_from([b"a", b" ", b"\t", b"  ", b".", b"=", b"\xc3\xa9"])).map(b"".join)
)
# Complete lines, as SMTP carries them, or a last one without its end.
COMPLETE = LINES.map(lambda lines: b"".join(line + b"\r\n" for line in lines))
BODIES = COMPLETE | COMPLETE.map(lambda body: body + b"the end")


@given(body=BODIES)
def test_the_body_is_made_canonical_as_dkimpy_makes_it(body: bytes) -> None:
    assert dkim.relaxed_body(body) == Relaxed.canonicalize_body(body)


@given(body=BODIES, value=st.lists(st.sampled_from([b"a", b" ", b"\t", b"\r\n "])).map(b"".join))
def test_any_body_and_any_folded_header_verify(body: bytes, value: bytes) -> None:
    message = MESSAGE.partition(b"\r\n\r\n")[0] + b"\r\nCc: x" + value + b"x\r\n\r\n" + body
    assert verify(signed(message, KEYS[Algorithm.ED25519]))
