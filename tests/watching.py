"""Watches every console request of every test: what changes a row must leave an entry."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.conf import settings
from django.db import connection
from django.http import HttpRequest, HttpResponse

from accounts.middleware import ConsoleTenant
from auditlog import recording
from auditlog.models import Entry
from queensmtp.tenancy import tenant

_WRITE = re.compile(r'\s*(?:INSERT INTO|UPDATE|DELETE FROM) "?(\w+)"?', re.IGNORECASE)
# The log itself, sessions, and what only remembers that somebody was there.
UNRECORDED = {
    "django_session",
    "usersessions_usersession",
    # allauth's copy of a person's address.
    "account_emailaddress",
    "accounts_notice",
    "auditlog_entry",
    "auditlog_pending",
    "auditlog_publicationrequest",
}


def written_by(sql: str) -> str | None:
    match = _WRITE.match(sql)
    return match[1] if match and match[1] not in UNRECORDED else None


@contextmanager
def _written() -> Iterator[set[str]]:
    tables: set[str] = set()

    def watch(
        execute: Callable[..., Any], sql: str, params: Any, many: bool, context: dict[str, Any]
    ) -> Any:
        result = execute(sql, params, many, context)
        table = written_by(str(sql))
        if table and context["cursor"].rowcount:
            tables.add(table)
        return result

    with connection.execute_wrapper(watch):
        yield tables


def _has_entry(request: Any) -> bool:
    """Whether a statement of its own wrote the entry, beside what it changed."""
    account = getattr(request, "account", None)
    if account is None:
        return False
    with tenant(account.pk):
        return Entry.objects.filter(request_id=request.origin.request_id).exists()


def watch_the_console(patch: pytest.MonkeyPatch) -> None:
    original = ConsoleTenant.__call__

    def watched(self: ConsoleTenant, request: HttpRequest) -> HttpResponse:
        if not request.path.startswith(settings.CONSOLE_PREFIXES):
            return original(self, request)
        with recording.watched() as recorded, _written() as tables:
            answer = original(self, request)
        if answer.status_code < 400 and tables and not (recorded or _has_entry(request)):
            raise AssertionError(
                f"{request.method} {request.path} wrote {sorted(tables)} and left no audit entry"
            )
        return answer

    patch.setattr(ConsoleTenant, "__call__", watched)
