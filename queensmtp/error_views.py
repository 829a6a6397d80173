"""The last resort for what no view answered: JSON under /v1, a page in the console."""

from typing import Any

from django.http import HttpResponse
from django.shortcuts import render

from queensmtp import errors
from queensmtp.actors import NOWHERE
from queensmtp.api import error_response
from queensmtp.requests import TracedRequest

API_PREFIX = "/v1"


def is_api(request: TracedRequest) -> bool:
    return request.path == API_PREFIX or request.path.startswith(API_PREFIX + "/")


def bad_request(request: TracedRequest, exception: Exception) -> HttpResponse:
    return _answer(request, errors.MalformedRequest(), "400.html")


def forbidden(request: TracedRequest, exception: Exception) -> HttpResponse:
    return _answer(request, errors.PermissionRefused("This is not allowed."), "403.html")


def csrf_failure(request: TracedRequest, reason: str = "") -> HttpResponse:
    return _answer(request, errors.PermissionRefused("The form has expired."), "403_csrf.html")


def not_found(request: TracedRequest, exception: Exception | None = None) -> HttpResponse:
    return _answer(request, errors.NotFound(f"There is no `{request.path[:200]}`."), "404.html")


def server_error(request: TracedRequest) -> HttpResponse:
    return _answer(request, errors.ServerFault(), "500.html")


def _answer(request: TracedRequest, error: errors.ApiError, template: str) -> HttpResponse:
    if not hasattr(request, "origin"):
        request.origin = NOWHERE
    if is_api(request):
        return error_response(request, error)
    context: dict[str, Any] = {"error": error, "request_id": request.origin.request_id}
    return render(request, template, context, status=error.status)
