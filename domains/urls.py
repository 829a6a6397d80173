from django.urls import path

from domains import api, key_api, sender_api, sender_views, tracking_hosts, views

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

# For a proxy that gets certificates by itself; it carries no key.
public_urlpatterns = [path("tracking-hosts", tracking_hosts.ask)]

console_urlpatterns = [
    path("console/domains", views.domain_list, name="domain_list"),
    path("console/domains/new", views.domain_add, name="domain_add"),
    path("console/domains/<uuid:domain_id>", views.domain_detail, name="domain_detail"),
    path("console/domains/<uuid:domain_id>/verify", views.domain_verify, name="domain_verify"),
    path("console/domains/<uuid:domain_id>/zone", views.domain_zone, name="domain_zone"),
    path(
        "console/domains/<uuid:domain_id>/settings", views.domain_settings, name="domain_settings"
    ),
    path("console/domains/<uuid:domain_id>/rotate", views.domain_rotate, name="domain_rotate"),
    path(
        "console/domains/<uuid:domain_id>/withdraw", views.domain_withdraw, name="domain_withdraw"
    ),
    path("console/domains/<uuid:domain_id>/remove", views.domain_remove, name="domain_remove"),
    path("console/senders", sender_views.sender_list, name="sender_list"),
    path("console/senders/new", sender_views.sender_add, name="sender_add"),
    path("console/senders/<uuid:sender_id>", sender_views.sender_edit, name="sender_edit"),
    path(
        "console/senders/<uuid:sender_id>/remove", sender_views.sender_remove, name="sender_remove"
    ),
]
