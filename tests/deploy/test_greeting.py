"""What the screen shows at the end of `make up` must work when it is pasted."""

import json
import os
import subprocess
from pathlib import Path

from deploy.local.up import LAST_LINE, curl_line, greeting, read_exports

DEMO = """\
# Written by make up.
export QUEENSMTP_URL='https://localhost:8443/v1'
export QUEENSMTP_FROM='hello@demo.example'
QUEENSMTP_CA='/a path/ca.pem'
QUEENSMTP_API_KEY="qs_prod_x"
"""


def test_the_curl_line_is_one_line_that_a_shell_can_take(tmp_path: Path) -> None:
    folder = tmp_path / "a folder's name"
    folder.mkdir()
    (folder / "demo.env").write_text(DEMO)
    line = curl_line(folder / "demo.env").replace("curl ", "printf '%s\\n' ")
    assert "\n" not in line
    shown = subprocess.run(["sh", "-c", line], capture_output=True, text=True, check=True).stdout
    arguments = shown.splitlines()
    assert arguments[:2] == ["--cacert", "/a path/ca.pem"]
    assert "Authorization: Bearer qs_prod_x" in arguments
    assert arguments[-1] == "https://localhost:8443/v1/emails"
    assert json.loads(arguments[-2])["from"] == "hello@demo.example"


def test_the_variables_of_the_demo_file_are_read_as_a_shell_reads_them(tmp_path: Path) -> None:
    (tmp_path / "demo.env").write_text(DEMO)
    assert read_exports(tmp_path / "demo.env")["QUEENSMTP_CA"] == "/a path/ca.pem"
    assert read_exports(tmp_path / "demo.env")["QUEENSMTP_FROM"] == "hello@demo.example"
    assert read_exports(tmp_path / "missing.env") == {}


def test_the_greeting_ends_with_how_to_stop() -> None:
    lines = greeting("https://localhost:8443", Path(os.sep, "demo.env"), {})
    assert lines[-1].startswith(LAST_LINE)
    assert "make down" in lines[-1]
