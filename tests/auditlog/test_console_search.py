"""The search box, saved views, verification, exports and retention in the console."""

from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test import Client

from auditlog import erasing, exporting, filters, qualifiers, retention
from auditlog.models import Entry, Erasure, Export, SavedView
from queensmtp.tenancy import tenant
from tests.console import get, post, sign_in, text
from tests.factories.auditlog import record_many, seal
from tests.factories.cast import Cast
from tests.roles import as_role

pytestmark = pytest.mark.django_db

LOG = "/console/audit-log"


@pytest.fixture
def alice(cast: Cast) -> Client:
    return sign_in(cast.alice.user)


@pytest.fixture(autouse=True)
def _folder(settings: Any, tmp_path: Path) -> None:
    settings.AUDIT_EXPORT_DIR = tmp_path


@pytest.mark.parametrize(
    ("typed", "query"),
    [
        ("", {}),
        ("event:api_key.*", {"event": ["api_key.*"]}),
        ("event:a.b event:c.d", {"event": ["a.b", "c.d"]}),
        ("key:0199 ip:10.0.0.0/8", {"key_id": ["0199"], "ip": ["10.0.0.0/8"]}),
        ("actor:user:42 outcome:refused", {"actor": ["user:42"], "outcome": ["refused"]}),
        ("after:2026-11-01", {"from": ["2026-11-01"]}),
        ("before:2026-11-02", {"to": ["2026-11-02T00:00Z"]}),
        ("request:0199 reads:true", {"request_id": ["0199"], "reads": ["true"]}),
        ('label:"unit:north west"', {"label": ["unit:north west"]}),
        ('"label:unit:north west"', {"label": ["unit:north west"]}),
        ("spring shop", {"q": ["spring shop"]}),
        ("it's #1 event:a.b", {"q": ["it's #1"], "event": ["a.b"]}),
        ('an "open quotation', {"q": ["an open quotation"]}),
        ("color:red", {"color": ["red"]}),
    ],
)
def test_the_search_box_reads_into_the_query(typed: str, query: dict[str, list[str]]) -> None:
    assert qualifiers.read(typed) == query
    assert qualifiers.read(qualifiers.write(query)) == (query if "color" not in query else {})


def test_every_filter_can_be_typed() -> None:
    assert {*qualifiers.NAMES.values()} == filters.NAMES


def test_what_is_typed_becomes_filters_in_the_address(alice: Client) -> None:
    answer = get(alice, LOG, search="event:api_key.* outcome:refused shop")
    assert answer.status_code == 302
    assert answer["Location"] == f"{LOG}?event=api_key.%2A&outcome=refused&q=shop"
    page = text(get(alice, LOG, event="api_key.*", outcome="refused", q="shop"))
    assert 'value="event:api_key.* outcome:refused shop"' in page
    assert 'value="refused" selected' in page


def test_a_typo_in_the_box_is_named_and_shows_nothing(alice: Client) -> None:
    answer = get(alice, LOG, search="evnet:api_key.created")
    page = text(get(alice, answer["Location"]))
    assert "There is no such filter" in page
    assert "user.signed_in</span>" not in page


def test_the_window_is_stated(alice: Client) -> None:
    assert "the last 90 days" in text(get(alice, LOG))


def save(client: Client, name: str, **more: str) -> None:
    post(client, f"{LOG}/views", {"name": name, "query": "event=api_key.%2A", **more})


def test_a_view_is_saved_shared_and_removed(cast: Cast, alice: Client) -> None:
    bob = sign_in(cast.bob.user)
    save(alice, "Keys of ours", is_shared="true")
    save(alice, "Only mine")
    assert "Keys of ours" in text(get(alice, LOG)) and "Only mine</a>" in text(get(alice, LOG))
    page = text(get(bob, LOG))
    assert "Keys of ours" in page and "?event=api_key.%2A" in page
    assert "Only mine</a>" not in page
    with tenant(cast.hive.pk):
        shared = SavedView.objects.get(name="Keys of ours")
    assert post(bob, f"{LOG}/views/{shared.pk}/remove").status_code == 404
    assert post(alice, f"{LOG}/views/{shared.pk}/remove").status_code == 302
    with tenant(cast.hive.pk):
        assert list(SavedView.objects.values_list("name", flat=True)) == ["Only mine"]
        events = Entry.objects.filter(event__startswith="audit_view.")
        assert sorted(events.values_list("event", flat=True)) == [
            "audit_view.removed",
            "audit_view.saved",
            "audit_view.saved",
        ]


def test_saving_a_view_again_replaces_it(cast: Cast, alice: Client) -> None:
    save(alice, "Keys")
    post(alice, f"{LOG}/views", {"name": "Keys", "query": "outcome=refused"})
    with tenant(cast.hive.pk):
        assert SavedView.objects.get().query == "outcome=refused"


def test_a_view_that_cannot_be_read_is_not_saved(cast: Cast, alice: Client) -> None:
    post(alice, f"{LOG}/views", {"name": "Keys", "query": "color=red"})
    post(alice, f"{LOG}/views", {"name": " ", "query": ""})
    with tenant(cast.hive.pk):
        assert not SavedView.objects.exists()


def test_charlie_sees_no_view_of_another_account(cast: Cast, alice: Client) -> None:
    save(alice, "Keys of ours", is_shared="true")
    assert "Keys of ours" not in text(get(sign_in(cast.charlie.user), LOG))


def test_what_is_shown_is_verified(cast: Cast, alice: Client) -> None:
    record_many(3, cast.hive.pk, event="domain.created")
    seal()
    record_many(1, cast.hive.pk, event="domain.created")
    page = text(get(alice, f"{LOG}/verify", event="domain.created"))
    assert "<strong>3</strong> sealed entries" in page and "1 not yet sealed" in page
    assert "Tree size" in page and "Head signed" in page


def test_a_changed_entry_is_named(cast: Cast, alice: Client) -> None:
    first, *_ = record_many(3, cast.hive.pk, event="domain.created")
    seal()
    with as_role("owner"), connection.cursor() as cursor:
        cursor.execute("ALTER TABLE auditlog_entry NO FORCE ROW LEVEL SECURITY")
        cursor.execute("ALTER TABLE auditlog_entry DISABLE TRIGGER USER")
        cursor.execute("UPDATE auditlog_entry SET target_label = 'x' WHERE id = %s", [first])
    page = text(get(alice, f"{LOG}/verify", event="domain.created"))
    assert "does not verify" in page
    assert f'{LOG}/{first}">{first}</a> not as it was sealed' in " ".join(page.split())


def test_an_export_is_asked_for_watched_and_fetched(cast: Cast, alice: Client) -> None:
    answer = post(
        alice, f"{LOG}/exports", {"search": "event:user.*", "format": "jsonl", "proofs": "on"}
    )
    assert answer.status_code == 302
    assert "queued" in text(get(alice, f"{LOG}/exports"))
    seal()
    with as_role("worker"):
        exporting.export_due()
    with tenant(cast.hive.pk):
        export = Export.objects.get()
    page = text(get(alice, f"{LOG}/exports"))
    assert export.sha256 in page and "event:user.*" in page
    file = get(alice, f"{LOG}/exports/{export.pk}/file")
    data = b"".join(file.streaming_content)  # type: ignore[attr-defined]
    assert data.startswith(b'{"object":"audit_export"') and b"user.signed_in" in data
    manifest = get(alice, f"{LOG}/exports/{export.pk}/manifest")
    assert export.sha256 in text(manifest)
    assert post(alice, f"{LOG}/exports/{export.pk}/again").status_code == 302
    with tenant(cast.hive.pk):
        again = Export.objects.order_by("id").last()
        assert again and (again.filters, again.proofs) == (export.filters, True)
        assert Entry.objects.filter(event="audit_export.downloaded").count() == 1
    assert post(alice, f"{LOG}/exports/{again.pk}/cancel").status_code == 302
    assert "canceled" in text(get(alice, f"{LOG}/exports"))


def test_an_export_that_cannot_be_read_says_why(alice: Client) -> None:
    answer = post(alice, f"{LOG}/exports", {"search": "ip:10.0.0.1/8", "format": "csv"})
    assert answer.status_code == 422
    assert "host bits" in text(answer)


def test_exports_ask_who_it_is_after_a_while(alice: Client) -> None:
    session = alice.session
    for record in session["account_authentication_methods"]:
        record["at"] = 0
    session.save()
    answer = get(alice, f"{LOG}/exports")
    assert answer.status_code == 302 and "reauthenticate" in answer["Location"]


def test_a_fall_that_was_announced_is_shown(cast: Cast, alice: Client) -> None:
    with as_role("worker"), tenant(cast.hive.pk):
        retention.follow_plan(account_id=cast.hive.pk, days=365)
        retention.follow_plan(account_id=cast.hive.pk, days=90)
    page = text(get(alice, f"{LOG}/retention"))
    assert "<strong>365 days</strong>" in page and "<strong>90 days</strong> from" in page
    assert "as the plan then gives 90" in page


def test_retention_is_raised_and_a_person_erased(cast: Cast, alice: Client) -> None:
    page = f"{LOG}/retention"
    assert "90 days" in text(get(alice, page))
    assert post(alice, page, {"days": "30"}).status_code == 422
    assert post(alice, page, {"days": "400"}).status_code == 302
    assert "400 days" in text(get(alice, page))
    wrong = post(alice, f"{LOG}/erasures", {"person": "outcome:refused", "understood": "on"})
    assert (wrong.status_code, "whose data" in text(wrong)) == (422, True)
    assert post(alice, f"{LOG}/erasures", {"person": "key 1"}).status_code == 422
    record_many(2, cast.hive.pk)
    seal()
    asked = post(alice, f"{LOG}/erasures", {"person": "key 1", "understood": "on"})
    assert asked.status_code == 302
    with as_role("worker"):
        assert erasing.erase_due() == 1
    with tenant(cast.hive.pk):
        assert Erasure.objects.get().entry_count == 1
