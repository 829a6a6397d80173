from django.urls import path

from webhooks import api, delivery_api, delivery_views, listening_api, views

WEBHOOK = "webhooks/<uuid:webhook_id>"
EVENT = f"{WEBHOOK}/events/<uuid:event_id>"
PAGE = "console/webhooks/<uuid:webhook_id>"
EVENT_PAGE = f"{PAGE}/events/<uuid:event_id>"
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

console_urlpatterns = [
    path("console/webhooks", views.webhook_list, name="webhook_list"),
    path("console/webhooks/new", views.webhook_create, name="webhook_create"),
    path("console/webhooks/events", views.webhook_types, name="webhook_types"),
    path("console/webhooks/verify", views.webhook_verify, name="webhook_verify"),
    path(PAGE, views.webhook_detail, name="webhook_detail"),
    path(f"{PAGE}/edit", views.webhook_edit, name="webhook_edit"),
    path(f"{PAGE}/enable", views.webhook_enable, name="webhook_enable"),
    path(f"{PAGE}/disable", views.webhook_disable, name="webhook_disable"),
    path(f"{PAGE}/remove", views.webhook_remove, name="webhook_remove"),
    path(f"{PAGE}/secret", views.webhook_secret, name="webhook_secret"),
    path(f"{PAGE}/rotate", views.webhook_rotate, name="webhook_rotate"),
    path(f"{PAGE}/test", delivery_views.webhook_test, name="webhook_test"),
    path(f"{PAGE}/resend", delivery_views.webhook_resend_failed, name="webhook_resend_failed"),
    path(EVENT_PAGE, delivery_views.webhook_delivery, name="webhook_delivery"),
    path(f"{EVENT_PAGE}/replay", delivery_views.webhook_replay, name="webhook_replay"),
]
