import re
import socket

import pytest

from deploy.local.errors import LocalError, PortTaken
from deploy.local.ports import HOST, Port, read_ports, refuse_taken


@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM])
def test_a_taken_port_is_named_with_the_setting_that_moves_it(kind: int) -> None:
    with socket.socket(socket.AF_INET, kind) as other:
        other.bind((HOST, 0))
        if kind == socket.SOCK_STREAM:
            other.listen()
        number = other.getsockname()[1]
        with pytest.raises(PortTaken, match=rf"{number} \(the demo's DNS\).*QUEENSMTP_PORT_BASE"):
            refuse_taken([Port("the demo's DNS", number, also_udp=True)])


def test_the_advice_is_a_range_that_is_free() -> None:
    with socket.create_server((HOST, 0)) as other:
        port = Port("HTTPS", other.getsockname()[1])
        with pytest.raises(PortTaken) as refusal:
            refuse_taken([port])
    base = re.search(r"QUEENSMTP_PORT_BASE=(\d+) make up", str(refusal.value))
    assert base is not None
    refuse_taken(read_ports({"QUEENSMTP_PORT_BASE": base[1]}).all())


def test_a_lingering_connection_of_the_last_run_takes_no_port() -> None:
    with socket.create_server((HOST, 0)) as server:
        address = server.getsockname()
        client = socket.create_connection(address)
        accepted, _ = server.accept()
        accepted.close()  # The server closes first and goes to TIME_WAIT.
        client.recv(1)
        client.close()
    refuse_taken([Port("HTTPS", address[1])])


def test_the_base_shifts_every_port() -> None:
    numbers = [port.number for port in read_ports({"QUEENSMTP_PORT_BASE": "18000"}).all()]
    assert numbers == [18443, 18465, 18587, 18025, 18026, 18053, 18444]


@pytest.mark.parametrize("base", ["", "80", "eight", "65000", "-1"])
def test_a_wrong_base_is_refused_with_the_mend(base: str) -> None:
    with pytest.raises(LocalError, match="set a number from 1000 to 64000"):
        read_ports({"QUEENSMTP_PORT_BASE": base})
