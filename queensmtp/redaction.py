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


class SecretlessFormatter(logging.Formatter):
    """Formats a record, its traceback included, and leaves the secrets out."""

    def format(self, record: logging.LogRecord) -> str:
        return without_secrets(super().format(record))
