import email_validator
import pytest
from hypothesis import given
from hypothesis import strategies as st

from queensmtp import addresses
from queensmtp.addresses import AddressRefused, Mailbox


def refusal_of(text: str) -> AddressRefused:
    with pytest.raises(AddressRefused) as refused:
        addresses.parse(text)
    return refused.value


def test_a_bare_address_is_read() -> None:
    assert addresses.parse("alice@hive.example") == Mailbox("", "alice", "hive.example")


def test_a_name_and_address_are_read() -> None:
    mailbox = addresses.parse("Alice Smith <alice@hive.example>")
    assert (mailbox.name, mailbox.address) == ("Alice Smith", "alice@hive.example")


def test_a_quoted_name_may_hold_any_visible_character() -> None:
    mailbox = addresses.parse(r'"Hive, \"Inc.\" (EU)" <alice@hive.example>')
    assert mailbox.name == 'Hive, "Inc." (EU)'
    assert addresses.parse(str(mailbox)) == mailbox


def test_the_domain_is_folded_and_the_local_part_is_kept() -> None:
    assert addresses.parse("Alice@HIVE.Example").address == "Alice@hive.example"


def test_a_dot_at_the_end_of_a_domain_is_named() -> None:
    assert "dot at the end" in refusal_of("x@good.example.").message


def test_an_international_domain_becomes_its_a_label() -> None:
    assert addresses.domain_of("x@münchen.example") == "xn--mnchen-3ya.example"
    assert addresses.domain_of("x@xn--mnchen-3ya.example") == "xn--mnchen-3ya.example"


def test_a_sharp_s_is_not_folded_into_another_domain() -> None:
    assert addresses.domain_of("x@straße.example") == "xn--strae-oqa.example"


def test_a_cyrillic_look_alike_is_another_domain() -> None:
    assert addresses.domain_of("x@go\u043ed.example") != "good.example"


@pytest.mark.parametrize(
    "domain",
    [
        "good。example",
        "ｇｏｏｄ.example",
        "\u24d6ood.example",
        "go\u00adod.example",
        "go\u200dod.example",
        "go\u200bod.example",
        "\u212aelvin.example",
        "xn--.example",
        "xn--a.example",
        "-good.example",
        "go_od.example",
        "good..example",
        "good.example.",
        "good.example..",
        "[127.0.0.1]",
        "[IPv6:::1]",
        "127.0.0.1",
        "localhost",
        "mail.localhost",
        "printer.local",
        "x.invalid",
        "",
        f"{'a' * 64}.example",
        f"{'a.' * 130}example",
    ],
)
def test_a_domain_that_is_not_in_normal_form_is_refused(domain: str) -> None:
    assert refusal_of(f"x@{domain}").code in {"invalid_domain", "too_long"}


@pytest.mark.parametrize(
    "text",
    [
        "alice@good.example, <bob@evil.example>",
        "<a@good.example><x@evil.example>",
        "a@good.example <x@evil.example>",
        "<@good.example:x@evil.example>",
        "@relay.example:x@evil.example",
        "=?utf-8?q?x=40evil.example=3E_?=@good.example",
        "a@good.example@evil.example",
        '"a@good.example"@evil.example',
        "a%evil.example@good.example",
        "evil.example!a@good.example",
        "a (comment) <a@good.example>",
        "a@good.example (comment)",
        "team: a@good.example;",
        "x",
        "@good.example",
        "a@",
        "",
        "  ",
        "<>",
        "a b@good.example",
        ".a@good.example",
        "a..b@good.example",
        "a@good.example>",
        '"unclosed <a@good.example>',
    ],
)
def test_a_hostile_or_broken_form_is_refused(text: str) -> None:
    assert refusal_of(text).message


@pytest.mark.parametrize(
    "text",
    [
        '"ceo@bank.example" <a@good.example>',
        '"ceo @ bank.example" <a@good.example>',
        '"ceo＠bank．example" <a@good.example>',
        '"ceo\u200b@bank。example" <a@good.example>',
        '"=?utf-8?q?ceo=40bank.example?=" <a@good.example>',
        "=?utf-8?b?Y2VvQGJhbmsuZXhhbXBsZQ==?= <a@good.example>",
    ],
)
def test_a_name_that_passes_for_an_address_is_refused(text: str) -> None:
    assert refusal_of(text).code == "invalid_name"


@pytest.mark.parametrize("hidden", ["\r\n", "\n", "\0", "\t", "\u202e", "\u2028", "\ud800", "\x7f"])
def test_a_control_character_is_refused_anywhere(hidden: str) -> None:
    for text in (f"A{hidden}B <a@good.example>", f"a{hidden}@good.example", f"a@g{hidden}.example"):
        assert refusal_of(text).code == "control_character"


@pytest.mark.parametrize("name", ["Alice@Hive.example", "'alice@hive.example'"])
def test_a_name_that_repeats_the_address_is_dropped(name: str) -> None:
    mailbox = addresses.parse(f'"{name}" <alice@hive.example>')
    assert mailbox == Mailbox("", "alice", "hive.example")


def test_an_international_local_part_needs_smtputf8() -> None:
    assert addresses.needs_smtputf8([addresses.parse("jörg@hive.example")])
    assert not addresses.needs_smtputf8([addresses.parse("alice@münchen.example")])


@pytest.mark.parametrize("unit", ["<", '"', "(", "@", "a@", "\\", "=?", "a,", "é", "x@a."])
def test_ten_kilobytes_of_anything_are_refused_quickly(unit: str) -> None:
    assert refusal_of(unit * (10_000 // len(unit))).code == "too_long"
    refusal_of(unit * (900 // len(unit)))


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        mailbox = addresses.parse(text)
    except AddressRefused as refused:
        assert refused.message
        assert refused.code
    else:
        assert mailbox.domain.isascii()
        assert addresses.parse(str(mailbox)) == mailbox


LOCAL_PARTS = st.text("abzAZ09.!#$%&'*+/=?^_`{|}~-\"( é@", min_size=1, max_size=20)
DOMAINS = st.text("abzxn09-._é。[]:", min_size=1, max_size=20)


@given(LOCAL_PARTS, DOMAINS)
def test_whatever_is_taken_is_taken_by_email_validator_too(local: str, domain: str) -> None:
    text = f"{local}@{domain}"
    try:
        mailbox = addresses.parse(text)
    except AddressRefused:
        return
    checked = email_validator.validate_email(text, check_deliverability=False, strict=True)
    assert (checked.local_part, checked.ascii_domain) == (mailbox.local, mailbox.domain)


@given(st.text(max_size=40), st.sampled_from(["a@good.example"]))
def test_a_name_survives_the_way_out_and_back(name: str, address: str) -> None:
    mailbox = addresses.parse(address)
    try:
        named = addresses.named(name.strip(), mailbox)
    except AddressRefused:
        return
    assert addresses.parse(str(named)) == named


def test_one_mailbox_has_one_key_however_it_is_written() -> None:
    spellings = ("Ann@Good.example", "ann@good.example", "ANN@GOOD.EXAMPLE")
    assert {addresses.parse(one).key for one in spellings} == {"ann@good.example"}
    assert addresses.parse("ÄNN@good.example").key == "änn@good.example"
