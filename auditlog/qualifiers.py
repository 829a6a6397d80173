"""The search box: filters typed as ``event:api_key.* ip:10.0.0.0/8 after:2026-11-01 shop``.

It says what the form's controls say, and reads into the same query. Words without a qualifier are
free text on the target. Pure.
"""

import re
import shlex
from collections.abc import Mapping, Sequence
from datetime import date

# Typed → in the query. The first of a name is the one that is written back.
NAMES = {
    "event": "event",
    "key": "key_id",
    "ip": "ip",
    "actor": "actor",
    "target": "target",
    "outcome": "outcome",
    "request": "request_id",
    "label": "label",
    "reads": "reads",
    "after": "from",
    "before": "to",
    "action": "event",
    "key_id": "key_id",
    "request_id": "request_id",
    "from": "from",
    "to": "to",
    "q": "q",
}
_QUALIFIED = re.compile(r"([a-z_]+):(.+)", re.DOTALL)
_DAY = re.compile(r"\d{4}-\d\d-\d\d")


def read(text: str) -> dict[str, list[str]]:
    """Return the query that the text stands for; the filters refuse by name what is wrong in it."""
    query: dict[str, list[str]] = {}
    words: list[str] = []
    for part in _parts(text):
        match = _QUALIFIED.fullmatch(part)
        if match is None:
            words.append(part)
            continue
        typed, value = match.groups()
        name = NAMES.get(typed, typed)
        query.setdefault(name, []).append(_day_begins(value) if typed == "before" else value)
    if words:
        query["q"] = [" ".join([*query.get("q", []), *words])]
    return query


def write(query: Mapping[str, Sequence[str]]) -> str:
    """Return the text that reads into this query."""
    typed = {name: qualifier for qualifier, name in reversed(NAMES.items())}
    parts = [
        _quoted(f"{_qualifier(typed, name, value)}:{value}")
        for name, values in query.items()
        if name != "q" and name in typed
        for value in values
    ]
    return " ".join([*parts, *(word for text in query.get("q", []) for word in text.split())])


def _parts(text: str) -> list[str]:
    lexer = shlex.shlex(text, posix=True, punctuation_chars=False)
    lexer.whitespace_split, lexer.commenters, lexer.quotes, lexer.escape = True, "", '"', ""
    try:
        return list(lexer)
    except ValueError:
        # A quotation that does not end: take it as it stands.
        return text.replace('"', " ").split()


def _qualifier(typed: Mapping[str, str], name: str, value: str) -> str:
    # A day in `to` means to its end; `before` that day would leave it out.
    return "to" if name == "to" and _DAY.fullmatch(value) else typed[name]


def _day_begins(value: str) -> str:
    return f"{value}T00:00Z" if _DAY.fullmatch(value) and _is_day(value) else value


def _is_day(value: str) -> bool:
    try:
        date.fromisoformat(value)
    except ValueError:
        return False
    return True


def _quoted(part: str) -> str:
    return f'"{part}"' if re.search(r"\s", part) else part
