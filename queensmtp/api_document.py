"""The OpenAPI document at /v1/openapi.json: routes, scopes, errors, examples and webhooks.

drf-spectacular walks the routes; what each takes and answers is told by the tables of the apps
(`queensmtp.operations`), so that an example is the only place where a shape is written down.
"""

import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, cast

import orjson
from django.http import HttpResponse
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.openapi import AutoSchema

from apikeys.openapi import OPERATIONS as OF_KEYS
from auditlog.openapi import OPERATIONS as OF_AUDIT_LOG
from contacts.openapi import OPERATIONS as OF_CONTACTS
from domains.openapi import OPERATIONS as OF_DOMAINS
from queensmtp import errors
from queensmtp.api import ApiView
from queensmtp.errors import ApiError
from queensmtp.operations import JSON, Operation
from queensmtp.requests import ApiRequest
from queensmtp.scopes import PUBLIC
from queensmtp.shapes import schema_of
from sending.errors import DailyQuotaExceeded, MonthlyQuotaExceeded
from sending.openapi import OPERATIONS as OF_SENDING
from webhooks.catalogue import CATALOGUE, EventType
from webhooks.openapi import OPERATIONS as OF_WEBHOOKS

PREFIX = "/v1/"
OPERATIONS: dict[str, Operation] = {
    **OF_SENDING,
    **OF_KEYS,
    **OF_DOMAINS,
    **OF_CONTACTS,
    **OF_WEBHOOKS,
    **OF_AUDIT_LOG,
    "GET /v1/openapi.json": Operation(
        summary="This document", answer={"openapi": "3.1.0", "info": {}, "paths": {}}
    ),
}
PARAMETER = re.compile(r"{(\w+)}")
PROBLEM_JSON = "application/problem+json"
REQUEST_ID = "0199a1b2-7d5f-7c31-9d6e-2f1f7a3f9b10"

DESCRIPTION = """\
Send mail, see what became of it, and prove it. Every call needs a key in
`Authorization: Bearer qs_…`, and the scope that stands at it as `x-scope`; those marked `public`
need neither. Objects of other accounts are answered with 404. Errors have one shape; ask with
`Accept: application/problem+json` and they come as RFC 9457 has it."""

SECURITY: Mapping[str, Any] = {
    "key": {
        "type": "http",
        "scheme": "bearer",
        "description": "An API key: `qs_prod_…`, `qs_stag_…` or `qs_dev_…`.",
    }
}
OF_EVERY_KEY = (errors.MissingApiKey, errors.InvalidApiKey, errors.IpNotAllowed)
OF_EVERY_SCOPE = (errors.InsufficientScope,)
OF_EVERYONE = (errors.RateLimited, errors.ServerFault, errors.Unavailable)
# What the statuses that an operation adds stand for.
BY_STATUS: Mapping[int, tuple[type[ApiError], ...]] = {
    400: (errors.MalformedRequest,),
    403: (errors.PermissionRefused,),
    404: (errors.NotFound,),
    408: (errors.RequestTimedOut,),
    409: (errors.Conflict,),
    413: (errors.PayloadTooLarge,),
    415: (errors.UnsupportedMediaType,),
    422: (errors.ValidationFailed, errors.MissingField),
    429: (DailyQuotaExceeded, MonthlyQuotaExceeded),
}


class ApiSchema(AutoSchema):
    """What one method of an `ApiView` takes and answers."""

    def get_operation(
        self, path: str, path_regex: str, path_prefix: str, method: str, registry: Any
    ) -> dict[str, Any]:
        view = cast(ApiView, self.view)
        told = OPERATIONS.get(f"{method} {path}") or Operation(summary=_first_line(view))
        return _operation(path, method, told, scope=view.scope_for(method))


class ApiGenerator(SchemaGenerator):
    """The routes of DRF, and the plain views of the hot path beside them."""

    def parse(self, input_request: Any, public: bool) -> dict[str, Any]:
        paths: dict[str, Any] = super().parse(input_request, public)  # type: ignore[no-untyped-call]
        for name, told in OPERATIONS.items():
            method, path = name.split(" ")
            if told.scope and method.lower() not in paths.get(path, {}):
                operation = _operation(path, method, told, scope=told.scope)
                paths.setdefault(path, {})[method.lower()] = operation
        return paths

    def get_schema(self, request: Any = None, public: bool = False) -> dict[str, Any]:
        document: dict[str, Any] = super().get_schema(request, public)  # type: ignore[no-untyped-call]
        document["info"]["description"] = DESCRIPTION
        document["servers"] = [{"url": "/"}]
        document["webhooks"] = {one.name: _webhook(one) for one in CATALOGUE.values()}
        document["components"] = {
            "securitySchemes": dict(SECURITY),
            "schemas": {"Error": _error_schema(), "Problem": _problem_schema()},
            "responses": _hoisted(document["paths"]),
        }
        return document


class OpenApi(ApiView):
    """/v1/openapi.json"""

    scope = PUBLIC
    authentication_classes = ()

    def get(self, request: ApiRequest) -> HttpResponse:
        return HttpResponse(_bytes(), content_type=JSON, headers={"Cache-Control": "max-age=300"})


@cache
def document() -> dict[str, Any]:
    """Made once in a process: routes do not change while it runs."""
    generator = ApiGenerator(urlconf="queensmtp.urls")  # type: ignore[no-untyped-call]
    made: dict[str, Any] = generator.get_schema(public=True)
    return made


@cache
def _bytes() -> bytes:
    return orjson.dumps(document())


def _operation(path: str, method: str, told: Operation, *, scope: str | None) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": _id_of(path, method),
        "summary": told.summary,
        "tags": [path.removeprefix(PREFIX).split("/")[0].removesuffix(".json")],
        "x-scope": scope,
        "security": [] if scope == PUBLIC else [{"key": []}],
        "responses": {
            str(told.status): _success(told),
            **dict(_refusals(path, told, scope=scope)),
        },
    }
    if parameters := [*_parameters(path, told)]:
        operation["parameters"] = parameters
    if told.body is not None:
        operation["requestBody"] = {
            "required": True,
            "content": _content(told.body, optional=told.optional, nullable=told.nullable),
        }
    return operation


def _success(told: Operation) -> dict[str, Any]:
    answer = {"description": "It went well."}
    if told.media_type != JSON:
        return {**answer, "content": {told.media_type: {"schema": {"type": "string"}}}}
    example = {} if told.answer is None else told.answer
    content = _content(example, optional=told.optional_in_answer, nullable=told.nullable)
    return {**answer, "content": content}


def _content(example: Any, **rules: Any) -> dict[str, Any]:
    return {JSON: {"schema": schema_of(example, **rules), "example": example}}


def _parameters(path: str, told: Operation) -> Iterator[dict[str, Any]]:
    for name in PARAMETER.findall(path):
        yield _parameter("path", name, "", required=True)
    for name, sentence in told.query.items():
        yield _parameter("query", name, sentence)
    for name, sentence in told.headers.items():
        yield _parameter("header", name, sentence)


def _parameter(
    place: str, name: str, description: str, *, required: bool = False
) -> dict[str, Any]:
    schema = {"type": "integer"} if name == "limit" else {"type": "string"}
    parameter = {"in": place, "name": name, "required": required, "schema": schema}
    return {**parameter, "description": description} if description else parameter


def _refusals(
    path: str, told: Operation, *, scope: str | None
) -> Iterator[tuple[str, dict[str, Any]]]:
    kinds: list[type[ApiError]] = [*OF_EVERYONE]
    if scope != PUBLIC:
        kinds += [*OF_EVERY_KEY, *OF_EVERY_SCOPE]
    statuses = set(told.errors)
    if PARAMETER.search(path):
        statuses.add(404)
    if told.body is not None:
        statuses |= {400, 413, 415, 422}
    if told.query:
        statuses.add(422)
    for status in statuses:
        kinds += BY_STATUS[status]
    for status in sorted({kind.status for kind in kinds}):
        yield str(status), _refusal([kind for kind in kinds if kind.status == status])


def _refusal(kinds: list[type[ApiError]]) -> dict[str, Any]:
    """One answer for each name of a status, as the caller would read it."""
    examples = {
        kind.name: {
            "summary": _first_line(kind),
            "value": errors.body_of(kind(), request_id=REQUEST_ID),
        }
        for kind in kinds
    }
    reference = {"$ref": "#/components/schemas/Error"}
    return {
        "description": " ".join(_first_line(kind) for kind in kinds),
        "content": {
            JSON: {"schema": reference, "examples": examples},
            PROBLEM_JSON: {"schema": {"$ref": "#/components/schemas/Problem"}},
        },
    }


def _hoisted(paths: dict[str, Any]) -> dict[str, Any]:
    """Take the refusals, which are alike in most operations, out of them and name each once."""
    found: dict[str, Any] = {}
    for path in paths.values():
        for operation in path.values():
            for status, answer in operation["responses"].items():
                if status >= "400":
                    name = "_or_".join([status, *answer["content"][JSON]["examples"]])
                    found[name] = answer
                    reference = {"$ref": f"#/components/responses/{name}"}
                    operation["responses"][status] = reference
    return dict(sorted(found.items()))


def _webhook(one: EventType) -> dict[str, Any]:
    return {
        "post": {
            "operationId": one.name,
            "summary": one.meaning,
            "tags": ["events"],
            "requestBody": {
                "required": True,
                "content": {JSON: {"schema": one.schema, "example": one.example}},
            },
            "responses": {"2XX": {"description": "Received. Anything else is tried again."}},
        }
    }


def _error_schema() -> dict[str, Any]:
    refusal = errors.refuse_field("from", "invalid_address", "give one address.")
    body = errors.body_of(refusal, request_id=REQUEST_ID)
    schema = schema_of(body)
    names = {kind.name for kind in _all_kinds(ApiError)}
    schema["properties"]["name"]["enum"] = sorted(names)
    return schema


def _problem_schema() -> dict[str, Any]:
    refusal = errors.refuse_field("from", "invalid_address", "give one address.")
    return schema_of(errors.problem_of(refusal, request_id=REQUEST_ID))


def _all_kinds(kind: type[ApiError]) -> Iterator[type[ApiError]]:
    yield kind
    for narrower in kind.__subclasses__():
        yield from _all_kinds(narrower)


def _id_of(path: str, method: str) -> str:
    words = [word.strip("{}") for word in re.split(r"[/.-]", path.removeprefix(PREFIX))]
    return "_".join([method.lower(), *words])


def _first_line(thing: object) -> str:
    return (getattr(thing, "__doc__", None) or "").strip().split("\n")[0]
