"""Every error that a caller can see is documented, under a name that clients know."""

import re
from importlib import import_module

from deploy.local.checkout import ROOT
from queensmtp.errors import ApiError, IpNotAllowed, body_of

DOCUMENT = ROOT / "docs" / "errors.md"
SECTION = re.compile(r"^## (\w+)\n\nStatus: ([\d, ]+)$", re.MULTILINE)

# The 21 names of the wire contract: Node's client types `name` as exactly these.
WIRE_CONTRACT = {
    "validation_error",
    "invalid_idempotency_key",
    "missing_api_key",
    "restricted_api_key",
    "invalid_api_key",
    "not_found",
    "method_not_allowed",
    "invalid_idempotent_request",
    "concurrent_idempotent_requests",
    "missing_required_field",
    "invalid_parameter",
    "invalid_from_address",
    "invalid_attachment",
    "invalid_access",
    "invalid_region",
    "rate_limit_exceeded",
    "daily_quota_exceeded",
    "monthly_quota_exceeded",
    "security_error",
    "application_error",
    "internal_server_error",
}
OURS = {
    "ip_not_allowed",
    "insufficient_scope",
    "domain_not_allowed",
    "recipient_not_allowed",
    "invalid_signature",
}


def test_every_name_is_one_that_clients_know() -> None:
    assert len(WIRE_CONTRACT) == 21
    assert set(errors_in_code()) - WIRE_CONTRACT - OURS == set()


def test_every_error_is_documented_with_its_statuses() -> None:
    assert documented() == errors_in_code()


def test_a_docs_url_leads_to_its_section() -> None:
    """Headings become anchors as they are, since a name has neither capitals nor spaces."""
    body = body_of(IpNotAllowed(), request_id="")
    assert body["docs_url"] == f"/docs/{DOCUMENT.stem}#ip_not_allowed"
    assert all(name == name.lower() for name in documented())


def test_names_that_are_not_sent_are_said_to_be_reserved() -> None:
    reserved = DOCUMENT.read_text().partition("## Names that are reserved")[2]
    assert WIRE_CONTRACT - set(errors_in_code()) == set(re.findall(r"`(\w+)`", reserved))


def documented() -> dict[str, set[int]]:
    return {
        name: {int(status) for status in statuses.split(",")}
        for name, statuses in SECTION.findall(DOCUMENT.read_text())
    }


def errors_in_code() -> dict[str, set[int]]:
    """Each name with the statuses under which it is sent."""
    import_every_module()
    found: dict[str, set[int]] = {}
    every: list[type[ApiError]] = [ApiError, *subclasses_of(ApiError)]
    for error in every:
        if not is_branch(error):
            found.setdefault(error.name, set()).add(error.status)
    return found


def import_every_module() -> None:
    """A class that nothing has imported yet would be overlooked."""
    for app in (path.parent for path in ROOT.glob("*/apps.py")):
        for path in app.glob("*.py"):
            if path.stem not in ("__init__", "wsgi", "asgi"):
                import_module(f"{app.name}.{path.stem}")


def subclasses_of(error: type[ApiError]) -> list[type[ApiError]]:
    direct = error.__subclasses__()
    return [*direct, *(one for each in direct for one in subclasses_of(each))]


def is_branch(error: type[ApiError]) -> bool:
    """A class that only gathers others: it has no name of its own and is never raised."""
    return "name" not in vars(error) and bool(error.__subclasses__())
