"""A person in front of the console: signs in by the form, as people do."""

from collections.abc import Mapping

from django.http import HttpResponse
from django.test import Client

from accounts.models import User
from tests.factories.cast import PASSWORD

LOGIN = "/accounts/login/"


def sign_in(user: User, *, password: str = PASSWORD, enforces_csrf: bool = False) -> Client:
    client = Client(enforce_csrf_checks=enforces_csrf)
    response = post(client, LOGIN, {"login": user.email, "password": password})
    assert response.status_code == 302, "the sign-in was refused"
    return client


def get(client: Client, path: str, **query: str) -> HttpResponse:
    return client.get(path, query, secure=True)  # type: ignore[return-value]


def post(client: Client, path: str, data: Mapping[str, object] | None = None) -> HttpResponse:
    return client.post(path, data or {}, secure=True)  # type: ignore[return-value]


def text(response: HttpResponse) -> str:
    return response.content.decode()
