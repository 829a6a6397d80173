from typing import Any, cast

from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from apikeys import policy
from queensmtp.errors import InsufficientScope
from queensmtp.requests import ApiRequest
from queensmtp.scopes import PUBLIC


class HasScope(BasePermission):
    """The scope that the view declares. A view that declares none cannot be reached."""

    def has_permission(self, request: Request, view: Any) -> bool:
        if str(request.method).lower() not in view.http_method_names or not hasattr(
            view, str(request.method).lower()
        ):
            return True
        scope = view.scope_for(str(request.method))
        if scope == PUBLIC:
            return True
        if scope is None:
            raise InsufficientScope("This endpoint declares no scope and cannot be reached.")
        refusal = policy.authorise(cast(ApiRequest, request).key, scope=scope)
        if refusal is not None:
            cast(ApiRequest, request)._request.refusal_reason = refusal.reason
            raise refusal.error
        return True
