"""The calls of this app, by example (`queensmtp.operations`)."""

from queensmtp.operations import CURSORS, Operation, listed

ID = "01997e2c-7d5f-7c31-9d6e-2f1f7a3f9b10"
AT = "2026-11-21T22:14:58.120000+00:00"
KEY = {"id": ID, "name": "Shop", "created_at": AT, "last_used_at": None}

TOKEN = "queensmtp-verification=l0ngRandomToken"
VERIFICATION = {
    "record": "Verification",
    "name": "_queensmtp.mail",
    "fqdn": "_queensmtp.mail.hive.example",
    "type": "TXT",
    "ttl": "Auto",
    "status": "verified",
    "value": TOKEN,
    "found": [TOKEN],
    "cause": None,
}
MX = {
    "record": "SPF",
    "name": "send.mail",
    "fqdn": "send.mail.hive.example",
    "type": "MX",
    "ttl": "Auto",
    "status": "pending",
    "value": "bounces.queensmtp.example",
    "found": [],
    "cause": "There is no send.mail.hive.example in DNS yet.",
    "priority": 10,
}
DMARC = {
    **VERIFICATION,
    "record": "DMARC",
    "name": "_dmarc",
    "fqdn": "_dmarc.hive.example",
    "value": "v=DMARC1; p=none;",
    "found": ["v=DMARC1; p=reject"],
}
LISTED = {
    "id": ID,
    "name": "mail.hive.example",
    "status": "partially_verified",
    "created_at": AT,
    "region": "us-east-1",
    "capabilities": {"sending": "enabled", "receiving": "disabled"},
    "open_tracking": False,
    "click_tracking": False,
    "tracking_subdomain": None,
    "tls": "opportunistic",
}
CREATED = {**LISTED, "records": [VERIFICATION, MX]}
DOMAIN = {
    "object": "domain",
    **CREATED,
    "advice": [DMARC],
    "is_lookalike": False,
    "note": None,
    "checked_at": AT,
    "next_check_at": AT,
}
NULLABLE = (
    "tracking_subdomain",
    "records[].cause",
    "advice[].cause",
    "note",
    "checked_at",
    "next_check_at",
)
CHANGES = {
    "open_tracking": True,
    "click_tracking": True,
    "tls": "enforced",
    "tracking_subdomain": "links",
    "capabilities": {"sending": "enabled"},
}
BRIEF = {"object": "domain", "id": ID}
SENDER_BODY = {"name": "Hive Support", "email": "help@hive.example", "reply_to": None}
SENDER = {"object": "sender_id", "id": ID, **SENDER_BODY, "domain_id": ID, "created_at": AT}

OPERATIONS = {
    "POST /v1/domains": Operation(
        summary="Add a domain; the answer holds the records to publish",
        body={
            "name": "mail.hive.example",
            "region": "us-east-1",
            "custom_return_path": "send",
            **CHANGES,
        },
        optional=("region", "custom_return_path", *CHANGES),
        answer=CREATED,
        status=201,
        nullable=NULLABLE,
    ),
    "GET /v1/domains": Operation(summary="List the domains", answer=listed(LISTED), query=CURSORS),
    "GET /v1/domains/{domain_id}": Operation(
        summary="Read a domain: each record as expected and as found",
        answer=DOMAIN,
        nullable=NULLABLE,
    ),
    "PATCH /v1/domains/{domain_id}": Operation(
        summary="Change the settings of a domain",
        body=CHANGES,
        optional=tuple(CHANGES),
        answer=BRIEF,
    ),
    "POST /v1/domains/{domain_id}/verify": Operation(
        summary="Look at its DNS now; the check goes on in the background", answer=BRIEF
    ),
    "DELETE /v1/domains/{domain_id}": Operation(
        summary="Remove a domain: it sends no more, at once", answer={**BRIEF, "deleted": True}
    ),
    "POST /v1/domains/{domain_id}/dkim/rotate": Operation(
        summary="Prepare new DKIM keys, which sign once DNS shows them",
        body={"selector": "spring", "private_key": "-----BEGIN PRIVATE KEY-----…"},
        optional=("selector", "private_key"),
        answer=DOMAIN,
        status=201,
        nullable=NULLABLE,
        errors=(409,),
    ),
    "DELETE /v1/domains/{domain_id}/dkim/rotate": Operation(
        summary="Withdraw new DKIM keys that still wait for DNS", answer=DOMAIN, nullable=NULLABLE
    ),
    "POST /v1/sender-ids": Operation(
        summary="Add a sender identity at a verified domain",
        body=SENDER_BODY,
        optional=("name", "reply_to"),
        answer=SENDER,
        status=201,
        nullable=("name", "reply_to"),
    ),
    "GET /v1/sender-ids": Operation(
        summary="List the sender identities", answer=listed(SENDER), query=CURSORS
    ),
    "GET /v1/sender-ids/{sender_id}": Operation(
        summary="Read a sender identity", answer=SENDER, nullable=("name", "reply_to")
    ),
    "PATCH /v1/sender-ids/{sender_id}": Operation(
        summary="Change a sender identity",
        body=SENDER_BODY,
        optional=tuple(SENDER_BODY),
        answer=SENDER,
        nullable=("name", "reply_to"),
    ),
    "DELETE /v1/sender-ids/{sender_id}": Operation(
        summary="Remove a sender identity",
        answer={"object": "sender_id", "id": ID, "deleted": True},
    ),
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
