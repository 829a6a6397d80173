"""What every API view shares: one error shape, one tenant transaction a request."""

import logging
from collections.abc import Collection
from contextlib import AbstractContextManager, nullcontext
from typing import Any, ClassVar, cast

import orjson
from django.core.exceptions import PermissionDenied, RequestDataTooBig
from django.db import InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse
from rest_framework import exceptions
from rest_framework.views import APIView

from queensmtp import errors, redaction, tenancy
from queensmtp.errors import ApiError, FieldError, SecretOutOfPlace, refuse_field
from queensmtp.requests import ApiRequest, TracedRequest
from queensmtp.scopes import PUBLIC

PROBLEM_JSON = "application/problem+json"
METHODS_WITH_BODY = ("POST", "PATCH")

logger = logging.getLogger(__name__)


class ApiView(APIView):
    """A resource under /v1. It declares its scope, or cannot be reached."""

    # One scope for the view, or one for each method.
    scope: ClassVar[str | dict[str, str]]
    # The audit event of each method: written by actions, or by the middleware for what they
    # do not see (reads, refusals).
    audit_events: ClassVar[dict[str, str]] = {}
    # Whether its requests may hold keys and signing secrets; anywhere else they are refused, so
    # that no secret is stored in a name or a note.
    takes_secrets: ClassVar[bool] = False
    # Methods of our own resources that take no fields, and refuse any.
    without_fields: ClassVar[Collection[str]] = ()

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """DRF's dispatch, with the handler inside the tenant's transaction."""
        self.args, self.kwargs = args, kwargs
        wrapped = cast(ApiRequest, self.initialize_request(request, *args, **kwargs))
        self.request = wrapped
        self.headers = self.default_response_headers
        wrapped._request.audit_event = self.audit_events.get(str(request.method))
        try:
            self.initial(wrapped, *args, **kwargs)
            self.refuse_secrets(wrapped)
            self.refuse_fields(wrapped)
            handler = getattr(self, str(wrapped.method).lower(), self.http_method_not_allowed)
            with self.unit_of_work(wrapped):
                response = handler(wrapped, *args, **kwargs)
        except Exception as error:  # noqa: BLE001 - DRF's own edge: rendered or raised again
            response = self.handle_exception(error)
        self.response = self.finalize_response(wrapped, response, *args, **kwargs)
        return self.response

    @classmethod
    def scope_for(cls, method: str) -> str | None:
        """The scope that a method needs; None when none was declared, which nobody has."""
        declared = getattr(cls, "scope", None)
        if isinstance(declared, dict):
            return declared.get(method)
        return declared

    def refuse_secrets(self, request: ApiRequest) -> None:
        """Name the place and not the value: the answer may be logged by whoever reads it."""
        if self.takes_secrets:
            return
        if redaction.holds_secret(dict(request.query_params.lists())):
            raise SecretOutOfPlace("The query holds an API key or a signing secret; remove it.")
        # The body of a read is not looked at, nor that of a method that there is not.
        has_body = request.method in METHODS_WITH_BODY and hasattr(self, request.method.lower())
        if has_body and redaction.holds_secret(request.data):
            raise SecretOutOfPlace("The body holds an API key or a signing secret; remove it.")

    def refuse_fields(self, request: ApiRequest) -> None:
        """Who sends a field to a call that has none believes that it means something."""
        if request.method in self.without_fields and request.data:
            name = str(next(iter(request.data)))[:100] if isinstance(request.data, dict) else ""
            raise refuse_field(name, "unknown", "this call takes no fields.")

    def unit_of_work(self, request: ApiRequest) -> AbstractContextManager[None]:
        if self.scope_for(str(request.method)) == PUBLIC:
            return nullcontext()
        return tenancy.tenant(request.actor.tenant_id)


def error_response(request: TracedRequest, error: ApiError) -> HttpResponse:
    """Any refusal, in the shape that the caller's `Accept` asks for."""
    request.error_name = error.name
    request_id = request.origin.request_id
    wants_problem = PROBLEM_JSON in request.META.get("HTTP_ACCEPT", "")
    shape = errors.problem_of if wants_problem else errors.body_of
    body = shape(error, request_id=request_id)
    return HttpResponse(
        redaction.without_secrets(orjson.dumps(body).decode()),
        status=error.status,
        content_type=PROBLEM_JSON if wants_problem else "application/json",
        headers=error.headers,
    )


def render_error(exc: Exception, context: dict[str, Any]) -> HttpResponse | None:
    """DRF's exception handler; None lets a bug rise to the 500 page."""
    known = known_error(exc)
    if known is None:
        return None
    if isinstance(known, errors.MethodNotAllowed):
        known = errors.MethodNotAllowed(context["view"].allowed_methods)
    return error_response(context["request"]._request, known)


def known_error(exc: Exception) -> ApiError | None:
    """The refusal that an exception of Django or DRF means."""
    if isinstance(exc, ApiError):
        return exc
    if isinstance(exc, Http404):
        return errors.NotFound()
    if isinstance(exc, RequestDataTooBig):
        return errors.PayloadTooLarge()
    if isinstance(exc, exceptions.ValidationError):
        return errors.ValidationFailed(errors=list(_field_errors(exc.detail)))
    if isinstance(exc, exceptions.MethodNotAllowed):
        return errors.MethodNotAllowed()
    if isinstance(exc, exceptions.ParseError):
        return errors.MalformedRequest()
    if isinstance(exc, exceptions.NotAuthenticated | exceptions.AuthenticationFailed):
        return errors.MissingApiKey()
    if isinstance(exc, exceptions.PermissionDenied | PermissionDenied):
        return errors.PermissionRefused("This is not allowed.")
    if isinstance(exc, OperationalError | InterfaceError):
        logger.error("database_failed_a_request", exc_info=exc)
        return errors.Unavailable()
    return None


def _field_errors(detail: Any, path: str = "") -> Any:
    if isinstance(detail, dict):
        for name, inner in detail.items():
            yield from _field_errors(inner, f"{path}.{name}" if path else str(name))
    elif isinstance(detail, list):
        for inner in detail:
            yield from _field_errors(inner, path)
    else:
        yield FieldError(path, getattr(detail, "code", "invalid"), str(detail))


def json_response(body: Any, *, status: int = 200) -> HttpResponse:
    """A JSON answer of a view that is not DRF's."""
    return HttpResponse(orjson.dumps(body), status=status, content_type="application/json")
