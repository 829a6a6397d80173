from django.urls import URLPattern, path

from apikeys import api

api_urlpatterns = [
    path("keys", api.Keys.as_view()),
    path("keys/<uuid:key_id>", api.Key.as_view()),
    path("keys/<uuid:key_id>/rotate", api.KeyRotation.as_view()),
    path("keys/<uuid:key_id>/end-overlap", api.KeyOverlap.as_view()),
]

console_urlpatterns: list[URLPattern] = []
