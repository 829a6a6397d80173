"""The calls of this app, by example (`queensmtp.operations`)."""

from queensmtp.operations import CURSORS, Operation, listed

ID = "01997e2c-7d5f-7c31-9d6e-2f1f7a3f9b10"
OTHER_ID = "01997e2c-7d60-7b1e-8c55-0a4f6f0d2c11"
SUPPRESSION = {
    "id": ID,
    "email": "someone@example.com",
    "origin": "bounce",
    "source_id": OTHER_ID,
    "created_at": "2026-11-21T22:14:58.120000+00:00",
    "reason": "550 5.1.1 user unknown",
    "expires_at": None,
}
BRIEF = {"object": "suppression", "id": ID}
REMOVED = {**BRIEF, "deleted": True}
REASON = {"reason": "Asked by phone", "expires_at": "2027-11-21T00:00:00Z"}

OPERATIONS = {
    "POST /v1/suppressions": Operation(
        summary="Suppress an address",
        body={"email": "someone@example.com", **REASON},
        optional=("reason", "expires_at"),
        nullable=("reason", "expires_at"),
        answer=BRIEF,
        status=201,
    ),
    "GET /v1/suppressions": Operation(
        summary="List suppressions, newest first",
        answer=listed(SUPPRESSION),
        nullable=("data[].source_id",),
        query={**CURSORS, "origin": "`bounce`, `complaint`, `manual`, …"},
    ),
    "GET /v1/suppressions/{name}": Operation(
        summary="Get one by its id or its address",
        answer={"object": "suppression", **SUPPRESSION},
        nullable=("source_id",),
    ),
    "DELETE /v1/suppressions/{name}": Operation(
        summary="Let an address get mail again", answer=REMOVED
    ),
    "POST /v1/suppressions/batch/add": Operation(
        summary="Suppress up to 1,000 addresses",
        body={"emails": ["someone@example.com"], **REASON},
        optional=("reason", "expires_at"),
        nullable=("reason", "expires_at"),
        answer={"data": [BRIEF]},
        status=201,
    ),
    "POST /v1/suppressions/import": Operation(
        summary="Import up to 20,000 suppressions, all or none; as JSON or as `text/csv`",
        body={
            "suppressions": [
                {"email": "someone@example.com", "origin": "bounce", **REASON},
            ]
        },
        optional=[f"suppressions[].{name}" for name in ("origin", "reason", "expires_at")],
        nullable=[f"suppressions[].{name}" for name in ("origin", "reason", "expires_at")],
        answer={"object": "suppression_import", "added": 812, "total": 1_000},
        status=201,
    ),
    "GET /v1/suppressions/export": Operation(
        summary="All suppressions that stand, newest first, as CSV",
        media_type="text/csv",
        query={
            "origin": "`bounce`, `complaint`, `manual`, …",
            "after": "The id that `X-Next-After` of the answer before named.",
        },
    ),
    "POST /v1/suppressions/batch/remove": Operation(
        summary="Remove up to 1,000 suppressions, by address or by id",
        body={"emails": ["someone@example.com"], "ids": [ID]},
        optional=("emails", "ids"),
        answer={"data": [REMOVED]},
    ),
}
