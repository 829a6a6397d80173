"""Signing secrets at rest: sealed for their row, opened for signing and for those who may see."""

import logging
from collections import defaultdict
from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from django.db.models import Q

from queensmtp import crypto
from queensmtp.ids import new_id
from webhooks import signing
from webhooks.models import SigningSecret

TABLE = "webhooks_signingsecret"

logger = logging.getLogger(__name__)


def sealed(
    *,
    account_id: UUID,
    endpoint_id: UUID | None,
    secret: str,
    expires_at: datetime | None = None,
) -> SigningSecret:
    """A row, not yet saved."""
    id = new_id()
    ciphertext = crypto.encrypt(
        signing.decode_secret(secret),
        account_id=account_id,
        table=TABLE,
        column="secret",
        row_id=str(id),
    )
    return SigningSecret(
        id=id,
        account_id=account_id,
        endpoint_id=endpoint_id,
        secret=ciphertext,
        expires_at=expires_at,
    )


def opened(row: SigningSecret) -> str:
    key = crypto.decrypt(
        bytes(row.secret),
        account_id=row.account_id,
        table=TABLE,
        column="secret",
        row_id=str(row.pk),
    )
    return signing.encode_secret(key)


def live_of_endpoints(
    endpoints: Collection[tuple[UUID, UUID]], *, now: datetime
) -> dict[UUID, list[str]]:
    """Newest first, for each of the endpoints given as (account id, endpoint id).

    An endpoint with secrets of its own is signed with those, any other with its account's.
    """
    rows = SigningSecret.objects.live(now).filter(
        Q(endpoint_id__in=[endpoint for _, endpoint in endpoints]) | Q(endpoint_id=None),
        account_id__in={account for account, _ in endpoints},
    )
    found: dict[tuple[UUID, UUID | None], list[str]] = defaultdict(list)
    for row in rows:
        try:
            found[row.account_id, row.endpoint_id].append(opened(row))
        except crypto.CannotDecrypt:
            # One tenant's damaged row must not stop everyone's deliveries.
            logger.error("signing_secret_unreadable", extra={"secret": str(row.pk)})
    return {
        endpoint: found.get((account, endpoint)) or found.get((account, None), [])
        for account, endpoint in endpoints
    }
