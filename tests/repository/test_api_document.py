"""What /v1/openapi.json says is what there is: every route, its scope, sound examples."""

import re
from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest
from django.test import Client
from django.urls import URLPattern
from drf_spectacular.validation import validate_schema

from queensmtp.api import ApiView
from queensmtp.api_document import OPERATIONS, document
from queensmtp.scopes import ALL, PUBLIC
from queensmtp.urls import api_urlpatterns
from webhooks.payloads import EVENT_TYPES

CONVERTER = re.compile(r"<(?:\w+:)?(\w+)>")
METHODS = ("get", "post", "put", "patch", "delete")


def operations() -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in document()["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


def path_of(pattern: URLPattern) -> str:
    return "/v1/" + CONVERTER.sub(r"{\1}", str(pattern.pattern))


def view_of(pattern: URLPattern) -> type[ApiView] | None:
    return getattr(pattern.callback, "view_class", None)


def test_every_route_under_v1_is_in_the_document() -> None:
    missing = []
    for pattern in api_urlpatterns:
        view, told = view_of(pattern), document()["paths"].get(path_of(pattern), {})
        there = {method for method in METHODS if hasattr(view, method)} if view else set()
        if not told or there - set(told):
            missing.append(path_of(pattern))
    assert not missing, f"Tell of them in the app's openapi.py (queensmtp/operations.py): {missing}"


def test_every_operation_says_which_scope_it_needs_and_the_view_agrees() -> None:
    scopes = {name: operation["x-scope"] for name, operation in operations()}
    assert {name for name, scope in scopes.items() if scope not in {*ALL, PUBLIC}} == set()
    for pattern in api_urlpatterns:
        view = view_of(pattern)
        for method in METHODS if view else ():
            if hasattr(view, method):
                name = f"{method.upper()} {path_of(pattern)}"
                assert scopes[name] == view.scope_for(method.upper()), name  # type: ignore[union-attr]


def test_what_needs_a_key_says_so_and_what_can_go_wrong() -> None:
    for name, operation in operations():
        is_public = operation["x-scope"] == PUBLIC
        assert operation["security"] == ([] if is_public else [{"key": []}]), name
        assert is_public or {"401", "403", "429"} <= set(operation["responses"]), name
        assert "404" in operation["responses"] or "{" not in name, name


def test_the_tables_tell_of_no_route_that_there_is_not() -> None:
    assert set(OPERATIONS) - {name for name, _ in operations()} == set()


def test_operations_have_names_of_their_own() -> None:
    ids = [operation["operationId"] for _, operation in operations()]
    assert len(set(ids)) == len(ids)


def test_the_document_is_sound_openapi_3_1() -> None:
    assert document()["openapi"].startswith("3.1")
    validate_schema(document())  # type: ignore[no-untyped-call]


def test_every_example_fits_its_schema() -> None:
    contents = [
        (name, part["content"].get("application/json"))
        for name, operation in operations()
        for part in (operation.get("requestBody"), *operation["responses"].values())
        if part and "content" in part
    ]
    assert len(contents) > 50
    for name, content in contents:
        if content is not None:
            check(name, content["example"], content["schema"])


def check(name: str, example: Any, schema: dict[str, Any]) -> None:
    try:
        jsonschema.Draft202012Validator(schema).validate(example)
    except jsonschema.ValidationError as error:
        pytest.fail(f"{name}: {error.message}")


def test_every_error_answer_fits_the_one_shape() -> None:
    parts = document()["components"]
    shape = parts["schemas"]["Error"]
    for name, answer in parts["responses"].items():
        for example in answer["content"]["application/json"]["examples"].values():
            check(name, example["value"], shape)
            assert name.startswith(str(example["value"]["statusCode"]))


def test_every_event_of_the_catalogue_has_its_schema_and_example() -> None:
    told = document()["webhooks"]
    assert tuple(told) == EVENT_TYPES
    for name, one in told.items():
        content = one["post"]["requestBody"]["content"]["application/json"]
        assert content["example"]["type"] == name
        check(name, content["example"], content["schema"])


def test_anybody_may_read_it(client: Client) -> None:
    answer = client.get("/v1/openapi.json", secure=True)
    assert answer.status_code == 200
    assert answer["Content-Type"] == "application/json"
    assert answer.json()["paths"].keys() == document()["paths"].keys()


def test_the_reference_page_shows_every_call_and_every_event(client: Client) -> None:
    page = client.get("/docs/api", secure=True).content.decode()
    shown = set(re.findall(r'<details id="([^"]+)"', page))
    ids = {operation["operationId"] for _, operation in operations()}
    assert shown == ids | set(EVENT_TYPES)
    assert "<script" not in page.split('<main id="main"')[1]
