"""The words by which an entry is found: those of its target's name, and its labels.

Free text is equality on these words, since under row-level security only equality reaches an
index. A word begins with what it is: ``t`` of the target, ``l`` a label with its value.
"""

import re
import unicodedata
from collections.abc import Collection, Iterable, Mapping

LONGEST_WORD = 64
# A name of a thousand words must not cost a thousand rows.
MOST_WORDS = 32

_BETWEEN = re.compile(r"[^\w]+")


def of_entry(*, target_label: str, labels: Mapping[str, str]) -> list[str]:
    """Return every word that finds an entry, each once."""
    found = [of_label(name, value) for name, value in labels.items()]
    return [*found, *of_text(target_label)] if target_label else found


def of_text(text: str) -> list[str]:
    """Return what finds a text: each word, and each run without spaces, such as an address."""
    return _of_folded(_folded(text))


def wanted(text: str) -> list[str]:
    """Return the words that an entry must have to be found by a text: its runs without spaces."""
    return _marked(_folded(text).split())


def are_in(text: str, wanted: Collection[str]) -> bool:
    """Tell whether a text has every one of these words, as ``wanted`` marks them."""
    if not wanted:
        return True
    folded = _folded(text)
    # Few texts come so far that they are taken apart.
    may_be = all(word.removeprefix("t:") in folded for word in wanted)
    return may_be and set(wanted).issubset(_of_folded(folded))


def of_label(name: str, value: str) -> str:
    # Cut alike on both sides: a label longer than a word is still found.
    return f"l:{name}={value}"[: 4 * LONGEST_WORD]


def _of_folded(text: str) -> list[str]:
    runs = text.split()
    parts = [part for run in runs for part in _BETWEEN.split(run) if part]
    return _marked([*runs, *parts])[:MOST_WORDS]


def _folded(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold()


def _marked(words: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(f"t:{word[:LONGEST_WORD]}" for word in words))
