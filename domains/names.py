"""Which names may be added as a sending domain, and which deserve a second look. Pure.

The normal form itself is `addresses.parse_domain`: lower case, A-labels, IDNA 2008 without any
mapping. Keys, API, SMTP and suppressions read every domain there.
"""

import unicodedata
from functools import cache

import idna
from publicsuffixlist import PublicSuffixList

from queensmtp.addresses import AddressRefused, parse_domain

# Room for the longest name that we ask DNS for below it.
NAME_LIMIT = 200
# Letters of other scripts that a reader takes for Latin ones (Unicode TR 39, the common ones).
_LIKE_LATIN = frozenset("асԁеһіјӏорԛѕԝхуүѵвкмнтгпʟοανκρτυχωιηςβγ")


@cache
def _suffixes() -> PublicSuffixList:
    """The list comes with the package; reading it takes a tenth of a second."""
    return PublicSuffixList()


def read_name(text: str) -> str:
    """The normal form of a name that may be added. Raises AddressRefused."""
    try:
        name = parse_domain(text.strip(" "))
    except AddressRefused as problem:
        # The reader of addresses tells of what stands after an @; here there is none.
        told = problem.message.replace("after the @", "such as example.com")
        raise AddressRefused(problem.code, told) from problem
    if len(name) > NAME_LIMIT:
        raise AddressRefused("invalid_domain", f"is longer than {NAME_LIMIT} characters")
    if _suffixes().publicsuffix(name) == name:
        raise AddressRefused(
            "public_suffix", f"is a public suffix: {name} belongs to everybody who has a name in it"
        )
    return name


def organisational_domain(name: str) -> str:
    """The name that its owner registered: where receivers look for a DMARC policy."""
    return _suffixes().privatesuffix(name) or name


def shown(name: str) -> str:
    """The name as a person reads it; its A-labels where they do not decode."""
    try:
        return idna.decode(name)
    except (idna.IDNAError, UnicodeError):
        return name


def is_lookalike(name: str) -> bool:
    """Whether the name could pass for another: scripts mixed in a label, or letters like Latin."""
    return any(
        _is_lookalike_label(label) for label in shown(name).split(".") if not label.isascii()
    )


def _is_lookalike_label(label: str) -> bool:
    letters = [char for char in label if char.isalpha()]
    scripts = {unicodedata.name(char, "").split(" ")[0] for char in letters}
    if scripts & {"CYRILLIC", "GREEK"} and len(scripts) > 1:
        return True
    return "LATIN" not in scripts and all(char in _LIKE_LATIN for char in letters)
