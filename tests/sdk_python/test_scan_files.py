"""queensmtp scan: files and folders."""

import json
import os
from pathlib import Path

import pytest

from apikeys import tokens
from apikeys.tokens import Environment
from tests.sdk_python.command import python, scan

KEY = tokens.mint(Environment.PRODUCTION)
SHOWN = f"{KEY.prefix}…{KEY.last4}"


def test_says_where_a_key_stands_and_shows_only_what_may_be_shown(tmp_path: Path) -> None:
    folder = tmp_path / "a folder"
    folder.mkdir()
    (folder / "config.py").write_text(f"import os\n\nKEY = '{KEY.text}'\n")

    ran = scan("a folder", folder=tmp_path)

    assert ran.returncode == 1
    assert ran.stdout == f"a folder/config.py:3: {SHOWN}\n"
    assert ran.stderr == ""


def test_is_silent_where_there_is_none(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("qs_prod_ is how a key begins\n")

    ran = scan(".", folder=tmp_path)

    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")


@pytest.mark.parametrize("environment", Environment)
def test_finds_keys_of_every_environment_wherever_they_stand(
    tmp_path: Path, environment: Environment
) -> None:
    key = tokens.mint(environment)
    (tmp_path / "a.txt").write_text(f"x{key.text}x{key.text}\r\n{key.text}")

    found = json.loads(scan("--json", "a.txt", folder=tmp_path).stdout)["findings"]

    assert [(one["line"], one["prefix"], one["last4"]) for one in found] == [
        (line, key.prefix, key.last4) for line in (1, 1, 2)
    ]


def test_knows_a_look_alike_by_its_checksum(tmp_path: Path) -> None:
    last = "A" if KEY.text[-1] != "A" else "B"
    (tmp_path / "a.txt").write_text(f"{KEY.text[:-1]}{last}\n{KEY.text.upper()}\n{KEY.text[:-1]}\n")

    assert scan(".", folder=tmp_path).returncode == 0


def test_never_prints_the_secret(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(KEY.text)

    for options in ([], ["--json"], ["--max-bytes", "70"]):
        ran = scan(*options, "a.txt", folder=tmp_path)
        assert ran.returncode == 1
        assert KEY.text[len(KEY.prefix) : -4] not in ran.stdout + ran.stderr


def test_finds_keys_in_binary_files_and_in_utf_16(tmp_path: Path) -> None:
    (tmp_path / "core").write_bytes(bytes(range(256)) * 9 + KEY.text.encode() + b"\xff\0\xfe")
    (tmp_path / "windows.env").write_text(f"A=1\r\nKEY={KEY.text}\r\n", encoding="utf-16")

    ran = scan(".", folder=tmp_path)

    assert [line.partition(":")[0] for line in ran.stdout.splitlines()] == ["core", "windows.env"]
    assert "windows.env:2:" in ran.stdout


def test_finds_a_key_across_the_border_of_two_reads(tmp_path: Path) -> None:
    border = 1024 * 1024
    (tmp_path / "large").write_bytes(b"\n" * (border - 30) + KEY.text.encode() + b"\n" * 30)

    assert scan("large", folder=tmp_path).stdout == f"large:{border - 29}: {SHOWN}\n"


def test_a_stream_may_be_cut_anywhere(tmp_path: Path) -> None:
    other = tokens.mint(Environment.DEVELOPMENT)
    text = f"a\n{KEY.text}\n\n{other.text}{KEY.text}\nb"
    script = f"""
from queensmtp import streams
text = {text.encode()!r}
whole = list(streams.find([text]))
for size in range(1, len(text)):
    cut = [text[at : at + size] for at in range(0, len(text), size)]
    assert list(streams.find(cut)) == whole, size
print([line for line, _ in whole])
"""
    ran = python("-c", script, folder=tmp_path)

    assert ran.stdout == "[2, 4, 4]\n", ran.stderr


def test_says_what_it_did_not_look_at(tmp_path: Path) -> None:
    (tmp_path / "large").write_text("x" * 200 + KEY.text)
    (tmp_path / "link").symlink_to("large")
    os.mkfifo(tmp_path / "pipe")

    ran = scan(".", "--max-bytes", "100", folder=tmp_path)

    assert (ran.returncode, ran.stdout) == (0, "")
    assert ran.stderr == (
        "note: large: only the first 100 bytes were looked at\n"
        "note: link: not a regular file, left out\n"
        "note: pipe: not a regular file, left out\n"
    )


def test_a_hidden_folder_is_no_hiding_place(tmp_path: Path) -> None:
    (tmp_path / ".config").mkdir()
    (tmp_path / ".config" / ".env").write_text(KEY.text)
    (tmp_path / ".gitignore").write_text(".env")

    assert scan(".", folder=tmp_path).stdout == f".config/.env:1: {SHOWN}\n"


def test_the_name_of_a_file_cannot_move_the_cursor(tmp_path: Path) -> None:
    (tmp_path / "a\x1b[2Jb\nc[red]").write_text(KEY.text)

    assert scan(".", folder=tmp_path).stdout == f"a\\x1b[2Jb\\nc[red]:1: {SHOWN}\n"


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["no such file"],
        ["--no-such-option", "."],
        ["--max-bytes", "0", "."],
        ["--revoke", "."],
        ["--revoke", "--url", "http://mail.example/v1", "."],
        ["--staged"],
    ],
)
def test_what_cannot_be_done_is_2(tmp_path: Path, arguments: list[str]) -> None:
    ran = scan(*arguments, folder=tmp_path)

    assert ran.returncode == 2, ran.stderr
    assert ran.stderr
    assert "Traceback" not in ran.stderr


def test_a_file_that_cannot_be_read_is_2(tmp_path: Path) -> None:
    """A folder that vanishes, since root may read everything."""
    script = """
import sys, pathlib
from queensmtp import folders
from queensmtp.findings import Scan
found = Scan()
folders.scan(pathlib.Path("gone"), found, bytes_maximum=9)
print(found.errors)
"""
    assert python("-c", script, folder=tmp_path).stdout == "['gone: No such file or directory']\n"


def test_importing_it_asks_no_network(tmp_path: Path) -> None:
    script = """
import sys
def refuse(event, _):
    assert not event.startswith(("socket.", "urllib.")), event
sys.addaudithook(refuse)
import queensmtp.command_line
print(queensmtp.__file__)
"""
    ran = python("-c", script, folder=tmp_path)

    assert "sdks/python/src/queensmtp" in ran.stdout, ran.stderr
