import dns.message
import pytest
from dnslib import DNSRecord

from domains.models import Domain
from domains.records import Kind, Record, Weight
from queensmtp.tenancy import tenant
from sending import demo_zone
from tests.factories.cast import Cast, make_domain
from tests.roles import as_role


@pytest.mark.parametrize("algorithm", ["rsa", "ed25519"])
def test_a_worker_reads_the_keys_of_every_account(cast: Cast, algorithm: str) -> None:
    for account, name in ((cast.hive, "hive.example"), (cast.wasp, "wasp.example")):
        at = key_name(make_domain(account, name), algorithm)
        with as_role("worker"):
            (record,) = demo_zone.records_at(at)
        assert record.value.startswith(f"v=DKIM1; k={algorithm}; p=")


def test_a_claim_does_not_stand_beside_a_verified_domain(cast: Cast) -> None:
    make_domain(cast.wasp, "hive.example", verified=False)
    make_domain(cast.hive, "hive.example")
    with as_role("worker"):
        assert len(demo_zone.records_at("_queensmtp.hive.example")) == 1


def key_name(domain: Domain, algorithm: str) -> str:
    with tenant(domain.account_id):
        key = domain.dkim_keys.get(algorithm=f"{algorithm}-sha256")
    return f"{key.selector}._domainkey.{domain.name}"


@pytest.mark.parametrize(
    "name", ["hive.example", "qs9._domainkey.hive.example", "other.example", ""]
)
def test_other_names_do_not_exist(cast: Cast, name: str) -> None:
    make_domain(cast.hive, "hive.example")
    with as_role("worker"):
        assert demo_zone.records_at(name) == []


def test_a_long_record_travels_in_strings_of_255_octets() -> None:
    name = "qs1._domainkey.hive.example"
    text = "v=DKIM1; " + "x" * 400
    record = Record("dkim", Kind.DKIM, name, "TXT", text, Weight.REQUIRED)
    wire = demo_zone.answer(DNSRecord.question(name, "TXT"), [record]).pack()
    # dnspython reads it, as a verifier would.
    (answer,) = dns.message.from_wire(bytes(wire)).answer
    (data,) = answer
    assert b"".join(data.strings) == text.encode()
    assert [len(string) for string in data.strings] == [255, 154]


def test_a_name_without_records_and_a_broken_database_are_told_apart() -> None:
    question = DNSRecord.question("nowhere.example", "TXT")
    assert rcode(demo_zone.answer(question, [])) == 3
    assert rcode(demo_zone.failed(question)) == 2


def rcode(reply: DNSRecord) -> int:
    return int(dns.message.from_wire(bytes(reply.pack())).rcode())
