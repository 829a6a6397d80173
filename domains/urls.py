from django.urls import path

from domains import api, key_api, sender_api

api_urlpatterns = [
    path("api-keys", key_api.ResendKeys.as_view()),
    path("api-keys/<uuid:key_id>", key_api.ResendKey.as_view()),
    path("domains", api.Domains.as_view()),
    path("domains/<uuid:domain_id>", api.OneDomain.as_view()),
    path("domains/<uuid:domain_id>/verify", api.DomainVerification.as_view()),
    path("domains/<uuid:domain_id>/dkim/rotate", api.DkimRotation.as_view()),
    path("sender-ids", sender_api.Senders.as_view()),
    path("sender-ids/<uuid:sender_id>", sender_api.OneSender.as_view()),
]
