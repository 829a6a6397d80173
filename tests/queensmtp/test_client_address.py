import ipaddress

import pytest

from queensmtp.client_address import canonical, client_address

PROXY = ipaddress.ip_network("10.0.0.0/8")


@pytest.mark.parametrize(
    ("peer", "forwarded_for", "expected"),
    [
        ("203.0.113.9", "", "203.0.113.9"),
        # A stranger's own header changes nothing (N1).
        ("203.0.113.9", "198.51.100.1", "203.0.113.9"),
        ("10.0.0.1", "198.51.100.1", "198.51.100.1"),
        # The client wrote the left one; the proxy added the right one (N2).
        ("10.0.0.1", "192.0.2.1, 198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "192.0.2.1, 198.51.100.1, 10.0.0.2", "198.51.100.1"),
        ("10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3"),
        ("10.0.0.1", "garbage", None),
        ("::ffff:203.0.113.9", "", "203.0.113.9"),
        ("", "", None),
    ],
)
def test_the_right_most_hop_that_we_do_not_trust(
    peer: str, forwarded_for: str, expected: str | None
) -> None:
    found = client_address(peer=peer, forwarded_for=forwarded_for, trusted=[PROXY])

    assert (str(found) if found else None) == expected


@pytest.mark.parametrize("text", ["010.0.0.1", "127.1", "0x7f.1", "1.2.3.4%eth0", "fe80::1%eth0"])
def test_odd_spellings_are_no_address(text: str) -> None:
    assert canonical(text) is None
