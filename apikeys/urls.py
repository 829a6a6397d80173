from django.urls import path

from apikeys import api, leak_api, usage_api
from apikeys.views import addresses, creation, editing, keys, revocation, rotation, tracing

api_urlpatterns = [
    path("keys", api.Keys.as_view()),
    path("keys/<uuid:key_id>", api.Key.as_view()),
    path("keys/<uuid:key_id>/rotate", api.KeyRotation.as_view()),
    path("keys/<uuid:key_id>/end-overlap", api.KeyOverlap.as_view()),
    path("keys/<uuid:key_id>/usage", usage_api.KeyUsage.as_view()),
    path("leaked-keys", leak_api.LeakedKeys.as_view()),
    path("leaked-keys/github", leak_api.GithubLeakedKeys.as_view()),
]

console_urlpatterns = [
    path("console/keys", keys.key_list, name="key_list"),
    path("console/keys/new", creation.key_create, name="key_create"),
    path("console/keys/trace", tracing.key_trace, name="key_trace"),
    path("console/keys/<uuid:key_id>", keys.key_detail, name="key_detail"),
    path("console/keys/<uuid:key_id>/rotate", rotation.key_rotate, name="key_rotate"),
    path("console/keys/<uuid:key_id>/edit", editing.key_edit, name="key_edit"),
    path("console/keys/<uuid:key_id>/addresses", addresses.key_addresses, name="key_addresses"),
    path("console/keys/<uuid:key_id>/meter", keys.key_meter, name="key_meter"),
    path(
        "console/keys/<uuid:key_id>/end-overlap", rotation.key_end_overlap, name="key_end_overlap"
    ),
    path("console/keys/<uuid:key_id>/revoke", revocation.key_revoke, name="key_revoke"),
]
