"""Mail addresses: one strict reader, one normal form. Pure.

Every path (API, batch, SMTP) reads addresses here, so that two readers can never disagree on
whose domain a message claims. `email.utils.parseaddr` is not used: on common interpreters it
answers with the good address of a hostile pair (CVE-2023-27043).
"""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

import email_validator
import idna

MAILBOX_LIMIT = 1_000
NAME_LIMIT = 256
ADDRESS_LIMIT = 254
LOCAL_LIMIT = 64
DOMAIN_LIMIT = 253

# RFC 5322 3.2.3 dot-atom. `%` and `!` would be routing to some next hops; `=?` begins an
# encoded word (RFC 2047), which some readers decode inside addresses.
_PLAIN_LOCAL = re.compile(r"[A-Za-z0-9#$&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9#$&'*+/=?^_`{|}~-]+)*")
_PLAIN_LABEL = r"(?!..--)[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_PLAIN_DOMAIN = re.compile(rf"(?:{_PLAIN_LABEL}\.)+(?=[a-z0-9-]*[a-z]){_PLAIN_LABEL}")
_ASCII_UPPER = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz")
_QUOTED_NAME = re.compile(r'"((?:[^"\\]|\\.)*)"')
_QUOTED_PAIR = re.compile(r"\\(.)")
_SPECIALS_IN_BARE_NAME = re.compile(r'[<>()\[\]:;@\\,"]')
_DOTS = re.compile("[.\u3002\uff0e\uff61]")
_ADDRESS_IN_NAME = re.compile(r"\S\s*@\s*\S+\.\s*\S")
_BIDI_CONTROLS = frozenset(
    "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
)
_JOINERS = frozenset("\u200c\u200d")
_SPECIAL_USE = tuple(f".{name}" for name in email_validator.SPECIAL_USE_DOMAIN_NAMES)


class AddressRefused(ValueError):
    """An address that is not taken, with the reason for a person and a stable code."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


@dataclass(frozen=True, slots=True)
class Mailbox:
    """A display name (may be empty) and an address in its one normal form."""

    name: str
    local: str
    domain: str

    @property
    def address(self) -> str:
        return f"{self.local}@{self.domain}"

    @property
    def key(self) -> str:
        """Two addresses with one key are one mailbox: no server tells them apart by case."""
        return key_of(self.address)

    def __str__(self) -> str:
        if not self.name:
            return self.address
        escaped = self.name.replace("\\", "\\\\").replace('"', '\\"')
        quoted = f'"{escaped}"' if _SPECIALS_IN_BARE_NAME.search(self.name) else self.name
        return f"{quoted} <{self.address}>"


def parse(text: str) -> Mailbox:
    """Read `a@b` or `Name <a@b>`. Raises AddressRefused for everything else."""
    if len(text) > MAILBOX_LIMIT:
        raise AddressRefused("too_long", f"is longer than {MAILBOX_LIMIT} characters")
    _refuse_control_characters(text)
    text = text.strip(" ")
    if not text:
        raise AddressRefused("empty", "is empty")
    if not text.endswith(">"):
        return parse_address(text)
    name, bracket, address = text[:-1].rpartition("<")
    if not bracket:
        raise AddressRefused("invalid_address", "has a > without its <")
    mailbox = parse_address(address)
    return named(_read_name(name.strip(" ")), mailbox)


def parse_address(address: str) -> Mailbox:
    """Read a bare `a@b` into its normal form: domain in lower-case A-labels, local part kept."""
    if len(address) > ADDRESS_LIMIT:
        raise AddressRefused("too_long", f"has an address of more than {ADDRESS_LIMIT} characters")
    _refuse_control_characters(address)
    local, at, domain = address.rpartition("@")
    if not at:
        raise AddressRefused("invalid_address", "has no @; write name@example.com")
    normal_domain = parse_domain(domain)
    mailbox = Mailbox("", _read_local(local, normal_domain), normal_domain)
    if len(mailbox.address.encode()) > ADDRESS_LIMIT:
        raise AddressRefused("too_long", f"has an address of more than {ADDRESS_LIMIT} octets")
    return mailbox


def parse_domain(domain: str) -> str:
    """The normal form of a mail domain: lower case, A-labels, at least two labels, no final dot."""
    lowered = domain.translate(_ASCII_UPPER)
    if len(lowered) > DOMAIN_LIMIT:
        raise AddressRefused("invalid_domain", f"has a domain of over {DOMAIN_LIMIT} characters")
    if not _PLAIN_DOMAIN.fullmatch(lowered):
        lowered = _international_domain(lowered)
    if f".{lowered}".endswith(_SPECIAL_USE):
        raise AddressRefused("invalid_domain", "has a domain that receives no mail")
    return lowered


def named(name: str, mailbox: Mailbox) -> Mailbox:
    """The mailbox with this display name, which must not pass itself off as another address."""
    if len(name) > NAME_LIMIT:
        raise AddressRefused("invalid_name", f"has a name of more than {NAME_LIMIT} characters")
    _refuse_control_characters(name)
    if "=?" in name:
        raise AddressRefused(
            "invalid_name", "has an encoded word in its name; write the name as plain text"
        )
    seen = _as_seen(name)
    # Outlook puts an address without a name into quotes as its name.
    if seen.strip(" '\"").lower() == mailbox.address.lower():
        name = ""
    elif _ADDRESS_IN_NAME.search(seen):
        raise AddressRefused("invalid_name", "has a name that looks like another address")
    return Mailbox(name, mailbox.local, mailbox.domain)


def key_of(address: str) -> str:
    """The key of the mailbox at an address that is in normal form."""
    return address.lower() if address.isascii() else unicodedata.normalize("NFC", address.lower())


def domain_of(address: str) -> str:
    """The normal form of the domain of a mailbox or address."""
    return parse(address).domain


def needs_smtputf8(mailboxes: Iterable[Mailbox]) -> bool:
    """Whether these addresses can only travel with SMTPUTF8 (RFC 6531)."""
    return not all(mailbox.local.isascii() for mailbox in mailboxes)


def _read_local(local: str, domain: str) -> str:
    if not local:
        raise AddressRefused("invalid_address", "has nothing before the @")
    if len(local.encode()) > LOCAL_LIMIT:
        raise AddressRefused("too_long", f"has more than {LOCAL_LIMIT} octets before the @")
    if "=?" in local or "?=" in local:
        raise AddressRefused("invalid_address", "has an encoded word before the @")
    if _PLAIN_LOCAL.fullmatch(local):
        return local
    if local.isascii():
        raise AddressRefused(
            "invalid_address", "has characters before the @ that are not taken in an address"
        )
    return _international_local(local, domain)


def _international_local(local: str, domain: str) -> str:
    if "%" in local or "!" in local:
        raise AddressRefused("invalid_address", "asks for routing before the @")
    try:
        checked = email_validator.validate_email(
            f"{local}@{domain}", check_deliverability=False, strict=True, allow_smtputf8=True
        )
    except email_validator.EmailNotValidError as problem:
        raise AddressRefused("invalid_address", "has a part before the @ that is no name") from (
            problem
        )
    if checked.local_part != local:
        raise AddressRefused("invalid_address", "is not in Unicode normal form C")
    return local


def _international_domain(domain: str) -> str:
    """IDNA 2008 without any mapping: what would be mapped to another domain is refused."""
    if not domain or domain.startswith("["):
        raise AddressRefused("invalid_domain", "needs a domain name after the @")
    if domain.endswith("."):
        raise AddressRefused("invalid_domain", "has a dot at the end of its domain")
    try:
        encoded = idna.encode(domain, strict=True, std3_rules=True).decode()
    except (idna.IDNAError, UnicodeError) as problem:
        raise AddressRefused("invalid_domain", "has no valid domain name after the @") from problem
    labels = encoded.split(".")
    if len(labels) < 2 or not any(char.isalpha() for char in labels[-1]):
        raise AddressRefused("invalid_domain", "needs a full domain name after the @")
    return encoded


def _read_name(name: str) -> str:
    if not name:
        return ""
    quoted = _QUOTED_NAME.fullmatch(name)
    if quoted:
        return _QUOTED_PAIR.sub(r"\1", quoted[1]).strip()
    special = _SPECIALS_IN_BARE_NAME.search(name)
    if special:
        raise AddressRefused(
            "invalid_name", f"has {special[0]} in its name; put the name in double quotes"
        )
    return name


def _refuse_control_characters(text: str) -> None:
    if text.isascii() and text.isprintable():
        return
    for char in text:
        if unicodedata.category(char) in {"Cc", "Cs", "Zl", "Zp"} or char in _BIDI_CONTROLS:
            raise AddressRefused(
                "control_character", f"has the control character U+{ord(char):04X}"
            )


def _as_seen(name: str) -> str:
    """What a reader sees: compatibility forms folded, invisible characters gone."""
    if name.isascii():
        return name
    folded = unicodedata.normalize("NFKC", name)
    visible = "".join(
        char for char in folded if char in _JOINERS or unicodedata.category(char) != "Cf"
    )
    return _DOTS.sub(".", visible)
