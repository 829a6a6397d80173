from typing import Any

from accounts.models import Account
from apikeys import actions
from apikeys.models import ApiKey
from apikeys.rights import Rights
from apikeys.tokens import Environment
from queensmtp.actors import system_actor
from queensmtp.scopes import ALL
from queensmtp.tenancy import tenant


def make_key(
    account: Account, *, environment: Environment = Environment.PRODUCTION, **rights: Any
) -> tuple[ApiKey, str]:
    """A key of an account and its token; every scope unless told otherwise."""
    rights.setdefault("scopes", tuple(sorted(ALL)))
    with tenant(account.pk):
        key, token = actions.create(
            by=system_actor(account.pk, "tests"),
            name="Test key",
            environment=environment,
            rights=Rights(**rights),
        )
    return key, token.text


def bearer(token: str) -> dict[str, str]:
    """The header that presents a key, as the test client takes it."""
    return {"authorization": f"Bearer {token}"}
