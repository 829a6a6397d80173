from collections.abc import Iterator
from typing import Any

import pytest

from tests.domains.zone import Zone, serving


@pytest.fixture
def zone(settings: Any) -> Iterator[Zone]:
    """The DNS that domains are checked by."""
    zone = Zone()
    with serving(zone) as port:
        settings.DOMAIN_DNS_RESOLVERS, settings.DOMAIN_DNS_PORT = ["127.0.0.1"], port
        yield zone
