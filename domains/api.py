from uuid import UUID

from rest_framework.response import Response

from domains import actions, payloads, rotation, serializers
from domains.audit import Event
from domains.models import Domain
from queensmtp import pagination
from queensmtp.api import ApiView
from queensmtp.errors import NotFound
from queensmtp.requests import ApiRequest
from queensmtp.scopes import Scope

# Resend lists every domain when no limit is given; beyond this, `has_more` says there are more.
LISTED_AT_ONCE = 10_000


class Domains(ApiView):
    """/v1/domains"""

    scope = {"GET": Scope.DOMAINS_READ, "POST": Scope.DOMAINS_WRITE}
    audit_events = {"GET": Event.LISTED, "POST": Event.CREATED}

    def get(self, request: ApiRequest) -> Response:
        rows = Domain.objects.standing().filter(account_id=request.actor.tenant_id)
        cursor = pagination.read_cursor(request.query_params, default_limit=LISTED_AT_ONCE)
        return Response(pagination.list_body(pagination.page(rows, cursor), payloads.listed))

    def post(self, request: ApiRequest) -> Response:
        name, settings = serializers.read_create(request.data)
        domain = actions.create(by=request.actor, name=name, settings=settings)
        return Response(payloads.created(domain), status=201)


class OneDomain(ApiView):
    """/v1/domains/{id}"""

    scope = {
        "GET": Scope.DOMAINS_READ,
        "PATCH": Scope.DOMAINS_WRITE,
        "DELETE": Scope.DOMAINS_WRITE,
    }
    audit_events = {"GET": Event.READ, "PATCH": Event.UPDATED, "DELETE": Event.REMOVED}

    def get(self, request: ApiRequest, domain_id: UUID) -> Response:
        domain = get_domain(request, domain_id)
        request._request.audit_target = actions.target(domain)
        return Response(payloads.whole(domain))

    def patch(self, request: ApiRequest, domain_id: UUID) -> Response:
        domain = get_domain(request, domain_id)
        changes = serializers.read_changes(request.data)
        serializers.refuse_tracking_on_return_path(changes, domain)
        actions.update(by=request.actor, domain=domain, changes=changes)
        request._request.audit_target = actions.target(domain)
        return Response(payloads.brief(domain))

    def delete(self, request: ApiRequest, domain_id: UUID) -> Response:
        domain = actions.remove(by=request.actor, domain=get_domain(request, domain_id))
        return Response(payloads.brief(domain, deleted=True))


class DomainVerification(ApiView):
    """POST /v1/domains/{id}/verify"""

    scope = Scope.DOMAINS_WRITE
    audit_events = {"POST": Event.CHECK_REQUESTED}

    def post(self, request: ApiRequest, domain_id: UUID) -> Response:
        domain = actions.request_check(by=request.actor, domain=get_domain(request, domain_id))
        return Response(payloads.brief(domain))


class DkimRotation(ApiView):
    """/v1/domains/{id}/dkim/rotate: ours, and strict."""

    scope = Scope.DOMAINS_WRITE
    audit_events = {"POST": Event.KEY_PREPARED, "DELETE": Event.KEY_WITHDRAWN}
    without_fields = ("DELETE",)

    def post(self, request: ApiRequest, domain_id: UUID) -> Response:
        domain = get_domain(request, domain_id)
        selector, own = serializers.read_rotation(request.data)
        rotation.prepare(by=request.actor, domain=domain, selector=selector, own=own)
        return Response(payloads.whole(domain), status=201)

    def delete(self, request: ApiRequest, domain_id: UUID) -> Response:
        domain = get_domain(request, domain_id)
        rotation.withdraw(by=request.actor, domain=domain)
        return Response(payloads.whole(domain))


def get_domain(request: ApiRequest, domain_id: UUID) -> Domain:
    own = Domain.objects.standing().filter(account_id=request.actor.tenant_id)
    domain = own.filter(pk=domain_id).first()
    if domain is None:
        raise NotFound("Domain not found")
    return domain
