"""The console's pages of domains and sender identities, as people use them."""

import dns.rdatatype
import dns.zone
import pytest
from django.test import Client

from accounts.roles import Role
from domains.models import DkimKey, DkimState, Domain, SenderIdentity
from queensmtp.tenancy import tenant
from tests.accounts.test_roles_of_pages import with_role
from tests.console import get, post, sign_in, text
from tests.domains.test_checks import check
from tests.domains.zone import Zone
from tests.factories.cast import Cast, make_domain

pytestmark = pytest.mark.django_db

PATH = "/console/domains"


@pytest.fixture
def alice(cast: Cast) -> Client:
    return sign_in(cast.alice.user)


def only(cast: Cast) -> Domain:
    with tenant(cast.hive.pk):
        return Domain.objects.get()


def test_a_domain_is_added_published_verified_and_removed(
    cast: Cast, alice: Client, zone: Zone
) -> None:
    assert "No domains yet" in text(get(alice, PATH))
    added = post(alice, f"{PATH}/new", {"name": "Hive.Example", "return_path": "send"})
    domain = only(cast)
    page = f"{PATH}/{domain.pk}"
    assert added.headers["Location"] == page

    shown = text(get(alice, page))
    assert f"queensmtp-verification={domain.verification_token}" in shown
    assert ">_queensmtp</code>" in shown
    assert ">_queensmtp.hive.example</code>" in shown
    assert "0 of 5 records stand as they should" in shown

    assert post(alice, f"{page}/verify").headers["Location"] == page
    waiting = text(get(alice, page))
    assert "Asking DNS now" in waiting and "data-waits" in waiting
    check(domain)
    shown = text(get(alice, page))
    assert "There is no _queensmtp.hive.example in DNS yet." in shown
    assert "data-waits" not in shown

    zone.publish(domain)
    check(domain)
    shown = text(get(alice, page))
    assert "You can send from hive.example" in shown
    assert "5 of 5 records stand as they should" in shown

    wrong = post(alice, f"{page}/remove", {"typed_name": "hive"})
    assert "This is not the name" in text(wrong)
    assert post(alice, f"{page}/remove", {"typed_name": "hive.example"}).status_code == 302
    assert get(alice, page).status_code == 404


def test_a_name_that_is_refused_is_explained_and_kept(cast: Cast, alice: Client) -> None:
    shown = text(post(alice, f"{PATH}/new", {"name": "co.uk", "return_path": "send"}))
    assert "Is a public suffix" in shown
    assert 'value="co.uk"' in shown


def test_the_zone_file_is_read_by_a_name_server(cast: Cast, alice: Client) -> None:
    domain = make_domain(cast.hive, "mail.hive.example", verified=False)
    response = get(alice, f"{PATH}/{domain.pk}/zone")
    assert (
        response.headers["Content-Disposition"] == 'attachment; filename="mail.hive.example.zone"'
    )
    zone = dns.zone.from_text(text(response), check_origin=False)
    found = {
        (str(name), dns.rdatatype.to_text(data.rdtype)): next(iter(data)).to_text()
        for name, node in zone.nodes.items()
        for data in node.rdatasets
    }
    with tenant(cast.hive.pk):
        wanted = domain.to_publish()
    assert len(found) == len(wanted) == 5
    assert found["send.mail", "MX"] == "10 bounces.localhost."
    token = f'"queensmtp-verification={domain.verification_token}"'
    assert found["_queensmtp.mail", "TXT"] == token
    for one in wanted:
        if one.slug.startswith("dkim"):
            strings = found[one.name.removesuffix(".hive.example"), "TXT"]
            assert strings.replace('" "', "").strip('"') == one.value


def test_keys_are_rotated_and_withdrawn(cast: Cast, alice: Client) -> None:
    domain = make_domain(cast.hive, "hive.example")
    page = f"{PATH}/{domain.pk}"
    assert "give one private key as PEM" in text(
        post(alice, f"{page}/rotate", {"private_key": "x"})
    ).replace("Give", "give")
    assert post(alice, f"{page}/rotate", {}).status_code == 302
    assert "New DKIM keys wait until DNS shows both" in text(get(alice, page))
    assert post(alice, f"{page}/withdraw").status_code == 302
    with tenant(cast.hive.pk):
        assert DkimKey.objects.filter(state=DkimState.NEXT).count() == 0
        assert DkimKey.objects.filter(state=DkimState.SIGNING).count() == 2


def test_settings_are_changed(cast: Cast, alice: Client) -> None:
    domain = make_domain(cast.hive, "hive.example")
    path = f"{PATH}/{domain.pk}/settings"
    refused = post(alice, path, {"tracking_subdomain": "send"})
    assert "a CNAME stands alone" in text(refused)
    assert (
        post(alice, path, {"tracking_subdomain": "links", "open_tracking": "on"}).status_code == 302
    )
    found = only(cast)
    assert (found.tracking_subdomain, found.open_tracking) == ("links", True)
    assert "track.localhost" in text(get(alice, f"{PATH}/{domain.pk}"))
    post(alice, path, {"tracking_subdomain": ""})
    assert only(cast).tracking_subdomain == ""


@pytest.mark.parametrize(
    ("published", "words"),
    [
        (None, "There is no DMARC policy yet"),
        ("v=DMARC1; p=none; rua=mailto:a@hive.example", "p=quarantine; rua=mailto:a@hive.example"),
        ("v=DMARC1; p=quarantine", "v=DMARC1; p=reject; rua=mailto:dmarc-reports@hive.example"),
        ("v=DMARC1; p=reject; rua=mailto:a@hive.example", "There is no stricter policy"),
    ],
)
def test_the_adviser_tells_the_next_step(
    cast: Cast, alice: Client, zone: Zone, published: str | None, words: str
) -> None:
    domain = make_domain(cast.hive, "news.hive.example", verified=False)
    if published:
        zone.records["_dmarc.hive.example", "TXT"] = [published]
    check(domain)
    assert words in text(get(alice, f"{PATH}/{domain.pk}"))


def test_a_policy_of_the_domains_own_comes_first(cast: Cast, alice: Client, zone: Zone) -> None:
    domain = make_domain(cast.hive, "news.hive.example", verified=False)
    page = f"{PATH}/{domain.pk}"
    assert "DNS has not been looked at yet" in text(get(alice, page))
    zone.records["_dmarc.hive.example", "TXT"] = ["v=DMARC1; p=reject; rua=mailto:a@hive.example"]
    zone.records["_dmarc.news.hive.example", "TXT"] = [
        "v=DMARC1; p=none; rua=mailto:b@hive.example"
    ]
    check(domain)
    shown = text(get(alice, page))
    assert "v=DMARC1; p=quarantine; rua=mailto:b@hive.example" in shown
    assert "<code>_dmarc.news.hive.example</code>" in shown


def test_sender_identities_are_kept(cast: Cast, alice: Client) -> None:
    make_domain(cast.hive, "hive.example")
    assert "No identities yet" in text(get(alice, "/console/senders"))
    refused = post(alice, "/console/senders/new", {"email": "a@wasp.example"})
    assert "no verified domain of your account" in text(refused)
    body = {"name": "Hive", "email": "a@hive.example", "reply_to": ""}
    assert post(alice, "/console/senders/new", body).status_code == 302
    with tenant(cast.hive.pk):
        row = SenderIdentity.objects.get()
    assert post(alice, f"/console/senders/{row.pk}", body | {"name": "Bees"}).status_code == 302
    assert "Bees" in text(get(alice, "/console/senders"))
    assert post(alice, f"/console/senders/{row.pk}/remove").status_code == 302
    with tenant(cast.hive.pk):
        assert not SenderIdentity.objects.exists()


def test_charlie_gets_404_and_a_viewer_changes_nothing(cast: Cast) -> None:
    domain = make_domain(cast.hive, "hive.example")
    charlie = sign_in(cast.charlie.user)
    page = f"{PATH}/{domain.pk}"
    for path in ("", "/zone", "/settings", "/rotate", "/remove"):
        assert get(charlie, page + path).status_code == 404
    for path in ("/verify", "/withdraw", "/rotate", "/remove", "/settings"):
        assert post(charlie, page + path, {"typed_name": "hive.example"}).status_code == 404
    viewer = with_role(cast.hive, Role.VIEWER)
    assert "Verify now" not in text(get(viewer, page))
    assert post(viewer, f"{page}/remove", {"typed_name": "hive.example"}).status_code == 403
