import dns.message
import pytest
from dnslib import DNSRecord

from sending import demo_zone
from tests.factories.cast import Cast, make_domain
from tests.roles import as_role


@pytest.mark.parametrize(("selector", "kind"), [("qs1", "rsa"), ("qs2", "ed25519")])
def test_a_worker_reads_the_keys_of_every_account(cast: Cast, selector: str, kind: str) -> None:
    make_domain(cast.hive, "hive.example")
    make_domain(cast.wasp, "wasp.example")
    with as_role("worker"):
        for domain in ("hive.example", "wasp.example"):
            (text,) = demo_zone.txt_records(f"{selector}._domainkey.{domain}")
            assert text.startswith(f"v=DKIM1; k={kind}; p=")


def test_a_claim_does_not_stand_beside_a_verified_domain(cast: Cast) -> None:
    make_domain(cast.wasp, "hive.example", verified=False)
    make_domain(cast.hive, "hive.example")
    with as_role("worker"):
        assert len(demo_zone.txt_records("qs1._domainkey.hive.example")) == 1


@pytest.mark.parametrize(
    "name", ["hive.example", "qs9._domainkey.hive.example", "qs1._domainkey.other.example", ""]
)
def test_other_names_do_not_exist(cast: Cast, name: str) -> None:
    make_domain(cast.hive, "hive.example")
    with as_role("worker"):
        assert demo_zone.txt_records(name) == []


def test_a_long_record_travels_in_strings_of_255_octets() -> None:
    question = DNSRecord.question("qs1._domainkey.hive.example", "TXT")
    wire = demo_zone.answer(question, ["v=DKIM1; " + "x" * 400]).pack()
    # dnspython reads it, as a verifier would.
    (answer,) = dns.message.from_wire(bytes(wire)).answer
    (data,) = answer
    assert b"".join(data.strings) == b"v=DKIM1; " + b"x" * 400
    assert [len(string) for string in data.strings] == [255, 154]


def test_a_name_without_records_and_a_broken_database_are_told_apart() -> None:
    question = DNSRecord.question("nowhere.example", "TXT")
    assert rcode(demo_zone.answer(question, [])) == 3
    assert rcode(demo_zone.failed(question)) == 2


def rcode(reply: DNSRecord) -> int:
    return int(dns.message.from_wire(bytes(reply.pack())).rcode())
