import base64

import pytest

from queensmtp.errors import PermanentFailure
from queensmtp.outbound import Policy, check_url

STRICT = Policy(ports=frozenset({443, 8443}))
EMBEDDED = Policy(allow_loopback=True)


def words(text: str) -> list[str]:
    return text.split()


def reason(url: str, policy: Policy = STRICT) -> str:
    with pytest.raises(PermanentFailure) as failure:
        check_url(url, policy)
    return failure.value.reason


@pytest.mark.parametrize(
    ("url", "read_as"),
    [
        ("https://hook.example", "https://hook.example/"),
        ("HTTPS://Hook.Example:443/a?b=c", "https://hook.example/a?b=c"),
        ("https://hook.example./", "https://hook.example/"),
        ("https://hook.example:8443/a%2Fb/../c", "https://hook.example:8443/a%2Fb/../c"),
        ("https://xn--mnchen-3ya.example/", "https://xn--mnchen-3ya.example/"),
        ("https://hook.example?b=c", "https://hook.example/?b=c"),
        ("https://8.8.8.8/", "https://8.8.8.8/"),
        ("https://[2606:4700:4700::1111]:8443/", "https://[2606:4700:4700::1111]:8443/"),
        ("https://0x7f.example/", "https://0x7f.example/"),
    ],
)
def test_a_public_https_url_is_accepted(url: str, read_as: str) -> None:
    assert check_url(url, STRICT).url == read_as


@pytest.mark.parametrize(
    "url",
    [
        "http://hook.example/",
        "ftp://hook.example/",
        "file:///etc/passwd",
        "gopher://hook.example/",
        "unix:/var/run/docker.sock",
        "javascript:alert(1)",
        "//hook.example/",
        "hook.example",
        "",
        " https://hook.example/",
        "https://hook.example/ ",
        "https://hook.example/\n",
        "https://hook.example/a\tb",
        "https://hook.example/\r\nHost: internal",
        "https://hook.example\\@internal.example/",
        "https:\\\\hook.example/",
        "https:/hook.example/",
        "https:hook.example/",
        "https://hook.example#@internal.example/",
        "https://hook.example/#fragment",
        "https://a@b@hook.example/",
        "https://@hook.example/",
        "https://user:pass@/",
        "https://hook.example:/",
        "https://hook.example:https/",
        "https://hook.example:+443/",
        "https://hook.example:٤٤٣/",
        "https://hook.example/%zz",
        "https://hook.example/%2",
        "https://hook.example/ü",
        "https://mün.example/",
        "https://hook。example/",
        "https://①②⑦.⓪.⓪.①/",
        "https://[fe80::1%eth0]/",
        "https://[fe80::1%25eth0]/",
        "https://[::1/",
        "https://hook_.example/",
        "https://-hook.example/",
        "https://hook-.example/",
        "https://hook..example/",
        "https://.example/",
        "https://hook.example../",
        "https://intranet/",
        "https://" + "a" * 64 + ".example/",
        "https://" + "a." * 130 + "example/",
        "https://hook.example/" + "a" * 2048,
        "https://hook.example/\0",
    ],
)
def test_anything_but_plain_https_is_an_invalid_url(url: str) -> None:
    assert reason(url) == "invalid_url"


@pytest.mark.parametrize("port", [0, 22, 25, 80, 444, 5432, 6379, 8080, 65536, 99999])
def test_only_listed_ports_are_allowed(port: int) -> None:
    assert reason(f"https://hook.example:{port}/") == "blocked_port"


@pytest.mark.parametrize(
    "host",
    words("""
    127.0.0.1 127.1 0x7f.1 0x7f000001 017700000001 2130706433 0 0x 127.0.0.1. 010.0.0.1
    [::] [::1] [::ffff:127.0.0.1] [::7f00:1] [64:ff9b::7f00:1] [2002:7f00:1::] [fec0::1] [fd00::1]
    [fe80::1] 100.64.0.1 169.254.169.254 192.0.0.8 198.18.0.1 224.0.0.1 240.0.0.1
    255.255.255.255 10.0.0.1 192.168.1.1 1.2.3 1.2.3.4.5 256.1.1.1 hook.example.1 [1::2::3]
    localhost LOCALHOST localhost. hook.localhost
    """),
)
def test_an_address_that_is_not_public_is_blocked(host: str) -> None:
    assert reason(f"https://{host}/") == "blocked_address"


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:9/",
        "https://127.0.0.1:8444/hook",
        "http://127.255.0.1/",
        "https://localhost:8444/",
    ],
)
def test_the_embedded_default_may_call_loopback_on_any_port(url: str) -> None:
    assert check_url(url, EMBEDDED)
    assert reason(url) in {"blocked_address", "invalid_url"}


@pytest.mark.parametrize(
    "url",
    [
        "http://hook.example/",
        "https://hook.example:8444/",
        "http://8.8.8.8/",
        "https://[::1]/",
        "https://[::ffff:127.0.0.1]/",
        "https://10.0.0.1/",
        "https://127.1/",
        "https://hook.localhost/",
        "https://0.0.0.0/",
        "http://127.0.0.1:65536/",
        "http://127.0.0.1:0/",
    ],
)
def test_the_embedded_default_opens_nothing_else(url: str) -> None:
    assert reason(url, EMBEDDED)


def test_credentials_become_basic_authorization_and_leave_the_url() -> None:
    destination = check_url("https://us%40er:pa:ss%C3%A9@hook.example/a", STRICT)

    assert destination.url == "https://hook.example/a"
    assert destination.host == "hook.example"
    pair = destination.authorization["Authorization"].removeprefix("Basic ")
    assert base64.b64decode(pair).decode() == "us@er:pa:ssé"


def test_without_credentials_nothing_is_authorized() -> None:
    assert check_url("https://hook.example/", STRICT).authorization == {}


def test_the_refusal_of_a_port_says_what_is_allowed_and_who_can_change_it() -> None:
    with pytest.raises(PermanentFailure, match=r"port is 25; allowed here: 443, 8443.*operator"):
        check_url("https://hook.example:25/", STRICT)
