import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apikeys import allowlist


@pytest.mark.parametrize(
    ("given_text", "canonical"),
    [
        ("203.0.113.7", "203.0.113.7/32"),
        ("203.0.113.0/24", "203.0.113.0/24"),
        ("10.0.0.0/8", "10.0.0.0/8"),
        ("2001:DB8::/32", "2001:db8::/32"),
        ("2001:db8::1", "2001:db8::1/128"),
        ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
    ],
)
def test_reads_ranges_into_one_form(given_text: str, canonical: str) -> None:
    assert allowlist.read([given_text]) == ([canonical], [])


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("10.0.0.1/8", "host_bits"),
        ("0.0.0.0/0", "everything"),
        ("::/0", "everything"),
        ("8.0.0.0/7", "too_wide"),
        ("2000::/31", "too_wide"),
        ("::ffff:0.0.0.0/96", "everything"),
        ("10.0.0.0/0.0.0.0", "not_a_range"),
        ("10.0.0.0/0.255.255.255", "not_a_range"),
        ("10.0.0.0/255.0.0.0", "not_a_range"),
        ("010.0.0.1", "not_a_range"),
        ("0x7f.1", "not_a_range"),
        ("127.1", "not_a_range"),
        ("\u0661.2.3.4", "not_a_range"),
        (" 10.0.0.1", "not_a_range"),
        ("10.0.0.1\n", "not_a_range"),
        ("10.0.0.1%eth0", "not_a_range"),
        ("fe80::1%eth0", "not_a_range"),
        ("10.0.0.1/33", "not_a_range"),
        ("10.0.0.0/+8", "not_a_range"),
        ("", "not_a_range"),
    ],
)
def test_refuses_what_is_no_careful_range(text: str, code: str) -> None:
    ranges, problems = allowlist.read(["192.0.2.0/24", text])

    assert ranges == ["192.0.2.0/24"]
    assert [(one.field, one.code) for one in problems] == [("allowed_cidrs[1]", code)]


def test_a_wide_range_needs_to_be_meant_and_everything_is_never_taken() -> None:
    assert allowlist.read(["8.0.0.0/7"], allow_wide=True) == (["8.0.0.0/7"], [])
    for everything in ("0.0.0.0/0", "::/0"):
        assert allowlist.read([everything], allow_wide=True)[1][0].code == "everything"


def test_drops_repeats_and_refuses_thousands() -> None:
    assert allowlist.read(["10.0.0.0/8", "10.0.0.0/8"])[0] == ["10.0.0.0/8"]
    assert allowlist.read(["10.0.0.1"] * 1_001)[1][0].code == "too_many"


def test_a_mapped_address_is_the_address_it_maps() -> None:
    assert allowlist.allows(["10.0.0.0/8"], "::ffff:10.1.2.3")
    assert not allowlist.allows(["10.0.0.0/8"], "::ffff:11.0.0.1")


@pytest.mark.parametrize("address", [None, "", "nonsense", "10.0.0.1%x"])
def test_no_address_is_never_allowed(address: str | None) -> None:
    assert not allowlist.allows(["10.0.0.0/8"], address)


@given(
    address=st.ip_addresses(),
    network=st.ip_addresses(v=4).flatmap(
        lambda base: st.integers(8, 32).map(
            lambda length: ipaddress.ip_network((base, length), strict=False)
        )
    ),
)
def test_agrees_with_the_standard_library(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address, network: ipaddress.IPv4Network
) -> None:
    plain = getattr(address, "ipv4_mapped", None) or address
    expected = plain.version == 4 and plain in network

    assert allowlist.allows([str(network)], str(address)) == expected


def test_covers_only_what_lies_inside() -> None:
    assert allowlist.covers(["10.0.0.0/8"], "10.1.0.0/16")
    assert not allowlist.covers(["10.1.0.0/16"], "10.0.0.0/8")
    assert not allowlist.covers(["10.0.0.0/8"], "2001:db8::/32")
