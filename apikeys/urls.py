from django.urls import path

from apikeys import api, leak_api, usage_api, views

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
    path("console/keys", views.key_list, name="key_list"),
    path("console/keys/new", views.key_create, name="key_create"),
    path("console/keys/<uuid:key_id>", views.key_detail, name="key_detail"),
    path("console/keys/<uuid:key_id>/rotate", views.key_rotate, name="key_rotate"),
    path("console/keys/<uuid:key_id>/end-overlap", views.key_end_overlap, name="key_end_overlap"),
    path("console/keys/<uuid:key_id>/revoke", views.key_revoke, name="key_revoke"),
]
