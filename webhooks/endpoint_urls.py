"""An endpoint's URL in two parts: what may be shown, and `user:password`, kept encrypted."""

from uuid import UUID

from queensmtp import crypto, outbound
from queensmtp.errors import PermanentFailure, refuse_field

# Stands where credentials are not shown; sent back unchanged, it means "as they are".
MASK = "***"
TABLE = "webhooks_endpoint"


def split(url: str) -> tuple[str, str]:
    """The URL without credentials, and the credentials; 422 for one that is never dialled."""
    try:
        destination = outbound.check_url(url)
    except PermanentFailure as failure:
        raise refuse_field("endpoint", failure.reason, str(failure)) from None
    return destination.url, destination.credentials


def joined(url: str, credentials: str) -> str:
    return url.replace("://", f"://{credentials}@", 1)


def same_origin(one: str, other: str) -> bool:
    """Both without credentials: scheme, host and port."""
    return one.split("/", 3)[:3] == other.split("/", 3)[:3]


def sealed(credentials: str, *, account_id: UUID, endpoint_id: UUID) -> bytes | None:
    if not credentials:
        return None
    return crypto.encrypt(
        credentials.encode("ascii"),
        account_id=account_id,
        table=TABLE,
        column="credentials",
        row_id=str(endpoint_id),
    )


def opened(credentials: bytes, *, account_id: UUID, endpoint_id: UUID) -> str:
    return crypto.decrypt(
        credentials,
        account_id=account_id,
        table=TABLE,
        column="credentials",
        row_id=str(endpoint_id),
    ).decode("ascii")
