"""The reference of the API as a page of /docs, made from the same document: no script, no CDN."""

import json
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from queensmtp.api_document import document
from queensmtp.operations import JSON


@dataclass(frozen=True)
class Call:
    """One operation as the page shows it."""

    id: str
    method: str
    path: str
    summary: str
    scope: str
    parameters: list[dict[str, Any]]
    body: str
    optional: list[str]
    status: str
    answer: str
    refusals: list[str]


def page(request: HttpRequest) -> HttpResponse:
    groups: dict[str, list[Call]] = defaultdict(list)
    for tag, call in _calls():
        groups[tag].append(call)
    events = [
        (name, one["post"]["summary"], _pretty(_content(one["post"]["requestBody"])["example"]))
        for name, one in document()["webhooks"].items()
    ]
    context = {"title": "API reference", "groups": sorted(groups.items()), "events": events}
    return render(request, "docs/api.html", context)


def _calls() -> Iterator[tuple[str, Call]]:
    for path, methods in document()["paths"].items():
        for method, operation in methods.items():
            yield operation["tags"][0], _call(path, method, operation)


def _call(path: str, method: str, operation: dict[str, Any]) -> Call:
    status, *refusals = operation["responses"]
    body = _content(operation.get("requestBody", {}))
    return Call(
        id=operation["operationId"],
        method=method.upper(),
        path=path,
        summary=operation["summary"],
        scope=operation["x-scope"],
        parameters=operation.get("parameters", []),
        body=_pretty(body.get("example")),
        optional=_optional(body.get("schema", {})),
        status=status,
        answer=_pretty(_content(operation["responses"][status]).get("example")),
        refusals=refusals,
    )


def _content(part: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = part.get("content", {}).get(JSON, {})
    return found


def _optional(schema: dict[str, Any]) -> list[str]:
    schema = schema.get("items", schema)
    return [name for name in schema.get("properties", {}) if name not in schema["required"]]


def _pretty(example: Any) -> str:
    return "" if example is None else json.dumps(example, ensure_ascii=False, indent=2)
