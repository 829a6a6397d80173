"""The witness answers exactly as C2SP `tlog-witness` lists, and never goes back (G3, G13)."""

import http.client
import json
import threading
from base64 import b64encode
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from queensmtp_verify import notes
from queensmtp_verify.findings import Malformed
from queensmtp_verify.notes import WITNESS, Key
from queensmtp_verify.witness import TREE_SIZE, Answer, Witness
from queensmtp_verify.witness_command import main, make_server

from auditlog import checkpoints, merkle
from auditlog.checkpoints import Checkpoint
from auditlog.witnessing import submission

ORIGIN = "mail.example/0199c0de-0000-7000-8000-000000000001"
LOG, STRANGER = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
LEAVES = [merkle.leaf_hash(bytes([number])) for number in range(64)]
OTHER_LEAVES = [*LEAVES[:4], *(merkle.leaf_hash(b"x" + leaf) for leaf in LEAVES[4:])]


@pytest.fixture
def witness(tmp_path: Path) -> Witness:
    return Witness(
        name="witness.example/w1",
        key=Ed25519PrivateKey.generate(),
        store=tmp_path / "witness.sqlite3",
        logs={"mail.example/": [Key(LOG.public_key().public_bytes_raw())]},
    )


def note_of(
    size: int,
    *,
    leaves: list[bytes] = LEAVES,
    origin: str = ORIGIN,
    key: Ed25519PrivateKey = LOG,
) -> str:
    root = merkle.Frontier().extended(leaves[:size]).root
    return checkpoints.sign(Checkpoint(origin, size, root), key)


def proof_of(old: int, size: int, leaves: list[bytes] = LEAVES) -> list[bytes]:
    return [
        merkle.Frontier().extended(leaves[each.start : each.end]).root
        for each in merkle.consistency_ranges(old, size)
    ]


def submit(witness: Witness, old: int, size: int, **options: Any) -> Answer:
    proof = proof_of(old, size, options.get("leaves", LEAVES))
    return witness.add_checkpoint(submission(old, proof, note_of(size, **options)))


def test_a_log_that_grows_is_cosigned_again_and_again(witness: Witness) -> None:
    old = 0
    for size in (1, 2, 5, 5, 64):
        answer = submit(witness, old, size)
        assert answer.status == 200
        cosigned = notes.read_checkpoint(note_of(size) + answer.body)
        assert notes.cosigned_at(cosigned, witness.public_key())
        assert notes.is_signed(cosigned, witness.logs["mail.example/"])
        old = size


def test_the_time_of_a_cosignature_is_signed(witness: Witness) -> None:
    line = submit(witness, 0, 3).body
    checkpoint = notes.read_checkpoint(note_of(3) + line)
    name, encoded = line.removeprefix("\u2014 ").strip().split(" ")
    blob = bytearray(checkpoint.signatures[1].key_id + checkpoint.signatures[1].value)
    blob[11] ^= 1
    changed = note_of(3) + f"\u2014 {name} {b64encode(blob).decode()}\n"
    with pytest.raises(Malformed, match="is wrong"):
        notes.cosigned_at(notes.read_checkpoint(changed), witness.public_key())


@pytest.fixture
def seen(witness: Witness) -> Witness:
    """A witness that has seen six leaves."""
    assert submit(witness, 0, 6).status == 200
    return witness


@pytest.mark.parametrize("old", [0, 3, 5, 7])
def test_a_wrong_old_size_is_409_with_the_size_that_was_seen(seen: Witness, old: int) -> None:
    assert submit(seen, old, 9) == Answer(409, "6\n", TREE_SIZE)


def test_an_empty_proof_is_422(seen: Witness) -> None:
    assert seen.add_checkpoint(submission(6, [], note_of(9))).status == 422


def test_a_proof_where_there_is_none_to_give_is_422(witness: Witness) -> None:
    assert witness.add_checkpoint(submission(0, [bytes(32)], note_of(9))).status == 422


def test_a_proof_of_64_lines_is_400_and_of_63_is_422(seen: Witness) -> None:
    assert seen.add_checkpoint(submission(6, [bytes(32)] * 64, note_of(9))).status == 400
    assert seen.add_checkpoint(submission(6, [bytes(32)] * 63, note_of(9))).status == 422


def test_an_unknown_origin_is_404(seen: Witness) -> None:
    for origin in ("other.example/0199", "mail.example", "mail.example/a/b"):
        assert submit(seen, 0, 3, origin=origin).status == 404


def test_a_strangers_signature_is_403(seen: Witness) -> None:
    assert submit(seen, 6, 9, key=STRANGER).status == 403


def test_a_spoilt_signature_is_403(seen: Witness) -> None:
    note = note_of(9).replace(note_of(9).split(" ")[-1][8:12], "AAAA")
    assert seen.add_checkpoint(submission(6, proof_of(6, 9), note)).status == 403


def test_the_same_size_with_another_root_is_422(seen: Witness) -> None:
    assert submit(seen, 6, 6, leaves=OTHER_LEAVES).status == 422


def test_an_empty_log_is_422(witness: Witness) -> None:
    assert submit(witness, 0, 0).status == 422


def test_an_old_size_above_the_checkpoints_is_400(seen: Witness) -> None:
    assert seen.add_checkpoint(submission(6, [], note_of(5))).status == 400


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"old 1",
        b"old 01\n\n" + note_of(3).encode(),
        b"old -1\n\n" + note_of(3).encode(),
        b"old 0\nx\n\n" + note_of(3).encode(),
        b"new 0\n\n" + note_of(3).encode(),
        b"old 0\n\n" + note_of(3).encode()[:-3],
        b"old 0\n\n\xff" + note_of(3).encode(),
        b"old 99999999999999999999\n\n" + note_of(3).encode(),
    ],
)
def test_what_is_not_of_the_form_is_400(witness: Witness, body: bytes) -> None:
    assert witness.add_checkpoint(body).status == 400


def test_a_history_that_was_rewritten_with_the_stolen_key_is_refused(seen: Witness) -> None:
    """The thief may claim any old size: none leads past what the witness has seen."""
    for old in range(10):
        for size in range(max(old, 1), 12):
            answer = submit(seen, old, size, leaves=OTHER_LEAVES)
            assert answer.status in (400, 409, 422), (old, size)
    assert submit(seen, 6, 7).status == 200


def test_a_log_that_was_rolled_back_is_refused(seen: Witness) -> None:
    for old in (0, 3, 5):
        assert submit(seen, old, 5) == Answer(409, "6\n", TREE_SIZE)


def test_it_remembers_after_a_restart(seen: Witness) -> None:
    again = Witness(seen.name, seen.key, seen.store, seen.logs)
    assert submit(again, 0, 3) == Answer(409, "6\n", TREE_SIZE)


def test_requests_at_once_never_roll_back(seen: Witness) -> None:
    """Each of many says that it continues the six leaves: one wins, and nothing goes back."""
    sizes = list(range(7, 23))
    start = threading.Barrier(len(sizes))

    def ask(size: int) -> Answer:
        start.wait()
        return submit(seen, 6, size)

    for _ in range(3):
        with ThreadPoolExecutor(len(sizes)) as pool:
            answers = list(pool.map(ask, sizes))
        cosigned = [
            size for size, answer in zip(sizes, answers, strict=True) if answer.status == 200
        ]
        assert len(cosigned) == 1
        refused = {answer for answer in answers if answer.status != 200}
        assert refused == {Answer(409, f"{cosigned[0]}\n", TREE_SIZE)}
        seen.store.unlink()
        assert submit(seen, 0, 6).status == 200


# --- The program ---------------------------------------------------------------------------------


@pytest.fixture
def port(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[int]:
    assert main(["make-key", str(tmp_path / "key"), "--name", "witness.example/w1"]) == 0
    public = capsys.readouterr().out.strip()
    assert notes.read_key(public).kind == WITNESS
    server = make_server(
        {
            "name": "witness.example/w1",
            "signing_key_file": "key",
            "store": "witness.sqlite3",
            "listen": "127.0.0.1:0",
            "logs": {"mail.example/": [b64encode(LOG.public_key().public_bytes_raw()).decode()]},
        },
        tmp_path,
    )
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield int(server.server_address[1])
    server.shutdown()
    thread.join()
    server.server_close()


def test_the_program_serves_add_checkpoint(port: int) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    for old, size, status in ((0, 3, 200), (3, 6, 200), (3, 7, 409), (6, 6, 200)):
        body = submission(old, proof_of(old, size), note_of(size))
        connection.request("POST", "/add-checkpoint", body)
        answer = connection.getresponse()
        text = answer.read().decode()
        assert answer.status == status, text
        if status == 409:
            assert (answer.headers["Content-Type"], text) == (TREE_SIZE, "6\n")
    connection.request("GET", "/")
    assert notes.read_key(connection.getresponse().read().decode()).name == "witness.example/w1"
    for path in ("/", "/elsewhere"):
        connection.request("POST", path, b"")
        answer = connection.getresponse()
        assert (answer.status, bool(answer.read())) == (404, True)
    connection.close()


def test_a_body_that_is_too_large_is_not_read(port: int) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.putrequest("POST", "/add-checkpoint")
    connection.putheader("Content-Length", "99999999")
    connection.endheaders()
    assert connection.getresponse().status == 413
    connection.close()


def test_the_private_key_is_its_owners_alone_and_never_written_over(tmp_path: Path) -> None:
    path = tmp_path / "key"
    assert main(["make-key", str(path), "--name", "w"]) == 0
    assert path.stat().st_mode & 0o777 == 0o600
    before = path.read_text()
    assert main(["make-key", str(path), "--name", "w"]) == 2
    assert path.read_text() == before


def test_a_configuration_without_a_key_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    configuration = tmp_path / "witness.json"
    configuration.write_text(json.dumps({"name": "w", "store": "s", "logs": {}}))
    assert main(["serve", str(configuration)]) == 2
    assert "signing_key_file" in capsys.readouterr().err
