"""Keeps secrets out of what we log, store and answer, wherever a caller put them."""

import logging
import re
from collections.abc import Mapping
from typing import Any

# An API key up to its public id, which may be shown; a webhook's signing secret not at all.
_KEY = re.compile(r"(qs_(?:dev|stag|prod)_[0-9A-Za-z]{12})[0-9A-Za-z]{42}")
_WEBHOOK_SECRET = re.compile(r"whsec_[0-9A-Za-z+/]{32,}=*")


def without_secrets(text: str) -> str:
    # Most texts hold neither, and a search for a constant is all that they cost.
    if "qs_" not in text and "whsec_" not in text:
        return text
    return _WEBHOOK_SECRET.sub("whsec_…", _KEY.sub(r"\1…", text))


def holds_secret(value: Any) -> bool:
    """Whether a secret stands anywhere in a value as JSON has them, names included."""
    if isinstance(value, str):
        return without_secrets(value) != value
    if isinstance(value, Mapping):
        return any(holds_secret(name) or holds_secret(inner) for name, inner in value.items())
    return isinstance(value, list | tuple) and any(map(holds_secret, value))


def on_one_line(text: str) -> str:
    """Line ends, escape sequences and whatever else a terminal would obey, written out."""
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
    )


class SecretlessFormatter(logging.Formatter):
    """Formats a record, its traceback included, and leaves the secrets out.

    What a stranger wrote cannot pass for a record of its own: a message is one line, and the
    lines of a traceback are set in.
    """

    def format(self, record: logging.LogRecord) -> str:
        return without_secrets(super().format(record))

    def formatMessage(self, record: logging.LogRecord) -> str:
        return on_one_line(super().formatMessage(record))

    def formatException(self, ei: Any) -> str:
        lines = super().formatException(ei).split("\n")
        return "\n".join(f"  {on_one_line(line)}" for line in lines)
