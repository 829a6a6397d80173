from collections.abc import Iterator

import hypothesis
import pytest
from pytest_django.fixtures import Settings

from queensmtp import outbound

# A busy machine is no finding.
hypothesis.settings.register_profile("patient", deadline=None)
hypothesis.settings.load_profile("patient")


@pytest.fixture(autouse=True)
def _loopback_receivers(settings: Settings) -> Iterator[None]:
    """Receivers of tests listen on loopback; the client of the process reads settings once."""
    settings.OUTBOUND_ALLOW_LOOPBACK = True
    settings.OUTBOUND_CA_FILE = ""
    # Ample, since the machine may be busy; tests of receivers that hang set less.
    settings.WEBHOOK_TIMEOUT_SECONDS = 15
    outbound.close()
    yield
    outbound.close()
