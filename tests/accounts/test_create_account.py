import pytest
from django.core.management import CommandError, call_command

from accounts.models import User
from accounts.seats import memberships_of
from tests.factories.cast import PASSWORD, Cast, make_person

COMMAND = "accounts.management.commands.create_account.getpass"


def test_an_account_gets_its_first_owner(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(COMMAND, lambda prompt: PASSWORD)
    call_command("create_account", "Hive", owner="Alice@alice.example", plan="enterprise")
    alice = User.objects.get(email="alice@alice.example")
    [membership] = memberships_of(alice.pk)
    assert (membership.role, membership.account.name) == ("owner", "Hive")
    assert membership.account.terms.audit_retention_days == 365
    assert alice.check_password(PASSWORD)


def test_a_person_who_is_known_keeps_their_password(cast: Cast) -> None:
    dana = make_person("dana")
    call_command("create_account", "Second", owner=dana.email)
    assert [one.account.name for one in memberships_of(dana.pk)] == ["Second"]


def test_a_weak_password_creates_nothing(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(COMMAND, lambda prompt: "short")
    with pytest.raises(CommandError, match="at least 15"):
        call_command("create_account", "Hive", owner="alice@alice.example")
    assert not User.objects.exists()
