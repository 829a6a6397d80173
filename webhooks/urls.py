from django.urls import path

from webhooks import api, delivery_api, listening_api

WEBHOOK = "webhooks/<uuid:webhook_id>"
EVENT = f"{WEBHOOK}/events/<uuid:event_id>"
LISTENER = "webhooks/listeners/<uuid:listener_id>"

api_urlpatterns = [
    path("webhooks", api.Webhooks.as_view()),
    path("webhooks/listeners", listening_api.Listeners.as_view()),
    path(LISTENER, listening_api.Listener.as_view()),
    path(f"{LISTENER}/events", listening_api.ListenerEvents.as_view()),
    path(WEBHOOK, api.Webhook.as_view()),
    path(f"{WEBHOOK}/signing-secret/rotate", api.SecretRotation.as_view()),
    path(f"{WEBHOOK}/events", delivery_api.Events.as_view()),
    path(EVENT, delivery_api.SingleEvent.as_view()),
    path(f"{EVENT}/replay", delivery_api.EventReplay.as_view()),
    path(f"{EVENT}/attempts", delivery_api.EventAttempts.as_view()),
    path(f"{WEBHOOK}/replay", delivery_api.FailedReplay.as_view()),
    path(f"{WEBHOOK}/test", delivery_api.TestEvent.as_view()),
]
