"""Members who may export the log are told when a file is ready."""

from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from accounts import export_notices
from accounts.models import Notice
from auditlog import exporting
from queensmtp.tenancy import tenant
from tests.factories.auditlog import seal
from tests.factories.cast import Cast
from tests.roles import as_role

pytestmark = pytest.mark.django_db


def export(cast: Cast) -> None:
    with tenant(cast.hive.pk):
        exporting.request(by=cast.alice.actor, format="csv", query={})
    seal()
    with as_role("worker"):
        exporting.export_due()


def tell() -> int:
    with as_role("worker"):
        return export_notices.tell_finished(now=timezone.now())


def test_a_finished_export_is_told_once(settings: Any, tmp_path: Path, cast: Cast) -> None:
    settings.AUDIT_EXPORT_DIR = tmp_path
    assert tell() == 0
    export(cast)
    assert (tell(), tell()) == (1, 0)
    with tenant(cast.hive.pk):
        notice = Notice.objects.get()
    assert (notice.to_right, notice.subject) == (
        "audit:export",
        "Your export of the audit log is ready",
    )
    assert "/console/audit-log/exports" in notice.text and "alice@" in notice.text


def test_a_failed_export_is_told_too(settings: Any, tmp_path: Path, cast: Cast) -> None:
    (tmp_path / "file").write_text("")
    settings.AUDIT_EXPORT_DIR = tmp_path / "file"
    export(cast)
    assert tell() == 1
    with tenant(cast.hive.pk):
        assert "failed: The file could not be written" in Notice.objects.get().text
