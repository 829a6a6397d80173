import pytest
from django.db import IntegrityError, ProgrammingError, connection, transaction

from apikeys.models import ApiKey
from domains.models import DkimKey, Domain
from queensmtp.ids import new_id
from queensmtp.tenancy import current_account_id, tenant
from tests.factories.cast import Cast, make_domain
from tests.factories.keys import make_key


def test_without_a_tenant_there_are_no_rows(cast: Cast) -> None:
    make_key(cast.hive)

    assert ApiKey.objects.count() == 0


def test_a_tenant_sees_its_own_rows_only(cast: Cast) -> None:
    make_key(cast.hive)

    with tenant(cast.wasp.pk):
        assert ApiKey.objects.count() == 0
    with tenant(cast.hive.pk):
        assert ApiKey.objects.count() == 1


def test_the_outer_tenant_comes_back(cast: Cast) -> None:
    make_key(cast.hive)

    with tenant(cast.hive.pk):
        with tenant(cast.wasp.pk):
            assert ApiKey.objects.count() == 0
        assert ApiKey.objects.count() == 1
        assert current_account_id() == cast.hive.pk
    assert current_account_id() is None


def test_the_outer_tenant_comes_back_after_an_error(cast: Cast) -> None:
    with tenant(cast.hive.pk):
        with pytest.raises(RuntimeError), tenant(cast.wasp.pk):
            raise RuntimeError
        make_key(cast.hive)
        assert ApiKey.objects.count() == 1


def test_a_row_cannot_be_written_for_another_tenant(cast: Cast) -> None:
    with tenant(cast.hive.pk), pytest.raises(ProgrammingError), transaction.atomic():
        Domain.objects.create(account_id=cast.wasp.pk, name="hive.example")


def test_a_row_cannot_be_moved_to_another_tenant(cast: Cast) -> None:
    domain = make_domain(cast.hive, "hive.example")
    with tenant(cast.hive.pk), pytest.raises(ProgrammingError), transaction.atomic():
        Domain.objects.filter(pk=domain.pk).update(account_id=cast.wasp.pk)


def test_a_child_cannot_point_at_another_tenants_parent(cast: Cast) -> None:
    theirs = make_domain(cast.wasp, "wasp.example")
    with tenant(cast.hive.pk), pytest.raises(IntegrityError), transaction.atomic():
        DkimKey.objects.create(
            id=new_id(),
            account_id=cast.hive.pk,
            domain_id=theirs.pk,
            selector="x",
            algorithm="rsa-sha256",
            private_key=b"",
            public_key=b"",
        )
        connection.check_constraints()


@pytest.mark.django_db(transaction=True)
def test_a_connection_that_is_used_again_carries_no_tenant() -> None:
    with tenant(new_id()):
        pass
    with connection.cursor() as cursor:
        cursor.execute("SELECT NULLIF(current_setting('app.account_id', true), '')")
        assert cursor.fetchone() == (None,)
        cursor.execute("SELECT count(*) FROM apikeys_apikey")
        assert cursor.fetchone() == (0,)
