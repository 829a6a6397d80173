"""The calls of this app, by example (`queensmtp.operations`)."""

from queensmtp.operations import CURSORS, Operation, listed
from webhooks.catalogue import CATALOGUE

ID = "01997e2c-7d5f-7c31-9d6e-2f1f7a3f9b10"
EVENT_ID = "01997e2c-7d60-7b1e-8c55-0a4f6f0d2c11"
AT = "2026-11-21T22:15:00.005000+00:00"
SECRET = "whsec_…"

ENDPOINT = {
    "id": ID,
    "endpoint": "https://hooks.example.com/queensmtp",
    "created_at": AT,
    "status": "enabled",
    "events": ["email.delivered", "email.bounced"],
    "ordered": False,
}
SETTINGS = {
    "endpoint": "https://hooks.example.com/queensmtp",
    "events": ["email.delivered", "email.bounced"],
    "ordered": False,
}
BRIEF = {"object": "webhook", "id": ID}
EVENT = {"id": EVENT_ID, "type": "email.delivered", "created_at": AT, "status": "success"}
OF_EVENT = {"object": "webhook_event", "id": EVENT_ID}
LISTENER = {"object": "webhook_listener", "id": ID}

OPERATIONS = {
    "POST /v1/webhooks": Operation(
        summary="Add an endpoint",
        body=SETTINGS,
        optional=("ordered",),
        answer={**BRIEF, "signing_secret": SECRET},
        status=201,
        errors=(409,),
    ),
    "GET /v1/webhooks": Operation(
        summary="List endpoints, newest first", answer=listed(ENDPOINT), query=CURSORS
    ),
    "GET /v1/webhooks/{webhook_id}": Operation(
        summary="Get one endpoint; its secret only for `webhooks:write`",
        answer={"object": "webhook", **ENDPOINT, "signing_secret": SECRET},
        nullable=("signing_secret",),
    ),
    "PATCH /v1/webhooks/{webhook_id}": Operation(
        summary="Change what is given",
        body={**SETTINGS, "status": "disabled"},
        optional=("endpoint", "events", "ordered", "status"),
        answer=BRIEF,
    ),
    "DELETE /v1/webhooks/{webhook_id}": Operation(
        summary="Remove an endpoint; what waits is given up", answer={**BRIEF, "deleted": True}
    ),
    "POST /v1/webhooks/{webhook_id}/signing-secret/rotate": Operation(
        summary="Give the endpoint a new secret; the old one signs too for the overlap",
        answer={**BRIEF, "signing_secret": SECRET},
        errors=(409,),
    ),
    "GET /v1/webhooks/{webhook_id}/events": Operation(
        summary="List what was sent to an endpoint, newest first",
        answer=listed(EVENT),
        query={**CURSORS, "status": "`pending`, `attempting`, `success` or `failed`."},
    ),
    "GET /v1/webhooks/{webhook_id}/events/{event_id}": Operation(
        summary="Get one event with its payload",
        answer={
            **OF_EVENT,
            **EVENT,
            "next_attempt_at": None,
            "payload": CATALOGUE["email.delivered"].example,
        },
        optional_in_answer=("payload.data.tags", "payload.data.headers"),
    ),
    "GET /v1/webhooks/{webhook_id}/events/{event_id}/attempts": Operation(
        summary="List the attempts of one event, newest first",
        answer=listed(
            {
                "id": ID,
                "http_status_code": 503,
                "response": "try later",
                "sent_at": AT,
                "reason": "http_503",
                "latency_ms": 41,
            }
        ),
        nullable=("data[].http_status_code", "data[].reason", "data[].latency_ms"),
        query=CURSORS,
    ),
    "POST /v1/webhooks/{webhook_id}/events/{event_id}/replay": Operation(
        summary="Send one event again", answer=OF_EVENT, errors=(409,)
    ),
    "POST /v1/webhooks/{webhook_id}/replay": Operation(
        summary="Send again all that was given up since a time, 10,000 at once",
        body={"since": "2026-11-20T00:00:00Z"},
        answer={**BRIEF, "replayed": 17, "has_more": False},
        errors=(409,),
    ),
    "POST /v1/webhooks/{webhook_id}/test": Operation(
        summary="Send the example of a type, marked as a test",
        body={"type": "email.delivered"},
        answer=OF_EVENT,
        status=201,
        errors=(409,),
    ),
    "POST /v1/webhooks/listeners": Operation(
        summary="Begin to listen: events are fetched instead of being sent",
        body={"events": ["email.delivered"]},
        optional=("events",),
        answer={**LISTENER, "events": ["email.delivered"], "ends_after_seconds": 120},
        status=201,
        errors=(409,),
    ),
    "GET /v1/webhooks/listeners/{listener_id}/events": Operation(
        summary="Fetch what came in, oldest first, signed as if it were sent",
        answer=listed(
            {
                "id": EVENT_ID,
                "type": "email.delivered",
                "headers": {"webhook-id": EVENT_ID, "webhook-signature": "v1,…"},
                "body": '{"type":"email.delivered", …}',
            }
        ),
        query={"after": "The id of the last event that was fetched."},
    ),
    "DELETE /v1/webhooks/listeners/{listener_id}": Operation(
        summary="Stop listening", answer={**LISTENER, "deleted": True}
    ),
}
