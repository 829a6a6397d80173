"""Gate 1 of the design: how often one address may fail to authenticate, over HTTP and SMTP.

It is asked after a failure only: a good key passes, whatever its neighbours behind the same
address do.
"""

from django.conf import settings

from queensmtp import client_address, ratelimit
from queensmtp.errors import RateLimited
from queensmtp.ratelimit import Limit

MESSAGE = (
    "Too many requests from this address failed to authenticate; wait, and check the API key. "
    "Requests with a good key still pass."
)


def count_one(address: str | None) -> RateLimited | None:
    """Count a failure of this address; the refusal to give instead, once there are too many."""
    each_minute = settings.FAILED_AUTHENTICATIONS_PER_MINUTE
    bucket = f"failed-authentication:{client_address.counted_as(address)}"
    verdict = ratelimit.take(bucket, Limit(each_minute, 60, each_minute))
    if verdict.allowed:
        return None
    return RateLimited(MESSAGE, headers={"Retry-After": verdict.headers()["Retry-After"]})
