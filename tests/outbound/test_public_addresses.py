from ipaddress import ip_address, ip_network

import pytest

from queensmtp.public_addresses import is_private_range, is_public, parse


def words(text: str) -> list[str]:
    return text.split()


# threats.md W2, and the neighbours of each range's edge.
NOT_PUBLIC = words("""
0.0.0.0 0.255.255.255 10.0.0.0 10.255.255.255 100.64.0.1 100.127.255.255 100.100.100.200
127.0.0.1 127.255.255.255 168.63.129.16 169.254.0.1 169.254.169.254 172.16.0.1 172.31.255.255
192.0.0.8 192.0.0.192 192.0.2.1 192.88.99.1 192.168.0.1 192.168.255.255 198.18.0.1
198.19.255.255 198.51.100.7 203.0.113.7 224.0.0.1 239.255.255.255 240.0.0.1 255.255.255.255
:: ::1 ::7f00:1 ::8.8.8.8 ::ffff:127.0.0.1 ::ffff:10.0.0.1 ::ffff:8.8.8.8 ::ffff:0:127.0.0.1
64:ff9b::7f00:1 64:ff9b::808:808 64:ff9b:1::a00:1 100::1 2001::1 2001:0:7f00:1::1
2001:2::1 2001:10::1 2001:20::1 2001:1ff:ffff::1 2001:db8::1 2002:7f00:1:: 2002:808:808::1
3fff::1 3fff:fff:ffff::1 4000::1 5f00::1 fc00::1 fd00:: fd00:ec2::254 fe80::1 febf::1 fec0::1
ff02::1 2a00:1450:4001:80e:0:5efe:a00:1 2a00:1450:4001:80e:200:5efe:7f00:1
""")

PUBLIC = words("""
1.1.1.1 8.8.8.8 9.255.255.255 11.0.0.0 100.63.255.255 100.128.0.0 126.255.255.255 128.0.0.0
168.63.129.15 168.63.129.17 169.253.255.255 169.255.0.0 172.15.255.255 172.32.0.0 191.255.255.255
192.0.1.0 192.167.255.255 192.169.0.0 198.17.255.255 198.20.0.0 223.255.255.255
2001:200::1 2001:4860:4860::8888 2606:4700:4700::1111 2a00:1450:4001:80e::200e 3ffe::1 2003::1
""")


@pytest.mark.parametrize("text", NOT_PUBLIC)
def test_it_is_not_public(text: str) -> None:
    assert not is_public(ip_address(text))


@pytest.mark.parametrize("text", PUBLIC)
def test_it_is_public(text: str) -> None:
    assert is_public(ip_address(text))


@pytest.mark.parametrize(
    "text",
    [
        "127.1",
        "0x7f.1",
        "017700000001",
        "2130706433",
        "0",
        "010.0.0.1",
        "fe80::1%eth0",
        "①②⑦.0.0.1",
    ],
)
def test_only_the_canonical_notation_is_an_address(text: str) -> None:
    with pytest.raises(ValueError, match="address"):
        parse(text)


@pytest.mark.parametrize(
    "network", ["10.20.30.0/28", "192.168.0.0/16", "100.64.0.0/24", "fd00:1::/64", "172.16.5.4/32"]
)
def test_an_operator_may_allow_named_private_ranges(network: str) -> None:
    assert is_private_range(ip_network(network))


@pytest.mark.parametrize(
    "network",
    [
        "0.0.0.0/0",
        "127.0.0.0/8",
        "169.254.169.254/32",
        "100.100.100.0/24",
        "100.64.0.0/10",
        "172.0.0.0/8",
        "8.8.8.0/24",
        "::/0",
        "::1/128",
        "fe80::/10",
        "fd00:ec2::/32",
        "::ffff:10.0.0.0/104",
    ],
)
def test_what_no_tenant_must_reach_cannot_be_allowed(network: str) -> None:
    assert not is_private_range(ip_network(network))
