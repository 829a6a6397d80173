from django.urls import path

from webhooks import api

api_urlpatterns = [
    path("webhooks", api.Webhooks.as_view()),
    path("webhooks/<uuid:webhook_id>", api.Webhook.as_view()),
    path("webhooks/<uuid:webhook_id>/signing-secret/rotate", api.SecretRotation.as_view()),
]
