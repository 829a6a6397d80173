"""Every refusal that a caller can see, and the failures of the outside world.

ApiError
├── MalformedRequest            400 validation_error
├── Unauthenticated             401
│   ├── MissingApiKey           missing_api_key
│   └── InvalidApiKey           invalid_api_key
├── Forbidden                   403
│   ├── IpNotAllowed            ip_not_allowed
│   ├── InsufficientScope       insufficient_scope
│   └── PermissionRefused       validation_error (a from-domain that is not verified)
├── NotFound                    404 not_found
├── MethodNotAllowed            405 method_not_allowed
├── RequestTimedOut             408 validation_error
├── Conflict                    409
├── PayloadTooLarge             413 validation_error
├── UnsupportedMediaType        415 validation_error
├── ValidationFailed            422 validation_error
│   ├── MissingField            422 missing_required_field
│   └── SecretOutOfPlace        422 validation_error
├── RateLimited                 429 rate_limit_exceeded
├── ServerFault                 500 application_error
└── Unavailable                 503 application_error

DeliveryFailure
├── TemporaryFailure            may work later
└── PermanentFailure            will not work, whatever one waits
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

DOCS_URL = "/docs/errors#"


@dataclass(frozen=True, slots=True)
class FieldError:
    """One thing wrong with one field of a request."""

    field: str
    code: str
    message: str


class ApiError(Exception):
    """A refusal with a stable public name and an HTTP status."""

    name: ClassVar[str] = "application_error"
    status: ClassVar[int] = 500
    message: str = "Something went wrong on our side."

    def __init__(
        self,
        message: str | None = None,
        *,
        errors: Sequence[FieldError] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.message = message or type(self).message
        self.errors = tuple(errors)
        self.headers = dict(headers or {})
        super().__init__(self.message)


class MalformedRequest(ApiError):
    """The request cannot be read at all."""

    name, status, message = "validation_error", 400, "The request cannot be read."


class RequestTimedOut(ApiError):
    """The body did not arrive in time (RFC 9110, section 15.5.9)."""

    name, status = "validation_error", 408
    message = "The request body did not arrive in time; send it again."


class Unauthenticated(ApiError):
    """No principal: the caller must present a key."""

    status = 401

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message, headers={"WWW-Authenticate": 'Bearer realm="QueenSMTP"'})


class MissingApiKey(Unauthenticated):
    """No bearer token was sent."""

    name = "missing_api_key"
    message = "Missing API key in the `Authorization` header: send `Authorization: Bearer qs_…`."


class InvalidApiKey(Unauthenticated):
    """The token names no key that may be used now; the caller is not told why."""

    name = "invalid_api_key"
    message = (
        "The API key is not valid. It may be mistyped, expired or revoked; "
        "an admin of the account sees the reason in the audit log."
    )


class Forbidden(ApiError):
    """A known principal asks for what it may not do."""

    status = 403


class IpNotAllowed(Forbidden):
    """The source address is outside the key's allowlist."""

    name = "ip_not_allowed"
    message = "This API key may not be used from this address; an admin can add the address."


class InsufficientScope(Forbidden):
    """The key lacks the scope that the endpoint declares."""

    name = "insufficient_scope"
    message = "This API key lacks the scope for this endpoint."


class PermissionRefused(Forbidden):
    """A 403 that the wire contract names `validation_error`."""

    name = "validation_error"
    message = "This is not allowed."


class NotFound(ApiError):
    """There is no such object, or it belongs to another account."""

    name, status, message = "not_found", 404, "There is nothing here."


class MethodNotAllowed(ApiError):
    """The path exists, the method does not."""

    name, status, message = "method_not_allowed", 405, "This method is not allowed here."

    def __init__(self, allowed: Sequence[str] = ()) -> None:
        names = ", ".join(allowed)
        super().__init__(f"This method is not allowed here; use {names}." if names else None)


class Conflict(ApiError):
    """The request contradicts an earlier one."""

    name, status, message = "validation_error", 409, "This contradicts an earlier request."


class PayloadTooLarge(ApiError):
    """The body is larger than the limit."""

    name, status, message = "validation_error", 413, "The request body is too large."


class UnsupportedMediaType(ApiError):
    """The body is not JSON."""

    name, status, message = "validation_error", 415, "Send the body as application/json."


class ValidationFailed(ApiError):
    """A value was refused; `errors` names the fields."""

    name, status, message = "validation_error", 422, "The request is not valid."


class MissingField(ValidationFailed):
    """A required field is absent."""

    name, message = "missing_required_field", "A required field is missing."


class SecretOutOfPlace(ValidationFailed):
    """A key or a signing secret stands where it would be stored or logged."""

    message = "The request holds an API key or a signing secret; remove it."


class RateLimited(ApiError):
    """Too many requests; `Retry-After` says when the next one may come."""

    name, status, message = "rate_limit_exceeded", 429, "Too many requests."


class ServerFault(ApiError):
    """A bug of ours."""


class Unavailable(ApiError):
    """A part that we need is down; whether the request did anything, nobody knows."""

    status = 503
    message = "The service cannot answer right now; try again with the same `Idempotency-Key`."


class DeliveryFailure(Exception):
    """The outside world did not do what was asked."""

    def __init__(self, message: str, *, reason: str = "failed") -> None:
        self.reason = reason
        super().__init__(message)


class TemporaryFailure(DeliveryFailure):
    """May work later."""


class PermanentFailure(DeliveryFailure):
    """Will not work, however often it is tried."""


def body_of(error: ApiError, *, request_id: str) -> dict[str, Any]:
    """The one error shape of the API (`design.md` 3.3)."""
    return {
        "statusCode": error.status,
        "name": error.name,
        "message": error.message,
        "request_id": request_id,
        "docs_url": DOCS_URL + error.name,
        "errors": [asdict(one) for one in error.errors],
    }


def problem_of(error: ApiError, *, request_id: str) -> dict[str, Any]:
    """The same error as `application/problem+json` (RFC 9457, section 3)."""
    return {
        "type": DOCS_URL + error.name,
        "title": error.name,
        "status": error.status,
        "detail": error.message,
        "instance": f"urn:request:{request_id}",
        "request_id": request_id,
        "errors": [asdict(one) for one in error.errors],
    }


def refuse_field(field: str, code: str, message: str) -> ValidationFailed:
    """A 422 about one field, named in backticks as the wire contract's clients expect."""
    error = FieldError(field, code, message)
    return ValidationFailed(f"`{field}`: {message}", errors=[error])
