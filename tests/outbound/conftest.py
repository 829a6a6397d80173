from collections.abc import Iterator

import pytest

from tests.certificates import Authority
from tests.outbound.dns_server import ScriptedZone, serving


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="session")
def name_service() -> Iterator[tuple[ScriptedZone, tuple[str, int]]]:
    zone = ScriptedZone()
    with serving(zone) as address:
        yield zone, address


@pytest.fixture
def zone(name_service: tuple[ScriptedZone, tuple[str, int]]) -> ScriptedZone:
    zone, _ = name_service
    zone.clear()
    return zone


@pytest.fixture
def nameserver(name_service: tuple[ScriptedZone, tuple[str, int]]) -> tuple[str, int]:
    return name_service[1]
