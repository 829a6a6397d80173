"""Whether this process lives, and whether it can do its work."""

from django.db import DatabaseError, connection
from django.http import HttpRequest, HttpResponse

from queensmtp import valkey
from queensmtp.api import json_response


def live(request: HttpRequest) -> HttpResponse:
    """200 as long as the process answers."""
    return json_response({"status": "ok"})


def ready(request: HttpRequest) -> HttpResponse:
    """200 when Postgres answers. Valkey may be down: mail is accepted without it."""
    database, bell = _database_answers(), _valkey_answers()
    body = {"status": "ok" if database else "down", "postgres": database, "valkey": bell}
    return json_response(body, status=200 if database else 503)


def _database_answers() -> bool:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError:
        return False
    return True


def _valkey_answers() -> bool:
    try:
        return bool(valkey.ask(lambda client: client.ping()))
    except valkey.ValkeyDown:
        return False
