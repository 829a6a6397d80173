import re
import time
from pathlib import Path
from typing import Any

from django.conf import settings

from webhooks import signing
from webhooks.payloads import EVENT_TYPES

TEXT = (Path(settings.BASE_DIR) / "docs" / "webhooks.md").read_text()


def example(language: str) -> str:
    match = re.search(rf"```{language}\n(.*?)```", TEXT, re.DOTALL)
    assert match is not None
    return match[1]


def test_the_catalogue_is_documented_as_it_is() -> None:
    table = TEXT.split("## Events")[1]
    documented = re.findall(r"`([a-z_]+\.[a-z_.]+)`", table.split("You may subscribe")[0])
    assert documented == list(EVENT_TYPES)


def test_the_python_example_verifies_what_we_send_and_nothing_else() -> None:
    names: dict[str, Any] = {}
    exec(example("python"), names)
    is_genuine = names["is_genuine"]
    old, new = signing.new_secret(), signing.new_secret()
    headers = signing.sign(secrets=[new, old], id="e1", timestamp=int(time.time()), body=b"{}")
    header = headers["X-QueenSMTP-Signature"]

    assert is_genuine(old, header, b"{}")
    assert is_genuine(new, header, b"{}")
    assert not is_genuine(old, header, b"{ }")
    assert not is_genuine(signing.new_secret(), header, b"{}")
    assert not is_genuine(old, "", b"{}")
    stale = signing.sign(secrets=[old], id="e1", timestamp=int(time.time()) - 301, body=b"{}")
    assert not is_genuine(old, stale["X-QueenSMTP-Signature"], b"{}")
