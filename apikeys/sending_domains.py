"""From which domains a key may send: names, and `*.name` for what stands below a name. Pure.

A name matches exactly. Its subdomains are opted in one by one, by `*.name`, which does not stand
for the name itself.
"""

from collections.abc import Sequence

from queensmtp.addresses import parse_address, parse_domain

BELOW = "*."


def read(text: str) -> str:
    """The normal form of an entry. Raises AddressRefused."""
    if text.startswith(BELOW):
        return BELOW + parse_domain(text.removeprefix(BELOW))
    return parse_domain(text)


def read_recipient(text: str) -> str:
    """The normal form of `@domain` or of a whole address. Raises AddressRefused."""
    if text.startswith("@"):
        return f"@{parse_domain(text[1:])}"
    return parse_address(text).address


def allows(entries: Sequence[str], domain: str) -> bool:
    """Whether mail may come from a domain in normal form."""
    return any(_covers(entry, domain) for entry in entries)


def within(asked: Sequence[str] | None, own: Sequence[str] | None) -> bool:
    """Whether nothing is asked for that the owner of `own` could not send from."""
    if own is None:
        return True
    return asked is not None and all(_holds(own, entry) for entry in asked)


def _holds(own: Sequence[str], entry: str) -> bool:
    if not entry.startswith(BELOW):
        return allows(own, entry)
    # What stands below a.b.example stands below b.example too.
    return any(one.startswith(BELOW) and entry.endswith(one[1:]) for one in own)


def _covers(entry: str, domain: str) -> bool:
    return domain == entry or (entry.startswith(BELOW) and domain.endswith(entry[1:]))
