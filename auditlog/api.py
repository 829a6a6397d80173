from typing import Any, ClassVar, cast
from uuid import UUID

from django.http import HttpResponse
from rest_framework.request import Request
from rest_framework.response import Response

from auditlog import filters, proofs, queries, receipts, search, serializers
from auditlog.audit import Event
from auditlog.models import Entry, Leaf
from queensmtp.actors import Target
from queensmtp.api import ApiView
from queensmtp.errors import InsufficientScope, NotFound, refuse_field
from queensmtp.ids import find_id
from queensmtp.pagination import list_body, read_cursor
from queensmtp.requests import ApiRequest
from queensmtp.scopes import Scope, granted


class AuditView(ApiView):
    """The log of the key's own account."""

    scope = Scope.AUDIT_READ
    # What a method needs beside that scope: whoever reads the log may not yet say what becomes of
    # it. Making keys is what the closed list of scopes has for those who administer an account.
    also_needs: ClassVar[dict[str, Scope]] = {}

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        needed = self.also_needs.get(str(request.method))
        if needed and needed not in granted(cast(ApiRequest, request).key.scopes):
            raise InsufficientScope(
                f"This endpoint needs the scope `{needed}` beside `{self.scope}`. "
                "An admin of the account can give it."
            )

    def account_id(self, request: ApiRequest) -> UUID:
        return request.actor.tenant_id


class AuditEntries(AuditView):
    audit_events: ClassVar[dict[str, str]] = {"GET": Event.LOG_READ}

    def get(self, request: ApiRequest) -> Response:
        found = filters.read(dict(request.query_params.lists()))
        cursor = read_cursor(request.query_params)
        account_id = self.account_id(request)
        shown = search.find(account_id, found, cursor)
        indexes = Leaf.objects.indexes_of(account_id, (entry.id for entry in shown.rows))
        return Response(
            list_body(
                shown,
                lambda entry: serializers.entry_body(entry, leaf_index=indexes.get(entry.id)),
            )
        )


class AuditEntry(AuditView):
    audit_events: ClassVar[dict[str, str]] = {"GET": Event.ENTRY_READ}

    def get(self, request: ApiRequest, entry_id: str) -> Response:
        queries.refuse_unknown(request.query_params, known=frozenset())
        request._request.audit_target = Target(type="audit_entry", id=entry_id)
        account_id = self.account_id(request)
        entry = self.get_entry(account_id, entry_id)
        indexes = Leaf.objects.indexes_of(account_id, [entry.id])
        return Response(serializers.entry_with_salt_body(entry, leaf_index=indexes.get(entry.id)))

    def get_entry(self, account_id: UUID, text: str) -> Entry:
        entry_id = find_id(text)
        entry = (
            Entry.objects.of_account(account_id).filter(id=entry_id).first() if entry_id else None
        )
        if entry is None:
            raise NotFound("There is no such audit entry.")
        return entry


class AuditReceipt(AuditEntry):
    """The entry with its proof, in one text that stands alone."""

    audit_events: ClassVar[dict[str, str]] = {"GET": Event.RECEIPT_READ}

    def get(self, request: ApiRequest, entry_id: str) -> HttpResponse:  # type: ignore[override]
        queries.refuse_unknown(request.query_params, known=frozenset())
        request._request.audit_target = Target(type="audit_entry", id=entry_id)
        account_id = self.account_id(request)
        entry = self.get_entry(account_id, entry_id)
        receipt = receipts.find_receipt(account_id, entry)
        if receipt is None:
            waiting = {"object": "audit_receipt", "id": str(entry.id), "status": "pending"}
            return Response(waiting, status=202, headers={"Retry-After": "1"})
        return receipts.attachment(entry, receipt)


class AuditCheckpoint(AuditView):
    audit_events: ClassVar[dict[str, str]] = {"GET": Event.CHECKPOINT_READ}

    def get(self, request: ApiRequest) -> Response:
        queries.refuse_unknown(request.query_params, known=frozenset({"size"}))
        size = queries.find_number(request.query_params, "size")
        account_id = self.account_id(request)
        if size is None:
            return Response(serializers.checkpoint_body(proofs.latest_checkpoint(account_id)))
        return Response(serializers.checkpoint_body(proofs.checkpoint_of(account_id, size)))


class InclusionProof(AuditView):
    audit_events: ClassVar[dict[str, str]] = {"GET": Event.PROOF_READ}

    def get(self, request: ApiRequest) -> Response:
        queries.refuse_unknown(
            request.query_params, known=frozenset({"entry_id", "leaf_index", "size"})
        )
        size = queries.find_number(request.query_params, "size")
        leaf = self.find_leaf(request)
        proof = proofs.inclusion_proof(self.account_id(request), leaf=leaf, size=size)
        return Response(serializers.inclusion_body(proof))

    def find_leaf(self, request: ApiRequest) -> Leaf:
        entry_id = queries.find_entry_id(request.query_params, "entry_id")
        leaf_index = queries.find_number(request.query_params, "leaf_index")
        if entry_id is None and leaf_index is None:
            raise queries.missing("entry_id")
        if entry_id is not None and leaf_index is not None:
            raise refuse_field("leaf_index", "conflicting", "give `entry_id` or `leaf_index`.")
        if entry_id is not None:
            return proofs.leaf_of_entry(self.account_id(request), entry_id)
        return proofs.leaf_at(self.account_id(request), leaf_index or 0)


class ConsistencyProof(AuditView):
    audit_events: ClassVar[dict[str, str]] = {"GET": Event.PROOF_READ}

    def get(self, request: ApiRequest) -> Response:
        queries.refuse_unknown(request.query_params, known=frozenset({"from", "to"}))
        proof = proofs.consistency_proof(
            self.account_id(request),
            first=queries.get_number(request.query_params, "from"),
            second=queries.get_number(request.query_params, "to"),
        )
        return Response(serializers.consistency_body(proof))
