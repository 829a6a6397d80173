"""Read requests about domains (wire contract 3: unknown fields are ignored) and sender identities
(ours: they are refused)."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from domains import dkim_keys
from domains.dkim_keys import KeyPair
from domains.errors import InvalidRegion
from domains.models import DEFAULT_RETURN_PATH, REGIONS, Domain
from domains.names import read_name
from queensmtp import addresses
from queensmtp.addresses import AddressRefused, Mailbox
from queensmtp.errors import FieldError, MalformedRequest, MissingField, refuse_field

LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
SELECTOR = re.compile(rf"{LABEL.pattern}(?:\.{LABEL.pattern})*")
SELECTOR_LIMIT = 63
TLS = {"opportunistic": False, "enforced": True}
ROTATION_FIELDS = ("selector", "private_key")
SENDER_FIELDS = ("name", "email", "reply_to")


def read_create(data: Any) -> tuple[str, dict[str, Any]]:
    """The name in its normal form, and the settings of a new domain."""
    body = object_of(data)
    if body.get("name") is None:
        missing = FieldError("name", "missing", "give the domain to send from.")
        raise MissingField("Missing `name` field.", errors=[missing])
    settings = read_changes(body)
    region = body.get("region")
    if region is not None:
        settings["region"] = _region(region)
    return_path = body.get("custom_return_path")
    if return_path is not None:
        settings["return_path"] = _label("custom_return_path", return_path)
    _refuse_same_label(
        settings.get("tracking_subdomain", ""), settings.get("return_path", DEFAULT_RETURN_PATH)
    )
    return name_of(body["name"]), settings


def read_changes(data: Any) -> dict[str, Any]:
    """What a request sets; what is left out or null stays as it is."""
    body = object_of(data)
    changes: dict[str, Any] = {}
    for field in ("open_tracking", "click_tracking"):
        if body.get(field) is not None:
            changes[field] = _flag(field, body[field])
    if body.get("tls") is not None:
        if body["tls"] not in TLS:
            raise refuse_field("tls", "unknown", "choose `opportunistic` or `enforced`.")
        changes["enforces_tls"] = TLS[body["tls"]]
    if body.get("tracking_subdomain") is not None:
        given = body["tracking_subdomain"]
        changes["tracking_subdomain"] = _label("tracking_subdomain", given) if given else ""
    _read_capabilities(body.get("capabilities"))
    return changes


def name_of(value: Any, *, field: str = "name") -> str:
    if not isinstance(value, str):
        raise refuse_field(field, "invalid_type", "give the domain as a string.")
    try:
        return read_name(value)
    except AddressRefused as problem:
        raise refuse_field(field, problem.code, f"{problem.message}.") from None


def read_sender(data: Any, *, is_new: bool) -> dict[str, Any]:
    """What a request sets of a sender identity; unknown fields are refused."""
    body = object_of(data)
    _refuse_unknown(body, SENDER_FIELDS)
    if is_new and body.get("email") is None:
        missing = FieldError("email", "missing", "give the address to send from.")
        raise MissingField("Missing `email` field.", errors=[missing])
    changes: dict[str, Any] = {}
    if body.get("email") is not None:
        changes["email"] = _address("email", body["email"])
    if "reply_to" in body:
        given = body["reply_to"]
        changes["reply_to"] = _address("reply_to", given).address if given else ""
    if "name" in body:
        changes["name"] = _text("name", body["name"] or "")
    return changes


def read_selector(value: Any) -> str:
    if value is None or value == "":
        return ""
    if (
        not isinstance(value, str)
        or len(value) > SELECTOR_LIMIT
        or not SELECTOR.fullmatch(value.lower())
    ):
        raise refuse_field(
            "selector", "invalid", "use letters, digits and hyphens, at most 63 in all."
        )
    return value.lower()


def read_rotation(data: Any) -> tuple[str, KeyPair | None]:
    """The selector and the private key of a customer's own, if any."""
    body = object_of(data)
    _refuse_unknown(body, ROTATION_FIELDS)
    pem = body.get("private_key")
    return read_selector(body.get("selector")), own_key(pem) if pem else None


def own_key(pem: Any) -> KeyPair:
    try:
        return dkim_keys.read_own(_text("private_key", pem))
    except ValueError as problem:
        raise refuse_field("private_key", "invalid", str(problem)) from None


def _refuse_unknown(body: Mapping[str, Any], fields: Sequence[str]) -> None:
    unknown = sorted(set(body) - set(fields))
    if unknown:
        known = ", ".join(fields)
        raise refuse_field(unknown[0][:64], "unknown_field", f"the fields here are {known}.")


def object_of(data: Any) -> Mapping[str, Any]:
    if not isinstance(data, dict):
        raise MalformedRequest("The request body must be a JSON object.")
    return data


def _region(value: Any) -> str:
    if value not in REGIONS:
        message = f"choose one of {', '.join(REGIONS)}."
        error = FieldError("region", "unknown", message)
        raise InvalidRegion(f"`region`: {message}", errors=[error])
    return str(value)


def _label(field: str, value: Any) -> str:
    if not isinstance(value, str) or not LABEL.fullmatch(value.lower()):
        message = "give one label of letters, digits and hyphens, without the domain."
        raise refuse_field(field, "invalid", message)
    return value.lower()


def _flag(field: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise refuse_field(field, "invalid_type", "give true or false.")
    return value


def _text(field: str, value: Any) -> str:
    if not isinstance(value, str):
        raise refuse_field(field, "invalid_type", "give a string.")
    return value


def _address(field: str, value: Any) -> Mailbox:
    try:
        return addresses.parse_address(_text(field, value).strip(" "))
    except AddressRefused as problem:
        raise refuse_field(field, problem.code, f"{problem.message}.") from None


def _read_capabilities(value: Any) -> None:
    """Every domain sends, and none receives: what asks for something else is told so."""
    if value is None:
        return
    if not isinstance(value, dict):
        raise refuse_field("capabilities", "invalid_type", "give an object.")
    if value.get("sending") not in (None, "enabled"):
        raise refuse_field("capabilities.sending", "not_offered", "a domain here is for sending.")
    if value.get("receiving") not in (None, "disabled"):
        message = "receiving is not offered; leave it disabled."
        raise refuse_field("capabilities.receiving", "not_offered", message)


def refuse_tracking_on_return_path(changes: Mapping[str, Any], domain: Domain) -> None:
    _refuse_same_label(changes.get("tracking_subdomain", ""), domain.return_path)


def _refuse_same_label(tracking: str, return_path: str) -> None:
    """A CNAME tolerates no other record at its name (RFC 1034 3.6.2)."""
    if tracking == return_path:
        message = "choose another label than the return path's: a CNAME stands alone."
        raise refuse_field("tracking_subdomain", "conflicting", message)
