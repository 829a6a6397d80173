"""A token that a caller puts where it does not belong reaches no log, nor does a made-up line."""

import io
import logging
import logging.config
from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import settings
from django.test import Client

from apikeys import tokens
from apikeys.tokens import Environment
from webhooks import signing

KEY = tokens.mint(Environment.PRODUCTION)


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """What our own configuration of logging writes."""
    ours: dict[str, Any] = settings.LOGGING
    configuration = logging.config.DictConfigurator(ours)
    handler = logging.StreamHandler(written := io.StringIO())
    handler.setFormatter(configuration.configure_formatter(dict(ours["formatters"]["plain"])))
    logging.getLogger("django.request").addHandler(handler)
    yield written
    logging.getLogger("django.request").removeHandler(handler)


@pytest.mark.parametrize("path", ["/v1/keys/{}", "/v1/{}", "/console/{}", "/{}"])
def test_a_key_in_a_path_is_not_logged(
    client: Client, log: io.StringIO, path: str, db: None
) -> None:
    client.get(path.format(KEY.text))

    assert KEY.public_id in log.getvalue()
    assert KEY.text not in log.getvalue()


def test_a_secret_in_a_traceback_is_not_logged(log: io.StringIO) -> None:
    secret = signing.new_secret()
    try:
        raise ValueError(f"cannot use {secret} with {KEY.text}")
    except ValueError:
        logging.getLogger("django.request").exception("failed")

    assert "cannot use whsec_… with qs_prod_" in log.getvalue()
    assert secret not in log.getvalue()
    assert KEY.text not in log.getvalue()


FORGED = "x\r\n2026-01-01 00:00:00,000 INFO forged\x1b[2J\u2028\u202e\x85\x00"


def test_what_a_stranger_wrote_is_no_line_of_its_own(log: io.StringIO) -> None:
    logging.getLogger("django.request").warning("came from %s", FORGED)
    try:
        raise ValueError(FORGED)
    except ValueError:
        logging.getLogger("django.request").exception("failed for %s", FORGED)

    written = log.getvalue()
    assert [one for one in written if not one.isprintable() and one != "\n"] == []
    first, second, *traceback = written.splitlines()
    assert first.endswith(r"x\r\n2026-01-01 00:00:00,000 INFO forged\x1b[2J\u2028\u202e\x85\x00")
    assert "failed for" in second
    assert [one for one in traceback if not one.startswith("  ")] == []
