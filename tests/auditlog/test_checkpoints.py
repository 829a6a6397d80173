import base64

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from auditlog import checkpoints
from auditlog.checkpoints import BadCheckpoint, Checkpoint

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = KEY.public_key().public_bytes_raw()
STRANGER = Ed25519PrivateKey.from_private_bytes(bytes(32))
ORIGIN = "mail.example/0199"
CHECKPOINT = Checkpoint(origin=ORIGIN, size=20852163, root=bytes(range(32)))
NOTE = checkpoints.sign(CHECKPOINT, KEY)

# The example that golang.org/x/mod/sumdb/note documents: a key and its note, made by others.
GO_KEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"


def test_the_note_has_the_form_of_the_specification() -> None:
    text, signature = NOTE.split("\n\n")
    assert text == f"{ORIGIN}\n20852163\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
    dash, name, encoded = signature.removesuffix("\n").split(" ")
    blob = base64.b64decode(encoded)
    assert (dash, name, len(blob)) == ("\u2014", ORIGIN, 4 + 64)
    KEY.public_key().verify(blob[4:], f"{text}\n".encode())


def test_the_key_id_is_the_one_that_go_computes() -> None:
    name, key_id, encoded = GO_KEY.split("+", 2)
    public_key = base64.b64decode(encoded)[1:]
    assert checkpoints.key_id(name, public_key).hex() == key_id
    assert checkpoints.verifier_key(name, public_key) == GO_KEY


def test_it_verifies_what_it_signed() -> None:
    assert checkpoints.verify(NOTE, origin=ORIGIN, public_keys=[PUBLIC]) == CHECKPOINT


def test_it_verifies_under_any_of_the_published_keys() -> None:
    other = STRANGER.public_key().public_bytes_raw()
    assert checkpoints.verify(NOTE, origin=ORIGIN, public_keys=[other, PUBLIC]) == CHECKPOINT


def test_a_cosigned_note_still_verifies() -> None:
    cosignature = checkpoints.sign_note(CHECKPOINT.text(), name="witness", private_key=STRANGER)
    both = NOTE + cosignature.rpartition("\n\n")[2]
    assert checkpoints.verify(both, origin=ORIGIN, public_keys=[PUBLIC]) == CHECKPOINT


def test_a_stranger_cannot_sign_for_us() -> None:
    forged = checkpoints.sign(CHECKPOINT, STRANGER)
    with pytest.raises(BadCheckpoint, match="no known key"):
        checkpoints.verify(forged, origin=ORIGIN, public_keys=[PUBLIC])


def test_a_note_of_one_account_does_not_pass_for_another() -> None:
    with pytest.raises(BadCheckpoint, match="no known key"):
        checkpoints.verify(NOTE, origin="mail.example/other", public_keys=[PUBLIC])
    lent = checkpoints.sign_note(CHECKPOINT.text(), name="mail.example/b", private_key=KEY)
    with pytest.raises(BadCheckpoint, match="speaks for"):
        checkpoints.verify(lent, origin="mail.example/b", public_keys=[PUBLIC])


def test_a_bad_signature_by_a_known_key_spoils_the_note() -> None:
    other = Checkpoint(origin=ORIGIN, size=1, root=bytes(32))
    wrong = checkpoints.sign(other, KEY).rpartition("\n\n")[2]
    with pytest.raises(BadCheckpoint, match="is wrong"):
        checkpoints.verify(NOTE + wrong, origin=ORIGIN, public_keys=[PUBLIC])


def test_every_single_flipped_bit_is_found() -> None:
    note = NOTE.encode()
    for bit in range(len(note) * 8):
        changed = bytearray(note)
        changed[bit // 8] ^= 1 << bit % 8
        with pytest.raises((BadCheckpoint, UnicodeDecodeError)):
            checkpoints.verify(changed.decode(), origin=ORIGIN, public_keys=[PUBLIC])


@given(st.integers(0, len(NOTE)))
def test_a_torn_note_is_refused(length: int) -> None:
    if length < len(NOTE):
        with pytest.raises(BadCheckpoint):
            checkpoints.verify(NOTE[:length], origin=ORIGIN, public_keys=[PUBLIC])


@pytest.mark.parametrize(
    "text",
    [
        "a\n1\n", "a\n01\nAA==\n", "a\n-1\nAA==\n", "a\n١\nAA==\n", "a\n1\nAA==\n", "a\n1\n\n",
        "a\n1\n!\n", "\n1\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n",
        "a\n1\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
        "a\n1\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\nmore\n",
        "a\t\n1\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n",
    ],
)  # fmt: skip
def test_a_malformed_text_is_refused(text: str) -> None:
    with pytest.raises(BadCheckpoint):
        Checkpoint.parsed(text)


@pytest.mark.parametrize("name", ["", "a b", "a+b", "a\u2003b", "a\n"])
def test_a_key_name_holds_no_space_and_no_plus(name: str) -> None:
    with pytest.raises(BadCheckpoint):
        checkpoints.sign_note(CHECKPOINT.text(), name=name, private_key=KEY)


@given(st.integers(0, 2**63), st.binary(min_size=32, max_size=32))
def test_any_checkpoint_reads_back(size: int, root: bytes) -> None:
    checkpoint = Checkpoint(origin=ORIGIN, size=size, root=root)
    assert Checkpoint.parsed(checkpoint.text()) == checkpoint
