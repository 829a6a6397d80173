"""Keeps secrets out of our logs, wherever a caller put them: a path, a header, a traceback."""

import logging
import re

# An API key up to its public id, which may be shown; a webhook's signing secret not at all.
_KEY = re.compile(r"(qs_(?:dev|stag|prod)_[0-9A-Za-z]{12})[0-9A-Za-z]{42}")
_WEBHOOK_SECRET = re.compile(r"whsec_[0-9A-Za-z+/]{32,}=*")


def without_secrets(text: str) -> str:
    return _WEBHOOK_SECRET.sub("whsec_…", _KEY.sub(r"\1…", text))


class SecretlessFormatter(logging.Formatter):
    """Formats a record, its traceback included, and leaves the secrets out."""

    def format(self, record: logging.LogRecord) -> str:
        return without_secrets(super().format(record))
