"""The calls of this app, by example (`queensmtp.operations`)."""

from queensmtp.operations import CURSORS, Operation, listed

ID = "01997e2c-7d5f-7c31-9d6e-2f1f7a3f9b10"
AT = "2026-11-21T22:14:58.120000+00:00"
KEY = {"id": ID, "name": "Shop", "created_at": AT, "last_used_at": None}

OPERATIONS = {
    "POST /v1/api-keys": Operation(
        summary="Create a key as Resend's clients do; its token is answered this once",
        body={"name": "Shop", "permission": "sending_access", "domain_id": ID},
        optional=("permission", "domain_id"),
        answer={"id": ID, "token": "qs_prod_…"},
        status=201,
        errors=(403,),
    ),
    "GET /v1/api-keys": Operation(
        summary="List the keys that are not revoked", answer=listed(KEY), query=CURSORS
    ),
    "PATCH /v1/api-keys/{key_id}": Operation(
        summary="Rename a key",
        body={"name": "Shop"},
        answer={"object": "api_key", "id": ID},
        errors=(403,),
    ),
    "DELETE /v1/api-keys/{key_id}": Operation(
        summary="Revoke a key at once", answer={"object": "api_key", "id": ID, "deleted": True}
    ),
}
