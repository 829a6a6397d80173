"""An account with many keys, for the benchmarks of the gate."""

from uuid import UUID

from accounts.models import Account
from apikeys import actions
from apikeys.models import ApiKey
from apikeys.rights import Rights
from apikeys.tokens import Environment
from queensmtp.actors import Origin, system_actor
from queensmtp.ids import new_id
from queensmtp.scopes import Scope
from queensmtp.tenancy import tenant

ADDRESS = "203.0.113.7"
ORIGIN = Origin(ip=ADDRESS, user_agent="benchmark", request_id="benchmark")
# A key that uses every kind of restriction, as a careful owner would set it.
RIGHTS = Rights(
    scopes=(Scope.EMAIL_SEND, Scope.EMAIL_READ),
    domains=("shop.example", "news.example", "billing.example"),
    allowed_cidrs=(
        "10.0.0.0/8",
        "198.51.100.0/24",
        "2001:db8::/32",
        "192.0.2.0/24",
        f"{ADDRESS}/32",
    ),
    allowed_recipients=("@ourcompany.example", "audit@partner.example"),
    rate_requests=100_000,
    rate_per_seconds=1,
)


def make(count: int) -> str:
    """So many keys of one account; the token of one in the middle."""
    account_id = new_id()
    with tenant(account_id):
        Account.objects.create(id=account_id, name="Benchmark", plan="enterprise")
        made = [_mint(account_id) for _ in range(count)]
        ApiKey.objects.bulk_create([key for key, _ in made], batch_size=1_000)
    return made[count // 2][1]


def _mint(account_id: UUID) -> tuple[ApiKey, str]:
    key, token = actions._mint(
        by=system_actor(account_id, "benchmark"),
        name="Benchmark",
        environment=Environment.PRODUCTION,
        rights=RIGHTS,
        labels={"unit": "retail"},
        notes="",
        is_decoy=False,
    )
    return key, token.text
