"""The calls of this app, by example (`queensmtp.operations`)."""

from queensmtp.operations import CURSORS, Operation, listed
from queensmtp.shapes import AnyNames

ID = "01997e2c-7d5f-7c31-9d6e-2f1f7a3f9b10"
AT = "2026-11-21T22:14:58.120000+00:00"
TOKEN = "qs_prod_…"

SETTABLE = {
    "name": "Shop, checkout mails",
    "scopes": ["email:send", "email:read"],
    "domains": ["demo.example"],
    "allowed_cidrs": ["203.0.113.0/24", "2001:db8::/48"],
    "learning_until": None,
    "allowed_recipients": ["@example.com"],
    "expires_at": "2027-02-21T00:00:00+00:00",
    "rotate_every_seconds": None,
    "rate_limit": {"requests": 20, "per_seconds": 1},
    "daily_quota": 5_000,
    "labels": AnyNames(client="acme"),
    "notes": "Belongs to the shop team.",
}
RESTRICTIONS = (
    "domains",
    "allowed_cidrs",
    "learning_until",
    "allowed_recipients",
    "expires_at",
    "rotate_every_seconds",
    "rate_limit",
    "daily_quota",
    "last_used_at",
    "last_used_ip",
    "last_used_user_agent",
)
KEY = {
    "object": "key",
    "id": ID,
    **SETTABLE,
    "rotate_every_seconds": 7_776_000,
    "environment": "production",
    "prefix": "qs_prod_4fK9",
    "last4": "x7Qa",
    "status": "active",
    "decoy": False,
    "created_at": AT,
    "created_by": "alice@hive.example",
    "last_used_at": AT,
    "last_used_ip": "203.0.113.7",
    "last_used_user_agent": "resend-node:6.1.0",
    "replaces": None,
    "replaced_by": None,
    "overlap_ends_at": None,
    "revoked_at": None,
}
RECEIVED = {"object": "leak_report", "received": 1}

OPERATIONS = {
    "POST /v1/keys": Operation(
        summary="Create a key; its token is answered this once",
        body={
            **SETTABLE,
            "environment": "production",
            "allow_wide_cidrs": False,
            "decoy": False,
        },
        optional=(*RESTRICTIONS, "labels", "notes", "allow_wide_cidrs", "decoy"),
        answer={**KEY, "token": TOKEN},
        status=201,
        nullable=RESTRICTIONS,
        errors=(403,),
    ),
    "GET /v1/keys": Operation(
        summary="List keys, newest first",
        answer=listed(KEY),
        nullable=[f"data[].{name}" for name in RESTRICTIONS],
        query={
            **CURSORS,
            "environment": "`development`, `staging` or `production`.",
            "status": "`active`, `rotating`, `expired` or `revoked`.",
            "label": "`name:value`.",
        },
    ),
    "GET /v1/keys/{key_id}": Operation(summary="Get one key", answer=KEY, nullable=RESTRICTIONS),
    "PATCH /v1/keys/{key_id}": Operation(
        summary="Change what is given",
        body={**SETTABLE, "allow_wide_cidrs": False},
        optional=(*SETTABLE, "allow_wide_cidrs"),
        answer=KEY,
        nullable=RESTRICTIONS,
        errors=(403, 409),
    ),
    "DELETE /v1/keys/{key_id}": Operation(
        summary="Revoke a key at once",
        query={"cancel_scheduled": "`true` cancels what it has scheduled; `false` if left out."},
        answer={"object": "key", "id": ID, "deleted": True},
        errors=(403,),
    ),
    "GET /v1/keys/{key_id}/usage": Operation(
        summary="The requests of a key, day by day and by outcome",
        answer={
            "object": "key_usage",
            "key_id": ID,
            "data": [{"date": "2026-11-21", "allowed": 1_204, "refused": 3, "failed": 0}],
        },
        query={
            "from": "The first day (UTC); 29 days before the last if not given.",
            "to": "The last day; today if not given. At most 366 days.",
        },
    ),
    "POST /v1/keys/{key_id}/rotate": Operation(
        summary="Make a successor; the old key ends after an overlap",
        body={"overlap_seconds": 86_400},
        answer={**KEY, "replaces": ID, "token": TOKEN},
        status=201,
        nullable=(*RESTRICTIONS, "replaces"),
        errors=(403, 409),
    ),
    "POST /v1/keys/{key_id}/end-overlap": Operation(
        summary="End the overlap of a rotated key now",
        answer={**KEY, "replaced_by": ID, "status": "expired"},
        nullable=(*RESTRICTIONS, "replaced_by"),
        errors=(409,),
    ),
    "POST /v1/leaked-keys": Operation(
        summary="Report keys that were found in public; each that is real is revoked",
        body={"tokens": [TOKEN], "source": "a scanner", "url": "https://paste.example/1"},
        optional=("source", "url"),
        answer=RECEIVED,
    ),
    "POST /v1/leaked-keys/github": Operation(
        summary="The same in the form of GitHub's secret scanning, signed",
        body=[
            {
                "token": TOKEN,
                "type": "queensmtp_api_key",
                "url": "https://github.com/hive/shop/blob/main/.env",
                "source": "content",
            }
        ],
        answer=RECEIVED,
        headers={
            "Github-Public-Key-Identifier": "Which key signed.",
            "Github-Public-Key-Signature": "Over the raw body.",
        },
    ),
}
