"""The links that we put into mails: pixel, click, unsubscribe. Pure.

Each carries a token with the account and the recipient under a MAC, so that it is found without
a look-up across tenants. A click's MAC covers the address that it leads to as well: we redirect
to what a message of ours held, and to nothing else. At the tracking host of a sending domain the
MAC covers that host, too: a link is good at the host that it was made for, and at no other.
"""

from dataclasses import dataclass
from urllib.parse import urlsplit
from uuid import UUID

from sending import signed_tokens
from sending.signed_tokens import Keys

OPEN, CLICK, UNSUBSCRIBE = "open", "click", "unsubscribe"
MAC_SIZE = 16
# What browsers and mail programs carry; a longer link is left as it is.
TARGET_AT_MOST = 1_500


@dataclass(frozen=True, slots=True)
class Place:
    """Whose mail a link stands in."""

    account_id: UUID
    recipient_id: UUID


@dataclass(frozen=True, slots=True)
class Linker:
    """Makes the links of one recipient's mail."""

    base_url: str
    keys: Keys
    place: Place
    # The tracking host of the sending domain; empty where links lead to `base_url` itself.
    host: str = ""

    def pixel(self) -> str:
        return f"{self._base()}/t/o/{self._token(OPEN)}.gif"

    def click(self, target: str) -> str:
        encoded = signed_tokens.as_base64(target.encode())
        return f"{self._base()}/t/c/{self._token(_purpose_of_click(target))}/{encoded}"

    def unsubscribe(self) -> str:
        return f"{self._base()}/u/{self._token(UNSUBSCRIBE)}"

    def _base(self) -> str:
        """A tracking host leads to the same server, so to the same port."""
        if not self.host:
            return self.base_url
        port = urlsplit(self.base_url).port
        return f"https://{self.host}:{port}" if port else f"https://{self.host}"

    def _token(self, purpose: str) -> str:
        purpose = _at(self.host, purpose)
        payload = self.place.account_id.bytes + self.place.recipient_id.bytes
        token = signed_tokens.seal(purpose, payload, keys=self.keys, mac_size=MAC_SIZE)
        return signed_tokens.as_base64(token)


def find_place(text: str, purpose: str, *, keys: Keys, host: str = "") -> Place | None:
    """Whose link this is; None for one that we did not make for this purpose and host."""
    token = signed_tokens.from_base64(text)
    if token is None:
        return None
    payload = signed_tokens.find_payload(_at(host, purpose), token, keys=keys, mac_size=MAC_SIZE)
    if payload is None or len(payload) != 32:
        return None
    return Place(UUID(bytes=payload[:16]), UUID(bytes=payload[16:]))


def find_click(text: str, encoded: str, *, keys: Keys, host: str = "") -> tuple[Place, str] | None:
    """Whose click, and where it leads; None for what we did not sign for this host."""
    data = signed_tokens.from_base64(encoded)
    try:
        target = data.decode() if data is not None else ""
    except UnicodeDecodeError:
        return None
    place = find_place(text, _purpose_of_click(target), keys=keys, host=host)
    return (place, target) if place and target else None


def _purpose_of_click(target: str) -> str:
    return f"{CLICK} {target}"


def _at(host: str, purpose: str) -> str:
    """No host and no purpose holds a line end, so no two pairs are written alike."""
    return f"{host}\n{purpose}" if host else purpose
