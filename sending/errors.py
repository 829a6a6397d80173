from queensmtp.errors import ApiError, Conflict, MalformedRequest, PermissionRefused


class DomainNotVerified(PermissionRefused):
    """The from-domain is not a verified domain of the account."""


class BadIdempotencyKey(MalformedRequest):
    """The Idempotency-Key header is not 1 to 256 printable characters."""

    name = "invalid_idempotency_key"
    message = "`Idempotency-Key` must be 1 to 256 printable ASCII characters."


class NotCancelable(Conflict):
    """Nothing of the e-mail waits any more."""

    message = "The e-mail has left, or was canceled before; there is nothing to cancel."


class NotScheduled(Conflict):
    """Only what waits for its first time can be given another."""

    message = "The e-mail does not wait for a scheduled time; its time cannot be changed."


class ContentsGone(Conflict):
    """There is nothing left to send again."""

    message = "The contents of the e-mail are no longer kept, so it cannot be sent again."


class OtherEnvironment(PermissionRefused):
    """A key changes only what keys of its own environment sent."""


class OtherRequestUnderKey(Conflict):
    """The key was used before, for another request."""

    name = "invalid_idempotent_request"
    message = (
        "This `Idempotency-Key` was used in the last 24 hours for a request with another body. "
        "Use a new key."
    )


class DailyQuotaExceeded(ApiError):
    """The recipients of the day are used up: those of the account, or those of the key."""

    name, status, message = "daily_quota_exceeded", 429, "The daily quota is used up."


class MonthlyQuotaExceeded(ApiError):
    """The account's recipients of the month are used up."""

    name, status, message = "monthly_quota_exceeded", 429, "The monthly quota is used up."
