"""`queensmtp-verify` as it is typed."""

import hashlib
import json
from base64 import b64encode
from pathlib import Path

import pytest
from django.test import Client
from queensmtp_verify.command_line import BAD, GOOD, UNREAD, main

from auditlog import log_keys
from auditlog.checkpoints import verifier_key
from tests.auditlog.test_exports import exported
from tests.factories.auditlog import record_many
from tests.sdk_verify.conftest import Files, changed

pytestmark = pytest.mark.django_db

Output = pytest.CaptureFixture[str]


@pytest.fixture
def keys(tmp_path: Path, client: Client) -> str:
    """The saved answer of the well-known address."""
    path = tmp_path / "audit-log-keys.json"
    path.write_bytes(client.get("/.well-known/audit-log-keys", secure=True).content)
    return str(path)


def test_a_good_export_is_called_good(files: Files, keys: str, capsys: Output) -> None:
    path = files.export(event="domain.created")
    assert main([str(path), "--key", keys]) == GOOD
    out = capsys.readouterr().out
    assert "export, 6 entries, log localhost/" in out
    assert "good   everything is as it was signed" in out


def test_it_says_which_entry_fails_and_why(files: Files, keys: str, capsys: Output) -> None:
    path = files.export(event="domain.created")
    entry_id = json.loads(path.read_bytes().splitlines()[3])["id"]
    tampered = changed(files, path, lambda lines: lines[3].__setitem__("outcome", "refused"))
    assert main([str(tampered), "--key", keys]) == BAD
    out = capsys.readouterr().out
    assert f"WRONG  entry {entry_id} (leaf" in out
    assert "`outcome` is not what the leaf says" in out


def test_the_hash_of_the_manifest_covers_every_byte(
    files: Files, keys: str, capsys: Output
) -> None:
    path = files.export(event="domain.created")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert main([str(path), "--key", keys, "--sha256", digest]) == GOOD
    renamed = changed(files, path, lambda lines: lines[0].__setitem__("export_id", "other"))
    assert main([str(renamed), "--key", keys]) == GOOD
    assert main([str(renamed), "--key", keys, "--sha256", digest]) == BAD
    assert "its bytes are not those" in capsys.readouterr().out


def test_a_csv_is_checked_with_its_manifest(files: Files, keys: str, capsys: Output) -> None:
    body, data = exported(files.api, format="csv", proofs=True, event="domain.created")
    path, manifest = files.write(data), files.write(json.dumps(body).encode())
    assert main([str(path), "--key", keys, "--manifest", str(manifest)]) == GOOD
    path.write_bytes(data.replace(b"\r\n", b"\n", 1))
    assert main([str(path), "--key", keys, "--manifest", str(manifest)]) == BAD
    assert "its bytes are not those" in capsys.readouterr().out


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"checkpoint": null, "sha256": null}'])
def test_what_is_no_manifest_is_not_read(
    files: Files, keys: str, text: str, capsys: Output
) -> None:
    path = files.write(text.encode())
    assert main([str(path), "--key", keys, "--manifest", str(path)]) == UNREAD
    assert "no manifest of a finished export" in capsys.readouterr().err


def test_two_files_are_held_against_each_other(files: Files, keys: str, capsys: Output) -> None:
    older = files.export(event="domain.created")
    record_many(1, files.cast.hive.pk, event="domain.created")
    newer = files.export(event="domain.created")
    sizes = [
        json.loads(path.read_bytes().splitlines()[0])["checkpoint"]["size"]
        for path in (older, newer)
    ]
    proof = str(files.consistency(*sizes))
    both = [str(newer), "--with", str(older), "--key", keys]
    assert main([*both, "--consistency", proof]) == GOOD
    assert "the two files tell one history" in capsys.readouterr().out
    assert main(both) == BAD
    assert f"from={sizes[0]}&to={sizes[1]}" in capsys.readouterr().out


def test_a_bare_key_and_a_verifier_key_both_do(files: Files) -> None:
    path = files.export(event="domain.created")
    (key,) = log_keys.public_keys()
    origin = f"localhost/{files.cast.hive.pk}"
    for given in (b64encode(key).decode(), verifier_key(origin, key)):
        assert main([str(path), "--key", given]) == GOOD
    assert main([str(path), "--key", verifier_key("localhost/another", key)]) == BAD


@pytest.mark.parametrize("key", ["nonsense", "/nowhere/key.json", "a+b+c"])
def test_a_key_that_cannot_be_read_is_told(key: str, files: Files, capsys: Output) -> None:
    path = files.export(event="domain.created")
    assert main([str(path), "--key", key]) == UNREAD
    assert "queensmtp-verify: " in capsys.readouterr().err


def test_a_file_that_is_not_there_is_told(keys: str) -> None:
    assert main(["/nowhere/export.jsonl", "--key", keys]) == UNREAD


def test_a_log_s_key_is_no_witness(files: Files, keys: str, capsys: Output) -> None:
    path = files.export(event="domain.created")
    key = verifier_key("w", log_keys.public_keys()[0])
    assert main([str(path), "--key", keys, "--witness", key]) == UNREAD
    assert "of type 4" in capsys.readouterr().err


@pytest.mark.parametrize("content", [b"", b"\n", b"{}\n", b"\xff\xfe", b"leaf_index,id\n1,2\n"])
def test_a_file_of_another_kind_is_not_called_good(content: bytes, files: Files, keys: str) -> None:
    assert main([str(files.write(content)), "--key", keys]) == BAD
