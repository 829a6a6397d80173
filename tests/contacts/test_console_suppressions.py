"""Suppressions in the console: find, add, take back with a note, import, export."""

from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from auditlog.models import Entry
from contacts import actions
from contacts.actions import Wanted
from contacts.models import Origin, Suppression
from queensmtp.ids import new_id
from queensmtp.tenancy import tenant
from tests.console import get, post, sign_in, text
from tests.factories.cast import Cast

PATH = "/console/suppressions"
HOSTILE = "<img src=x onerror=alert(1)>"


@pytest.fixture
def alice(cast: Cast) -> Client:
    return sign_in(cast.alice.user)


def suppress(cast: Cast, email: str, origin: Origin = Origin.BOUNCE, **more: Any) -> Suppression:
    with tenant(cast.hive.pk):
        wanted = [Wanted(email, origin, **more)]
        return actions.suppress(by=cast.alice.actor, wanted=wanted)[0]


def standing(cast: Cast) -> set[str]:
    with tenant(cast.hive.pk):
        return set(Suppression.objects.filter(removed_at=None).values_list("email", flat=True))


def test_filters_live_in_the_address(cast: Cast, alice: Client) -> None:
    for email, origin in (
        ("ann@wasp.example", Origin.BOUNCE),
        ("bea@wasp.example", Origin.COMPLAINT),
        ("cat@other.example", Origin.BOUNCE),
    ):
        suppress(cast, email, origin)
    taken_back = suppress(cast, "dan@other.example")
    with tenant(cast.hive.pk):
        actions.remove(by=cast.alice.actor, suppressions=[taken_back])

    def found(**query: str) -> list[str]:
        page = text(get(alice, PATH, **query))
        return [name for name in ("ann", "bea", "cat", "dan") if f">{name}@" in page]

    assert found() == ["ann", "bea", "cat"]
    assert found(search="ANN@wasp.example") == ["ann"]
    assert found(search="@wasp.example") == ["ann", "bea"]
    assert found(origin="bounce") == ["ann", "cat"]
    assert found(state="removed") == ["dan"]
    assert found(state="all", search="@other.example") == ["cat", "dan"]
    assert found(search="nonsense") == []
    assert "No suppression matches" in text(get(alice, PATH, search="x@y.example"))


def test_the_list_is_walked_by_cursor(
    cast: Cast, alice: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("contacts.views.ROWS", 2)
    oldest, middle, _ = (suppress(cast, f"{n}@wasp.example") for n in "abc")
    assert "a@wasp.example" not in text(get(alice, PATH))
    assert ">a@wasp.example" in text(get(alice, PATH, after=str(middle.pk)))
    assert ">c@wasp.example" in text(get(alice, PATH, before=str(oldest.pk)))
    assert get(alice, PATH, after="nonsense").status_code == 400


def test_addresses_are_added_with_a_reason(cast: Cast, alice: Client) -> None:
    given = {"emails": "Ann@wasp.example\r\n\r\nbea@wasp.example", "reason": "by telephone"}
    answer = post(alice, f"{PATH}/add", given)
    assert answer.status_code == 302
    assert standing(cast) == {"ann@wasp.example", "bea@wasp.example"}
    assert "Mail to 2 addresses is stopped." in text(get(alice, PATH))
    with tenant(cast.hive.pk):
        entry = Entry.objects.get(event="suppression.added")
    assert (entry.count, entry.actor_label) == (2, cast.alice.user.email)


@pytest.mark.parametrize(
    "fields",
    [
        {"emails": ""},
        {"emails": "ann"},
        {"emails": "\n".join(f"{n}@wasp.example" for n in range(101))},
        {"emails": "ann@wasp.example", "until": "2020-01-01"},
        {"emails": "ann@wasp.example", "until": "9999-12-31"},
        {"emails": "ann@wasp.example", "reason": "x" * 501},
    ],
)
def test_what_is_wrong_is_said_and_kept(cast: Cast, alice: Client, fields: Any) -> None:
    answer = post(alice, f"{PATH}/add", fields)
    assert answer.status_code == 200
    assert "Please mend this" in text(answer)
    assert standing(cast) == set()


def test_it_is_taken_back_with_a_note_that_names_who_did_it(cast: Cast, alice: Client) -> None:
    row = suppress(cast, "ann@wasp.example", reason=f"5.1.1 {HOSTILE}")
    page = text(get(alice, f"{PATH}/{row.pk}"))
    assert "Reactivate" in page and HOSTILE not in page
    assert "Please mend this" in text(post(alice, f"{PATH}/{row.pk}/remove", {"note": " "}))
    post(alice, f"{PATH}/{row.pk}/remove", {"note": "She wrote to us"})
    post(alice, f"{PATH}/{row.pk}/remove", {"note": "Again"})
    page = text(get(alice, f"{PATH}/{row.pk}"))
    assert f"by {cast.alice.user.email}: She wrote to us" in page
    assert standing(cast) == set()
    with tenant(cast.hive.pk):
        assert Entry.objects.get(event="suppression.removed").changes["note"] == "She wrote to us"


def upload(client: Client, content: str) -> str:
    file = SimpleUploadedFile("list.csv", content.encode(), content_type="text/csv")
    return text(
        client.post(f"{PATH}/import", {"file": file}, secure=True, follow=True)  # type: ignore[arg-type]
    )


def test_a_file_is_imported_and_its_faults_are_named(cast: Cast, alice: Client) -> None:
    suppress(cast, "ann@wasp.example")
    page = upload(alice, "email\nann@wasp.example\nbea@wasp.example\nnobody\n")
    assert "Mail to 2 addresses of the file is stopped." in page
    assert "1 line left out. Line 4" in page
    assert standing(cast) == {"ann@wasp.example", "bea@wasp.example"}
    with tenant(cast.hive.pk):
        assert Entry.objects.get(event="suppression.imported").count == 1


def test_a_file_without_addresses_is_refused(cast: Cast, alice: Client) -> None:
    assert "names no column" in upload(alice, "a,b\n1,2\n")
    assert "Please mend this" in upload(alice, "email\nnobody\n")
    assert "Please mend this" in text(post(alice, f"{PATH}/import", {"file": ""}))


def test_what_is_shown_is_exported(cast: Cast, alice: Client) -> None:
    suppress(cast, "ann@wasp.example", reason="=1+1")
    suppress(cast, "bea@other.example", Origin.COMPLAINT)
    answer = get(alice, f"{PATH}/export", search="@wasp.example")
    assert answer.headers["Content-Type"] == "text/csv"
    lines = text(answer).splitlines()
    assert lines[0] == "email,origin,reason,source_id,created_at,expires_at"
    assert lines[1].startswith("ann@wasp.example,bounce,'=1+1,") and len(lines) == 2
    with tenant(cast.hive.pk):
        entry = Entry.objects.get(event="suppression.exported")
    assert entry.changes == {"filters": {"search": "@wasp.example"}}


def test_too_many_to_export_are_not_cut_off_silently(
    cast: Cast, alice: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("contacts.views.EXPORTED_AT_MOST", 1)
    for email in ("ann@wasp.example", "bea@wasp.example"):
        suppress(cast, email)
    assert get(alice, f"{PATH}/export").status_code == 302
    assert "There are more than 1." in text(get(alice, PATH))


def test_charlie_finds_nothing(cast: Cast) -> None:
    row = suppress(cast, "ann@wasp.example")
    charlie = sign_in(cast.charlie.user)
    for id in (row.pk, new_id()):
        for tail in ("", "/remove"):
            assert get(charlie, f"{PATH}/{id}{tail}").status_code == 404
        assert post(charlie, f"{PATH}/{id}/remove", {"note": "x"}).status_code == 404
    assert "Nobody is suppressed" in text(get(charlie, PATH))
    assert "ann@" not in text(get(charlie, f"{PATH}/export"))
    assert standing(cast) == {"ann@wasp.example"}
