from collections.abc import Iterator

import pytest

from tests.sending.deliveries import delivering_to_sink
from tests.sending.returns import listening
from tests.smtp_sink import SmtpSink


@pytest.fixture
def sink(monkeypatch: pytest.MonkeyPatch) -> Iterator[SmtpSink]:
    """The server that gets all mail of the test, without TLS."""
    with delivering_to_sink(monkeypatch) as made:
        yield made


@pytest.fixture
def listener() -> Iterator[int]:
    """The port of the bounce listener."""
    with listening() as port:
        yield port
